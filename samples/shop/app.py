"""The pages of the shop.

GET  /                    the front page; gives a visitor a session
GET  /products?page=2     the catalogue
GET  /products/17         one product
GET  /search?q=lamp       what customers liked best of what matches
POST /login               name and password, form
GET  /cart, POST /cart    {"product": 17, "quantity": 2}
POST /payment             {"order": 3, "amount_cents": 1999, "card": …}
POST /uploads             any bytes; answers with their number and digest
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from .bank import banking
from .options import ShopOptions
from .payments import AlreadyPaid, Desk
from .releases import RELEASES
from .store import CATALOGUE, PAGE, PRODUCT, SEARCH, Pool, PoolExhausted, build

SESSION = re.compile(r"[0-9A-Za-z_-]{16,64}")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """One copy of the shop: its options, its database and what it remembers."""

    def __init__(self, options: ShopOptions) -> None:
        self.options = options
        self.release = RELEASES[options.version]
        self.carts: dict[str, list[tuple[int, int]]] = {}
        self.leaked: list[bytes] = []
        self.pool: Pool
        self.desk: Desk

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[self.around], client_max_size=64 << 20)
        app.add_routes(
            [
                web.get("/", self.front),
                web.get("/products", self.products),
                web.get(r"/products/{id:\d{1,9}}", self.product),
                web.get("/search", self.search),
                web.post("/login", self.login),
                web.get("/cart", self.cart),
                web.post("/cart", self.add_to_cart),
                web.post("/payment", self.payment),
                web.post("/uploads", self.upload),
            ]
        )
        app.cleanup_ctx.append(self.database)
        return app

    async def database(self, app: web.Application) -> AsyncIterator[None]:
        """The database and the bank live as long as the shop does."""
        del app
        with tempfile.TemporaryDirectory(prefix="shop-") as folder:
            path = Path(folder) / "shop.db"
            build(path, self.options.rows, self.options.index)
            self.pool = Pool(path, self.options.pool, self.options.pool_wait)
            async with banking(self.options.slow_third_party / 1000) as teller:
                self.desk = Desk(teller, self.options.race)
                yield
            self.pool.close()

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What every answer has: the release's headers, and errors in its style."""
        if self.options.leak:
            self.leaked.append(secrets.token_bytes(self.options.leak))
        try:
            response = await handler(request)
        except PoolExhausted:
            response = self.error(503, "no database connection came free")
            response.headers["Retry-After"] = "1"
        except AlreadyPaid:
            response = self.error(409, "this order has been paid")
        except web.HTTPException as refused:
            response = self.error(refused.status, refused.reason)
        except (ValueError, KeyError, TypeError):
            response = self.error(400, "that is not what this page expects")
        for name, value in self.release.headers:
            response.headers[name] = value
        return response

    def error(self, status: int, reason: str) -> web.Response:
        """An error page."""
        if self.release.json_errors:
            return web.json_response({"error": reason}, status=status)
        page = f"<!doctype html><title>{status}</title><h1>Oops</h1><p>{reason}</p>\n"
        return web.Response(text=page, status=status, content_type="text/html")

    def cached(self, data: object) -> web.Response:
        response = web.json_response(data)
        response.headers["Cache-Control"] = self.release.cache
        return response

    async def front(self, request: web.Request) -> web.Response:
        response = self.cached({"welcome": "to the shop"})
        if self.session(request) is None:
            cookie = f"session={secrets.token_hex(16)}; {self.release.cookie_flags}"
            response.headers["Set-Cookie"] = cookie
        return response

    def session(self, request: web.Request) -> str | None:
        """The visitor's session; one that this copy has never seen is taken over."""
        given = request.cookies.get("session", "")
        return given if SESSION.fullmatch(given) else None

    def visitor(self, request: web.Request) -> str:
        session = self.session(request)
        if session is None:
            raise web.HTTPUnauthorized
        return session

    async def products(self, request: web.Request) -> web.Response:
        page = int(request.query.get("page", "1"))
        async with self.pool.connection() as db:
            rows = await db.rows(CATALOGUE, (page - 1) * PAGE)
        return self.cached([_product(row) for row in rows])

    async def product(self, request: web.Request) -> web.Response:
        async with self.pool.connection() as db:
            rows = await db.rows(PRODUCT, int(request.match_info["id"]))
        if not rows:
            raise web.HTTPNotFound
        return self.cached(_product(rows[0]) | {"sold": rows[0][3]})

    async def search(self, request: web.Request) -> web.Response:
        async with self.pool.connection() as db:
            rows = await db.rows(SEARCH, request.query["q"])
        return web.json_response([_product(row) | {"stars": row[3]} for row in rows])

    async def login(self, request: web.Request) -> web.Response:
        form = await request.post()
        if len(str(form["password"])) < 4:
            raise web.HTTPForbidden
        session = self.session(request) or secrets.token_hex(16)
        response = web.json_response({"name": str(form["name"])})
        response.headers["Set-Cookie"] = f"session={session}; {self.release.cookie_flags}"
        return response

    async def cart(self, request: web.Request) -> web.Response:
        items = self.carts.get(self.visitor(request), [])[-PAGE:]
        async with self.pool.connection() as db:
            priced = [await db.rows(PRODUCT, product) for product, _ in items]
        total = sum(rows[0][2] * n for rows, (_, n) in zip(priced, items, strict=True) if rows)
        return web.json_response({"items": len(items), "total_cents": total})

    async def add_to_cart(self, request: web.Request) -> web.Response:
        wanted = await _json(request)
        items = self.carts.setdefault(self.visitor(request), [])
        items.append((int(wanted["product"]), int(wanted["quantity"])))
        return web.json_response({"items": len(items)}, status=201)

    async def payment(self, request: web.Request) -> web.Response:
        wanted = await _json(request)
        order = (self.visitor(request), int(wanted["order"]))
        # The connection is held while the bank thinks, as a transaction would hold it.
        async with self.pool.connection():
            receipt = await self.desk.pay(order)
        self.carts.pop(order[0], None)
        answer = {"receipt": receipt.number, "charges_of_order": receipt.charges_of_order}
        return web.json_response({"order": order[1], "paid": True, **answer})

    async def upload(self, request: web.Request) -> web.Response:
        digest, size = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
        return web.json_response({"bytes": size, "sha256": digest.hexdigest()}, status=201)


def _product(row: tuple[Any, ...]) -> dict[str, object]:
    return {"id": row[0], "name": row[1], "price_cents": row[2]}


async def _json(request: web.Request) -> dict[str, Any]:
    data = json.loads(await request.text())
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data
