"""A client of raw sockets: it sends the bytes it is given, in the pieces it is given them.

It reads just enough of HTTP/1 to know where an answer ends (Content-Length, chunked, close).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 60.0


@dataclass
class Tally:
    """What was done and what came of it."""

    sessions: int = 0
    requests: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    service_ms: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A status, and the session cookie where one was set."""

    status: int
    session: str | None


class Client:
    """One connection to the shop."""

    def __init__(self, url: str, tally: Tally) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.authority = f"{self.host}:{self.port}"
        self.tally = tally
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close with a reset."""
        self._writer.transport.abort()

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send bytes as they are, with a pause between the pieces."""
        for number, piece in enumerate(pieces):
            if number and pause:
                await asyncio.sleep(pause)
            self._writer.write(piece)
            await self._writer.drain()

    async def ask(
        self,
        method: str,
        target: str,
        kind: str,
        session: str = "",
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request and read its answer."""
        started = time.perf_counter()
        await self.send(request(self.authority, method, target, session, body, content_type))
        answer = await self.answer()
        took = time.perf_counter() - started
        self.tally.service_ms.setdefault(kind, []).append(1000 * took)
        return answer

    async def answer(self) -> Answer:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            fields = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
            values = {name.strip().lower(): value.strip() for name, _, value in fields}
            if values.get(b"transfer-encoding") == b"chunked":
                await self._chunks()
            elif b"content-length" in values:
                await self._reader.readexactly(int(values[b"content-length"]))
        self.tally.requests += 1
        self.tally.statuses[status] += 1
        cookie = values.get(b"set-cookie", b"").decode("latin-1")
        session = cookie.partition("session=")[2].partition(";")[0]
        return Answer(status, session or None)

    async def _chunks(self) -> None:
        while size := int(await self._reader.readline(), 16):
            await self._reader.readexactly(size + 2)
        await self._reader.readline()


def request(
    authority: str,
    method: str,
    target: str,
    session: str = "",
    body: bytes = b"",
    content_type: str = "application/json",
) -> bytes:
    """The bytes of a well-formed request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {authority}", "User-Agent: traffic/1.0"]
    lines.append("Accept: */*")
    if session:
        lines.append(f"Cookie: session={session}")
    if body or method == "POST":
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
