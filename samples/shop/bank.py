"""The shop's third party: a bank of its own on loopback, slow, and quite willing to charge twice.

It listens on a port that the shop alone knows. What it takes longer than usual is a switch: a shop
whose bank is a stub that answers at once never finds out what waiting for it does.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

BANK_SECONDS = 0.060
REMEMBERED_SECONDS = 2.0
"""How long an order is known: the same payment later than that is another purchase."""

Order = tuple[str, int]


@dataclass(frozen=True)
class Receipt:
    """What the bank gives for a charge; a second charge of an order says so."""

    number: int
    charges_of_order: int


class Bank:
    """The bank itself: `POST /charges` takes its time and answers with a receipt."""

    def __init__(self, slower_seconds: float) -> None:
        self._slower_seconds = slower_seconds
        self._receipts = 0
        self._recent: deque[tuple[float, Order]] = deque()

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.add_routes([web.post("/charges", self.charge)])
        return app

    async def charge(self, request: web.Request) -> web.Response:
        """Charge an order, as often as it is asked to."""
        asked = await request.json()
        order = (str(asked["session"]), int(asked["order"]))
        await asyncio.sleep(BANK_SECONDS + self._slower_seconds)
        now = time.monotonic()
        self._receipts += 1
        self._recent.append((now, order))
        while self._recent[0][0] < now - REMEMBERED_SECONDS:
            self._recent.popleft()
        charges = sum(order == charged for _, charged in self._recent)
        return web.json_response({"number": self._receipts, "charges_of_order": charges})


class Teller:
    """How the shop speaks to the bank."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def charge(self, order: Order) -> Receipt:
        """Have an order charged."""
        asked = {"session": order[0], "order": order[1]}
        async with self._session.post(f"{self._url}/charges", json=asked) as answer:
            told = await answer.json()
        return Receipt(told["number"], told["charges_of_order"])


@asynccontextmanager
async def banking(slower_seconds: float) -> AsyncIterator[Teller]:
    """A bank that is open while the block runs, and a teller for it."""
    runner = web.AppRunner(Bank(slower_seconds).application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024, shutdown_timeout=0.1)
        await site.start()
        port = runner.addresses[0][1]
        # No limit of its own: the pool of database connections is the shop's narrow place.
        async with ClientSession(
            connector=TCPConnector(limit=0), timeout=ClientTimeout(total=60)
        ) as session:
            yield Teller(session, f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
