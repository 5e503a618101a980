"""The client's direction of a connection, framed into requests: bytes and gaps in, requests out.

A request begins with its first byte, empty lines before its request line included, and every byte
of the stream belongs to some request. Where framing is lost (garbage, a fatal defect, a gap in a
head) bytes go to the request at hand until a whole, plausible request line begins a line, or,
after a gap, a segment; or until the server has answered what it got.

After CONNECT or Upgrade what follows is held until the answer says what it is.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Protocol

from .defects import FATAL, Defect
from .exchange import Exchange, Flag, Kind, RequestEnd
from .http1_body import Body, Chunked, Sized
from .http1_head import LINE, Heads, RequestLine, read_line

PAUSE_NS = 2_000_000
"""A piece of a request is noted where the pause before it is longer than this."""

MOST_PIECES = 4096
_HEAD_LIMIT = 1 << 18
_LINE_LIMIT = 8192
_HELD_LIMIT = 1 << 16
_BLANKS = re.compile(rb"(?:\r?\n)*")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_RESYNC = re.compile(rb"\n" + LINE.pattern)


class Mode(IntEnum):
    """What the next byte of a client's stream is part of."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    LOST = 3
    TUNNEL = 4
    HELD = 5


class Pairing(Protocol):
    """What requests are handed to."""

    heads: Heads
    max_body: int

    def begin(self, time_ns: int) -> Exchange: ...

    def request_done(self, exchange: Exchange) -> None: ...

    def tunnelled(self, time_ns: int) -> Exchange: ...


