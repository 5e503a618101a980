"""The server's direction of a connection, framed into responses: bytes and gaps in, answers out.

A response answers the oldest request that has no answer yet. Interim responses (1xx) count
towards the bytes of the final one. Bodies are digested as they pass, chunked coding undone, and
kept only where that is asked for.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from .exchange import Exchange, Flag
from .http1_body import ENDLESS, Body, Chunked, Sized
from .http1_head import STATUS_LINE, Heads, ResponseHead

if TYPE_CHECKING:
    from hashlib import blake2b

_HEAD_LIMIT = 1 << 18
_EMPTY_LINE = re.compile(rb"\n\r?\n")


class Mode(IntEnum):
    """What the next byte of a server's stream is part of."""

    HEAD = 0
    BODY = 1
    JUNK = 2  # no response begins here, or its end was lost
    TUNNEL = 3


class Pairing(Protocol):
    """What responses are handed to."""

    heads: Heads
    max_body: int
    keep_bodies: bool
    digest: blake2b

    def to_answer(self, time_ns: int) -> Exchange: ...

    def method(self, exchange: Exchange) -> bytes: ...

    def final_head(self, exchange: Exchange) -> None: ...

    def response_done(self, exchange: Exchange) -> None: ...

    def after_gap(self) -> None: ...

    def switch(self, exchange: Exchange, head: ResponseHead) -> bool: ...

    def tunnelled(self, time_ns: int) -> Exchange: ...


