"""The server's direction of a connection, framed into responses: bytes and gaps in, answers out.

A response answers the oldest request that has no answer yet. Interim responses (1xx) count
towards the bytes of the final one. Bodies are digested as they pass, chunked coding undone, and
kept only where that is asked for. Of very many answers under way at once most are in the middle
of a body of known length: a `Rest` is all that is held of such a one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from ..defects import Defect
from ..exchange import Exchange, Flag, Kind
from .body import ENDLESS, Body, Chunked, Sized
from .framing import Answered
from .head import EMPTY_LINE, HEAD_LIMIT, HEAD_STEP, STATUS_LINE, ResponseHead

if TYPE_CHECKING:
    from xxhash import xxh64


class Mode(IntEnum):
    """What the next byte of a server's stream is part of."""

    HEAD = 0
    BODY = 1
    JUNK = 2  # no response begins here, or its end was lost
    TUNNEL = 3


class Rest:
    """The rest of a body of known length, all of it seen so far and nothing more of it kept.

    It answers the oldest request that waits.
    """

    __slots__ = ("digest", "left")

    def __init__(self, left: int, digest: xxh64) -> None:
        self.left = left  # bytes, at least one
        self.digest = digest

    def take(self, time_ns: int, data: bytes, exchange: Exchange) -> None:
        """Take the next bytes of the stream, which are `left` at most."""
        self.digest.update(data)
        self.left -= len(data)
        exchange.response_bytes += len(data)
        exchange.response_last_ns = time_ns


