"""Who comes to the shop: shoppers who look, search, buy and click twice; and odd clients.

Each is a coroutine of a connection's life. All numbers come from a generator of their own, seeded
by the session, so that what one session does depends on no other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random

from .client import Client, Tally, request
from .options import TrafficOptions

WORDS = ("lamp", "kettle", "chair", "jacket", "bicycle", "clock", "basket", "mirror", "teapot")
DOUBLE_CLICK_SECONDS = 0.05

MALFORMED = (
    b"GET / HTTP/1.1\r\nHost : spaced.example\r\n\r\n",
    b"GET /products?page=\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /cart HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST /cart HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
    b"HELLO shop\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n",
)


class Visit:
    """One session: its options, its numbers, and the tally it adds to."""

    def __init__(self, options: TrafficOptions, random: Random, tally: Tally) -> None:
        self.options = options
        self.random = random
        self.tally = tally

    def client(self) -> Client:
        return Client(self.options.url, self.tally)

    async def think(self) -> None:
        await asyncio.sleep(self.random.expovariate(1 / self.options.think))


async def shopper(visit: Visit) -> None:
    """Looks around, searches, fills a cart; every third one pays, and some click twice."""
    random = visit.random
    async with visit.client() as client:
        session = (await client.ask("GET", "/", "front")).session or ""
        for _ in range(random.randint(1, 4)):
            await visit.think()
            await _look(client, session, random)
        if random.random() < 0.3:
            name = f"user{random.randrange(10**6)}%40example.com"
            form = f"name={name}&password=pw{random.randrange(10**6):06}".encode()
            await client.ask(
                "POST", "/login", "login", session=session, body=form,
                content_type="application/x-www-form-urlencoded",
            )  # fmt: skip
        if random.random() < 0.5:
            await visit.think()
            item = {"product": random.randint(1, 1000), "quantity": random.randint(1, 3)}
            body = json.dumps(item).encode()
            await client.ask("POST", "/cart", "cart", session=session, body=body)
            await client.ask("GET", "/cart", "cart", session=session)
        if random.random() < 0.35:
            await visit.think()
            await _pay(visit, client, session)


async def _look(client: Client, session: str, random: Random) -> None:
    choice = random.random()
    if choice < 0.25:
        await client.ask("GET", f"/search?q={random.choice(WORDS)}", "search", session=session)
    elif choice < 0.6:
        page = min(40, int(random.expovariate(0.3)) + 1)
        await client.ask("GET", f"/products?page={page}", "products", session=session)
    else:
        product = int(random.paretovariate(0.8)) % 5000 + 1
        await client.ask("GET", f"/products/{product}", "product", session=session)


async def _pay(visit: Visit, client: Client, session: str) -> None:
    """Pay; half of the impatient click again before the answer, on another connection."""
    random = visit.random
    order = {"order": random.randrange(10**6), "amount_cents": random.randint(500, 50_000)}
    body = json.dumps(order | {"card": _card(random)}).encode()
    twice = not visit.options.trickle and random.random() < 0.4
    if not twice:
        await client.ask("POST", "/payment", "payment", session=session, body=body)
        return
    visit.tally.by_kind["double click"] += 1

    async def again() -> None:
        async with visit.client() as other:
            await asyncio.sleep(random.uniform(0.2, 0.8) * DOUBLE_CLICK_SECONDS)
            await other.ask("POST", "/payment", "payment", session=session, body=body)

    first = client.ask("POST", "/payment", "payment", session=session, body=body)
    await asyncio.gather(first, again())


def _card(random: Random) -> str:
    """A made-up card number whose check digit is right."""
    digits = [4, *(random.randrange(10) for _ in range(14))]
    doubled = [d * 2 - 9 * (d > 4) if i % 2 == 0 else d for i, d in enumerate(digits)]
    return "".join(map(str, [*digits, -sum(doubled) % 10]))


async def _uploader(visit: Visit) -> None:
    """Sends a file of some 100 KB."""
    data = visit.random.randbytes(visit.random.randint(20_000, 200_000))
    async with visit.client() as client:
        await client.ask(
            "POST", "/uploads", "upload", body=data, content_type="application/octet-stream"
        )


async def _slow_client(visit: Visit) -> None:
    """Sends a request in pieces with pauses, as a phone in a tunnel does."""
    word = visit.random.choice(WORDS)
    async with visit.client() as client:
        raw = request(client.authority, "GET", f"/products?page=1&from={word}")
        cuts = sorted(visit.random.sample(range(1, len(raw)), 3))
        starts, ends = [0, *cuts], [*cuts, len(raw)]
        pieces = [raw[a:b] for a, b in zip(starts, ends, strict=True)]
        await client.send(*pieces, pause=visit.random.uniform(0.05, 0.3))
        await client.answer()


async def _broken_client(visit: Visit) -> None:
    """Sends what no parser can frame, and takes what comes."""
    async with visit.client() as client:
        await client.send(visit.random.choice(MALFORMED))
        await client.answer()


async def _pipeliner(visit: Visit) -> None:
    """Sends three requests at once and reads three answers."""
    async with visit.client() as client:
        targets = [f"/products/{visit.random.randint(1, 500)}" for _ in range(3)]
        await client.send(b"".join(request(client.authority, "GET", t) for t in targets))
        for _ in targets:
            await client.answer()


async def _impatient(visit: Visit) -> None:
    """Asks and hangs up without waiting."""
    async with visit.client() as client:
        await client.send(request(client.authority, "GET", "/products?page=3"))
        await asyncio.sleep(0.001)
        client.abort()
        visit.tally.requests += 1


Person = Callable[[Visit], Awaitable[None]]
ODD: dict[str, Person] = {
    "upload": _uploader,
    "slow": _slow_client,
    "malformed": _broken_client,
    "pipelined": _pipeliner,
    "aborted": _impatient,
}