class Responses:
    """Frames the server's direction of one connection."""

    __slots__ = (
        "_body", "_buffer", "_digest", "_first_ns", "_head", "_pairing", "_scan", "exchange",
        "mode",
    )  # fmt: skip

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self.mode = Mode.HEAD
        self.exchange: Exchange | None = None  # the one whose response is not complete yet
        self._buffer = b""
        self._scan = 0
        self._first_ns = 0
        self._head = b""
        self._body: Body | None = None
        self._digest: Any = None

    @property
    def idle(self) -> bool:
        """Nothing of the next response was seen."""
        return self.exchange is None and not self._buffer and self.mode == Mode.HEAD

    def data(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the stream."""
        at = 0
        while at < len(data):
            mode = self.mode
            if mode == Mode.HEAD:
                at = self._take_head(time_ns, data, at)
            elif mode == Mode.BODY:
                at = self._take_body(time_ns, data, at)
            elif mode == Mode.TUNNEL:
                at = self._take_tunnel(time_ns, data, at)
            else:
                at = self._take_junk(time_ns, data, at)

    def gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the stream were never seen."""
        if self.mode == Mode.TUNNEL:
            exchange = self._pairing.tunnelled(time_ns)
        else:
            exchange = self._begin(time_ns)
        exchange.flags |= Flag.RESPONSE_GAP
        exchange.response_last_ns = time_ns
        self._digest = None
        took = count
        if self.mode == Mode.BODY and self._body is not None:
            took = self._body.skip(count)
            if self._body.broken:
                self.mode = Mode.JUNK
        elif self.mode != Mode.TUNNEL:
            exchange.response_bytes += len(self._buffer)
            self._buffer, self.mode = b"", Mode.JUNK
        exchange.response_bytes += took
        if self.mode == Mode.BODY and self._body is not None and self._body.done:
            self._finish()
            if took < count:
                self.gap(time_ns, count - took)

    def end(self, whole: bool) -> None:
        """The stream has ended; `whole` where the server closed it in good order."""
        if self._buffer and self.exchange is None:
            self._begin(self._first_ns)
        exchange = self.exchange
        if exchange is None:
            return
        endless = isinstance(self._body, Sized) and self._body.left > ENDLESS >> 1
        exchange.response_bytes += len(self._buffer)
        if self._buffer or not (self.mode == Mode.BODY and endless and whole):
            if self.mode != Mode.JUNK:
                exchange.flags |= Flag.RESPONSE_CUT
            if not exchange.response:
                exchange.response = self._buffer[: self._pairing.max_body]
        self._buffer = b""
        self._finish()

    def _begin(self, time_ns: int) -> Exchange:
        if self.exchange is None:
            self.exchange = self._pairing.to_answer(time_ns)
            self.exchange.response_first_ns = time_ns
        return self.exchange

    def _take_head(self, time_ns: int, data: bytes, at: int) -> int:
        if not self._buffer:
            start = at
            while at < len(data) and data[at] in b"\r\n":
                at += 1
            if self.exchange is not None:
                self.exchange.response_bytes += at - start
            if at == len(data):
                return at
            self._first_ns, self._scan = time_ns, 0
        known = len(self._buffer)
        self._buffer += data[at:]
        if not self._buffer.startswith(b"HTTP/"[: len(self._buffer)]):
            return self._junk(at, known)
        found = _EMPTY_LINE.search(self._buffer, self._scan)
        if not found:
            self._scan = max(0, len(self._buffer) - 2)
            exchange = self._begin(self._first_ns)
            exchange.response_last_ns = time_ns
            return self._junk(at, known) if len(self._buffer) > _HEAD_LIMIT else len(data)
        end = found.end()
        self._head, self._buffer = self._buffer[:end], b""
        self._head_done(time_ns)
        return at + end - known

    def _junk(self, at: int, known: int) -> int:
        exchange = self._begin(self._first_ns)
        self._pairing.final_head(exchange)
        if not exchange.request.startswith(b"GET ") or (exchange.head_bytes > 2 and (
            b"HTTP/" in exchange.request[: exchange.head_bytes]
        )):
            exchange.flags |= Flag.RESPONSE_MALFORMED
        exchange.response_bytes += known
        self._head, self._buffer = self._buffer[:known], b""
        self.mode = Mode.JUNK
        return at

    def _head_done(self, time_ns: int) -> None:
        exchange = self._begin(self._first_ns)
        head = self._pairing.heads.response(self._head)
        exchange.response_bytes += len(self._head)
        exchange.response_last_ns = time_ns
        if 100 <= head.status < 200 and head.status != 101:
            return
        exchange.response_first_ns = self._first_ns
        exchange.status = head.status
        exchange.response = self._head
        exchange.response_head_bytes = len(self._head)
        if head.malformed:
            exchange.flags |= Flag.RESPONSE_MALFORMED
        self._pairing.final_head(exchange)
        self._frame(exchange, head)

    def _frame(self, exchange: Exchange, head: ResponseHead) -> None:
        method = self._pairing.method(exchange)
        switches = head.status == 101 or (method == b"CONNECT" and 200 <= head.status < 300)
        if switches and self._pairing.switch(exchange, head):
            return
        if method == b"HEAD" or (head.length == 0 and not head.chunked):
            self._finish()
            return
        length = head.length if head.length >= 0 else ENDLESS
        self._body = Chunked() if head.chunked else Sized(length)
        if not exchange.flags & Flag.RESPONSE_GAP:
            self._digest = self._pairing.digest.copy()
        self.mode = Mode.BODY

    def _take_body(self, time_ns: int, data: bytes, at: int) -> int:
        exchange, body = self.exchange, self._body
        assert exchange is not None
        assert body is not None
        end = body.take(data, at, self._digest.update if self._digest is not None else None)
        exchange.response_bytes += end - at
        exchange.response_last_ns = time_ns
        self._keep(exchange, data[at:end])
        if body.done:
            self._finish()
        elif body.broken:
            exchange.flags |= Flag.RESPONSE_MALFORMED
            self.mode = Mode.JUNK
        return end

    def _take_tunnel(self, time_ns: int, data: bytes, at: int) -> int:
        exchange = self._pairing.tunnelled(time_ns)
        if not exchange.response_bytes:
            exchange.response_first_ns = time_ns
        exchange.response_bytes += len(data) - at
        exchange.response_last_ns = time_ns
        self._keep(exchange, data[at:])
        return len(data)

    def _take_junk(self, time_ns: int, data: bytes, at: int) -> int:
        if STATUS_LINE.match(data, at) and data.startswith((b"HTTP/1.", b"http/1."), at):
            if self.exchange is not None:
                gap = bool(self.exchange.flags & Flag.RESPONSE_GAP)
                if gap:
                    self._pairing.after_gap()
                self._finish()
            self.mode = Mode.HEAD
            return at
        exchange = self._begin(time_ns)
        exchange.response_bytes += len(data) - at
        exchange.response_last_ns = time_ns
        self._keep(exchange, data[at:])
        return len(data)

    def _keep(self, exchange: Exchange, data: bytes) -> None:
        if self._pairing.keep_bodies:
            room = self._pairing.max_body + exchange.response_head_bytes - len(exchange.response)
            if room > 0:
                exchange.response += data[:room]

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self._digest is not None:
            exchange.response_digest = int.from_bytes(self._digest.digest(), "little")
        self._digest, self._body, self.exchange = None, None, None
        self._head = b""
        if self.mode != Mode.TUNNEL:
            self.mode = Mode.HEAD
        self._pairing.response_done(exchange)