class Requests:
    """Frames the client's direction of one connection."""

    __slots__ = (
        "_body", "_buffer", "_gappy", "_held", "_held_bytes", "_last_ns", "_limit", "_line",
        "_line_start", "_pairing", "_pieces", "_scan", "_tail", "exchange", "mode",
    )  # fmt: skip

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self.mode = Mode.IDLE
        self.exchange: Exchange | None = None  # the request that is not complete yet
        self._buffer = bytearray()
        self._tail = b""  # of a lost stream: the line that may yet begin a request
        self._line: RequestLine | None = None
        self._line_start = 0
        self._scan = 0
        self._body: Body | None = None
        self._pieces: list[tuple[int, int]] = []
        self._last_ns = 0
        self._limit = 0
        self._gappy = False
        self._held: list[tuple[int, bytes, int]] = []
        self._held_bytes = 0

    def data(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self.exchange is not None and time_ns - self._last_ns > PAUSE_NS:
            self._note_piece(self.exchange, time_ns)
        if self.mode == Mode.LOST and self._gappy and LINE.match(data):
            self._flush()
            self._finish()
        at = 0
        while at < len(data):
            at = self._step(time_ns, data, at)
        self._last_ns = time_ns

    def gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the stream were never seen."""
        if self.mode == Mode.HELD:
            self._hold(time_ns, b"", count)
            return
        while count:
            exchange = self.exchange or self._begin(time_ns)
            self._last_ns = time_ns
            took = count
            if self.mode == Mode.BODY and self._body is not None:
                took = self._body.skip(count)
                if self._body.broken:
                    self._lose(RequestEnd.GAP)
            elif self.mode == Mode.HEAD:
                exchange.kind = Kind.MALFORMED
                exchange.defects |= Defect.GAP_IN_HEAD
                self._lose(RequestEnd.GAP)
            elif self.mode == Mode.LOST:
                self._flush()
                self._gappy = True
            exchange.missing_bytes += took
            exchange.request_bytes += took
            room = max(0, self._limit - len(self._buffer))
            self._buffer += b"x" * min(took, room)
            count -= took
            if self.mode == Mode.BODY and self._body is not None and self._body.done:
                self._finish()

    def release(self, tunnel: bool) -> None:
        """The answer to a CONNECT or Upgrade says whether what follows is a tunnel."""
        held, self._held, self._held_bytes = self._held, [], 0
        self.mode = Mode.TUNNEL if tunnel else Mode.IDLE
        for time_ns, data, missing in held:
            if missing:
                self.gap(time_ns, missing)
            else:
                self.data(time_ns, data)

    def answered(self) -> None:
        """The request at hand was answered: if its end was lost, it is here."""
        if self.mode == Mode.LOST:
            self._flush()
            self._finish()

    def end(self, how: RequestEnd) -> None:
        """The stream has ended."""
        if self.mode == Mode.HELD:
            self.release(bool(self._held) and not LINE.match(self._held[0][1]))
        exchange = self.exchange
        if exchange is None:
            return
        if self.mode == Mode.LOST:
            self._flush()
        elif self.mode == Mode.HEAD and self._line is None:
            exchange.kind = Kind.MALFORMED
        if self.mode in (Mode.HEAD, Mode.BODY):
            exchange.defects |= Defect.CUT
            exchange.ended = how
        self._finish()

    def _step(self, time_ns: int, data: bytes, at: int) -> int:
        mode = self.mode
        if mode == Mode.HELD:
            self._hold(time_ns, data[at:], 0)
            return len(data)
        exchange = self.exchange or self._begin(time_ns)
        exchange.request_last_ns = time_ns
        if self.mode == Mode.HEAD:
            return self._head(data, at)
        if mode == Mode.BODY and self._body is not None:
            return self._take_body(exchange, self._body, data, at)
        if mode == Mode.LOST:
            return self._resync(time_ns, data, at)
        self._take(data[at:])
        if len(self._buffer) >= self._limit or len(self._pieces) >= MOST_PIECES:
            self._finish()
        return len(data)

    def _begin(self, time_ns: int) -> Exchange:
        if self.mode == Mode.TUNNEL:
            self.exchange = self._pairing.tunnelled(time_ns)
        else:
            self.exchange = self._pairing.begin(time_ns)
            self.mode = Mode.HEAD
        self._limit = self._pairing.max_body
        self.exchange.request_first_ns = self.exchange.request_last_ns = time_ns
        return self.exchange

    def adopt(self, exchange: Exchange) -> None:
        """A tunnel whose server spoke first: the client's bytes will join its exchange."""
        self.exchange = exchange
        self._limit = self._pairing.max_body

    def _note_piece(self, exchange: Exchange, time_ns: int) -> None:
        at = exchange.request_bytes + len(self._tail)
        if at and len(self._pieces) < MOST_PIECES:
            self._pieces.append((at, time_ns))

    def _hold(self, time_ns: int, data: bytes, missing: int) -> None:
        self._held.append((time_ns, data, missing))
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_LIMIT:
            self.release(not LINE.match(self._held[0][1]))

    def _take(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.request_bytes += len(data)
            room = self._limit - len(self._buffer)
            if room > 0:
                self._buffer += data[:room]

    def _head(self, data: bytes, at: int) -> int:
        exchange, buffer = self.exchange, self._buffer
        assert exchange is not None
        known = len(buffer)
        buffer += data[at:]
        end = self._head_end()
        if end:
            del buffer[end:]
            exchange.request_bytes = end
            self._head_done(exchange, end)
            return at + end - known
        exchange.request_bytes = len(buffer)
        if len(buffer) > _HEAD_LIMIT:
            exchange.defects |= Defect.HEAD_TOO_LARGE
            self._lose(RequestEnd.COMPLETE)
        return len(data)

    def _head_end(self) -> int:
        """Where the head at hand ends; 0 while it is not known."""
        buffer = self._buffer
        if self._line is None:
            blanks = _BLANKS.match(buffer)
            start = blanks.end() if blanks else 0
            stop = buffer.find(b"\n", start) + 1
            if not stop:
                return 0
            self._line = read_line(bytes(buffer[start:stop]))
            self._line_start, self._scan = start, stop - 1
            if self._line.version == 9 or self._line.defects & FATAL:
                return stop
        found = _EMPTY_LINE.search(buffer, self._scan)
        if not found:
            self._scan = max(self._scan, len(buffer) - 2)
            return 0
        return found.end()

    def _head_done(self, exchange: Exchange, end: int) -> None:
        line = self._line
        assert line is not None
        if self._line_start:
            exchange.defects |= Defect.LEADING_BLANK_LINES
        exchange.defects |= line.defects
        self._limit = end + self._pairing.max_body
        if line.defects & FATAL:
            self._lose(RequestEnd.COMPLETE)
            return
        exchange.head_bytes = end
        if line.version == 9:
            self._finish()
            return
        start = self._buffer.find(b"\n", self._line_start) + 1
        fields = self._pairing.heads.fields(bytes(self._buffer[start:end]))
        exchange.defects |= fields.defects
        if line.version == 11 and not fields.hosts:
            exchange.defects |= Defect.HOST_MISSING
        if line.version == 10 and fields.coded:
            exchange.defects |= Defect.CODING_OLD
        if fields.expect:
            exchange.flags |= Flag.EXPECT_CONTINUE
        if exchange.defects & FATAL:
            self._lose(RequestEnd.COMPLETE)
        elif fields.chunked or fields.length > 0:
            self._body = Chunked() if fields.chunked else Sized(fields.length)
            self.mode = Mode.BODY
        else:
            self._finish()
        if line.method == b"CONNECT" or fields.upgrade:
            self._hold_after(exchange)

    def _hold_after(self, exchange: Exchange) -> None:
        if self.mode == Mode.IDLE:
            self.mode = Mode.HELD
        else:
            exchange.flags |= Flag.UPGRADED  # until its answer says otherwise

    def _take_body(self, exchange: Exchange, body: Body, data: bytes, at: int) -> int:
        end = body.take(data, at, None)
        self._take(data[at:end] if at or end < len(data) else data)
        if body.loose:
            exchange.defects |= Defect.CHUNK_BARE_LF
        if body.done:
            self._finish()
        elif body.broken:
            exchange.defects |= Defect.CHUNK_INVALID
            self._lose(RequestEnd.COMPLETE)
        return end

    def _lose(self, ended: RequestEnd) -> None:
        exchange = self.exchange
        assert exchange is not None
        if ended == RequestEnd.COMPLETE:
            exchange.kind = Kind.MALFORMED
        exchange.ended = ended
        self.mode = Mode.LOST
        self._gappy = ended == RequestEnd.GAP
        self._limit = max(self._limit, len(self._buffer))

    def _resync(self, time_ns: int, data: bytes, at: int) -> int:
        """Look for the next plausible request; until then bytes belong to the one at hand."""
        text = self._tail + data[at:]
        fresh = not self._tail and self._buffer[-1:] == b"\n"
        anchored = fresh or bool(self._tail)
        found = _RESYNC.search(text)
        start = 0 if anchored and LINE.match(text) else found.start() + 1 if found else -1
        if start >= 0:
            self._tail = b""
            self._take(text[:start])
            self._finish()
            self.data(time_ns, text[start:])
            return len(data)
        cut = text.rfind(b"\n") + 1
        if (not anchored and not cut) or len(text) - cut > _LINE_LIMIT:
            cut = len(text)
        self._tail = text[cut:]
        self._take(text[:cut])
        return len(data)

    def _flush(self) -> None:
        tail, self._tail = self._tail, b""
        self._take(tail)

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        exchange.request = bytes(self._buffer)
        exchange.pieces = tuple(self._pieces)
        if exchange.request_bytes > len(exchange.request):
            exchange.flags |= Flag.CUT_BY_CAPTURE
        held = bool(exchange.flags & Flag.UPGRADED)
        exchange.flags &= ~Flag.UPGRADED
        self._buffer = bytearray()
        self._pieces = []
        self._line, self._body, self._line_start, self._scan = None, None, 0, 0
        self.exchange = None
        if self.mode != Mode.TUNNEL:
            self.mode = Mode.HELD if held else Mode.IDLE
        self._gappy = False
        self._pairing.request_done(exchange)
