"""A tape of many users, and a target whose service time and failures can be changed as it runs."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.replay.recorder import write_tape


def users_tape(path: Path, seconds: float, rate: float, users: int = 200) -> Path:
    """A tape on which so many users, each with a connection, ask for two endpoints."""
    requests = []
    rng = random.Random(4)
    at_ms = 0.0
    for n in range(round(seconds * rate)):
        at_ms += rng.expovariate(rate / 1000)
        user = (n * 7919) % users
        page = "/search" if n % 3 else "/cart"
        raw = (
            f"GET {page} HTTP/1.1\r\nHost: shop.test\r\nCookie: session=u{user:08d}x{user}\r\n\r\n"
        )
        requests.append((user, at_ms, raw.encode()))
    return write_tape(path, requests)


class Service:
    """Answers each request after `delay` s (`delays` by path); `asked` counts."""

    def __init__(self, delay: float = 0.002) -> None:
        self.delay = delay
        self.delays: dict[bytes, float] = {}
        self.bad_after = 1 << 60
        self.asked = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                await asyncio.sleep(self.delays.get(head.split(b" ", 2)[1], self.delay))
                bad = self.asked > self.bad_after
                status = b"500 Oh" if bad else b"200 OK"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


@contextmanager
def service(delay: float = 0.002) -> Iterator[Service]:
    """Such a target, on a thread of its own."""
    told = Service(delay)
    loop = asyncio.new_event_loop()
    begun = threading.Event()

    async def main() -> None:
        server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
        told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        begun.set()
        async with server:
            await ended.wait()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    begun.wait(10)
    try:
        yield told
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