class Responses:
    """Frames the server's direction of one connection."""

    __slots__ = (
        "_body", "_buffer", "_digest", "_digested", "_first_ns", "_kept", "_pairing", "_room",
        "exchange", "kind", "mode",
    )  # fmt: skip

    def __init__(self, pairing: Answered) -> None:
        self._pairing = pairing
        self.mode = Mode.HEAD
        self.kind = Kind.TCP  # of a tunnel
        self.exchange: Exchange | None = None  # the one whose response is not complete yet
        self._buffer: bytes | bytearray = b""  # of a head
        self._first_ns = 0
        self._kept: bytes | bytearray = b""  # of the response, from its final head on
        self._room = 0  # for so much more of it
        self._body: Body | None = None
        self._digest: xxh64 | None = None  # while all of the body was seen
        self._digested = False  # there is a body

    @property
    def idle(self) -> bool:
        """Nothing of the next response was seen."""
        return self.exchange is None and not self._buffer and self.mode == Mode.HEAD

    def rest(self) -> Rest | None:
        """What is left of the response, where that tells all: `resume` makes this of it again."""
        exchange, body, digest = self.exchange, self._body, self._digest
        if self.mode != Mode.BODY or not self._digested or self._room > 0:
            return None
        if exchange is None or digest is None or not isinstance(body, Sized):
            return None
        exchange.response = bytes(self._kept)
        return Rest(body.left, digest)

    def resume(self, rest: Rest, exchange: Exchange) -> None:
        """Go on in the middle of a body."""
        self.exchange, self._digest, self._digested = exchange, rest.digest, True
        self._kept = exchange.response
        self._body = Sized(rest.left)
        self.mode = Mode.BODY

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
        elif self.mode == Mode.HEAD:
            self._lose_head(exchange)
        exchange.response_bytes += took
        if self.mode == Mode.BODY and self._body is not None and self._body.done:
            self._finish()
            if took < count:
                self.gap(time_ns, count - took)

    def end(self, whole: bool) -> None:
        """The stream has ended; `whole` where the server closed it in good order."""
        if self._buffer:
            self._begin(self._first_ns)
        exchange = self.exchange
        if exchange is None:
            return
        endless = isinstance(self._body, Sized) and self._body.left > ENDLESS >> 1
        if self._buffer or (self.mode == Mode.BODY and not (endless and whole)):
            exchange.flags |= Flag.RESPONSE_CUT
            self._digest = None
            self._lose_head(exchange)
        elif self.mode == Mode.HEAD:
            exchange.flags |= Flag.NO_RESPONSE  # interim ones only
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
            self._first_ns, self._buffer = time_ns, bytearray()
        known = len(self._buffer)
        self._buffer += data[at : at + HEAD_STEP]
        if not b"HTTP/".startswith(self._buffer[:5].upper()):
            return self._no_head(time_ns, at, known)
        found = EMPTY_LINE.search(self._buffer, max(0, known - 2))
        if not found:
            exchange = self._begin(self._first_ns)
            exchange.response_last_ns = time_ns
            place = at + len(self._buffer) - known
            if len(self._buffer) > HEAD_LIMIT:
                exchange.flags |= Flag.RESPONSE_MALFORMED
                self._lose_head(exchange)
            return place
        end = found.end()
        head = bytes(self._buffer[:end])
        self._buffer = b""
        self._head_done(time_ns, head)
        return at + end - known

    def _no_head(self, time_ns: int, at: int, known: int) -> int:
        """No head begins here: the whole answer to an HTTP/0.9 request, or junk."""
        exchange = self._begin(self._first_ns)
        self._pairing.final_head(exchange)
        self._buffer = self._buffer[:known]
        if not exchange.defects & Defect.HTTP09 or exchange.flags & Flag.RESPONSE_GAP:
            exchange.flags |= Flag.RESPONSE_MALFORMED
            self._lose_head(exchange)
            return at
        start, self._buffer = bytes(self._buffer), b""
        self._room = self._pairing.framing.max_body if self._pairing.framing.keep_bodies else 0
        self._read_body(Sized(ENDLESS))
        if start:
            self._take_body(time_ns, start, 0)
        return at

    def _lose_head(self, exchange: Exchange) -> None:
        """What came of a head is no head."""
        exchange.response_bytes += len(self._buffer)
        self._room = self._pairing.framing.max_body
        self._keep(self._buffer)
        if not self._pairing.framing.keep_bodies:
            self._room = 0
        self._buffer = b""
        self.mode = Mode.JUNK

    def _head_done(self, time_ns: int, data: bytes) -> None:
        exchange = self._begin(self._first_ns)
        head = self._pairing.framing.heads.response(data)
        exchange.response_bytes += len(data)
        exchange.response_last_ns = time_ns
        if 100 <= head.status < 200 and head.status != 101:
            return
        exchange.response_first_ns = self._first_ns
        exchange.status = head.status
        exchange.response_head_bytes = len(data)
        self._kept = head.text
        self._room = self._pairing.framing.max_body if self._pairing.framing.keep_bodies else 0
        if head.malformed:
            exchange.flags |= Flag.RESPONSE_MALFORMED
        self._pairing.final_head(exchange)
        self._frame(exchange, head)

    def _frame(self, exchange: Exchange, head: ResponseHead) -> None:
        method = self._pairing.method(exchange)
        switches = head.status == 101 or (method == b"CONNECT" and 200 <= head.status < 300)
        if switches:
            exchange.response = bytes(self._kept)
            if self._pairing.switch(exchange, head):
                self._kept = b""
                return
        if method == b"HEAD" or (head.length == 0 and not head.chunked):
            self._finish()
            return
        length = head.length if head.length >= 0 else ENDLESS
        self._read_body(Chunked() if head.chunked else Sized(length))

    def _read_body(self, body: Body) -> None:
        self._body = body
        self._digest = self._pairing.framing.digester.begin()
        self._digested = False
        self.mode = Mode.BODY

    def _digest_more(self, data: bytes) -> None:
        if self._digest is not None and data:
            self._digest.update(data)
            self._digested = True

    def _take_body(self, time_ns: int, data: bytes, at: int) -> int:
        exchange, body = self.exchange, self._body
        assert exchange is not None
        assert body is not None
        end = body.take(data, at, self._digest_more)
        exchange.response_bytes += end - at
        exchange.response_last_ns = time_ns
        if self._room > 0:
            self._keep(data[at:end])
        if body.done:
            self._finish()
        elif body.broken:
            exchange.flags |= Flag.RESPONSE_MALFORMED
            self._digest = None
            self.mode = Mode.JUNK
        return end

    def _take_tunnel(self, time_ns: int, data: bytes, at: int) -> int:
        exchange = self._pairing.tunnelled(time_ns)
        if not exchange.response_bytes:
            exchange.response_first_ns = time_ns
        exchange.response_bytes += len(data) - at
        exchange.response_last_ns = time_ns
        room = self._pairing.framing.max_body - len(exchange.response)
        if self._pairing.framing.keep_bodies and room > 0:
            exchange.response += data[at : at + room]
        return len(data)

    def _take_junk(self, time_ns: int, data: bytes, at: int) -> int:
        if STATUS_LINE.match(data, at) and data.startswith((b"HTTP/1.", b"http/1."), at):
            exchange = self.exchange
            if exchange is not None and self._is_over(exchange):
                gap = exchange.flags & Flag.RESPONSE_GAP
                self._finish()
                if gap:
                    self._pairing.after_gap()
            self._kept = b""  # junk before a head is only counted
            self.mode = Mode.HEAD
            return at
        exchange = self._begin(time_ns)
        exchange.response_bytes += len(data) - at
        exchange.response_last_ns = time_ns
        self._keep(data[at:])
        return len(data)

    def _is_over(self, exchange: Exchange) -> bool:
        """A head that follows the junk of this exchange belongs to another one.

        What came of an answer before anybody asked, as at the start of a capture, ends where the
        answer to a request that was seen begins.
        """
        if exchange.flags & Flag.UNSOLICITED_RESPONSE:
            return bool(exchange.status) or self._pairing.one_waits
        return bool(exchange.status) or self._pairing.others_wait

    def _keep(self, data: bytes | bytearray) -> None:
        if self._room > 0:
            if isinstance(self._kept, bytes):
                self._kept = bytearray(self._kept)
            self._kept += data[: self._room]
            self._room -= len(data)

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if self._digest is not None and self._digested:
            exchange.response_digest = self._pairing.framing.digester.end(self._digest)
        if self._kept:
            exchange.response = bytes(self._kept)
            self._kept = b""
        self._digest, self._body, self.exchange = None, None, None
        self._digested, self._room = False, 0
        if self.mode != Mode.TUNNEL:
            self.mode = Mode.HEAD
        self._pairing.response_done(exchange)
