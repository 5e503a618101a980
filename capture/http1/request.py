"""The client's direction of a connection, framed into requests: bytes and gaps in, requests out.

A request begins with its first byte, empty lines before its request line included, and every byte
of the stream belongs to some request. Where framing is lost (garbage, a fatal defect, a gap in a
head) bytes go to the request at hand until a whole, plausible request line begins a line, or,
after a gap, a segment; or until the server has answered what it got.

After CONNECT or Upgrade what follows is held until the answer says what it is.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ..defects import FATAL, Defect
from ..exchange import Exchange, Flag, Kind, RequestEnd
from .body import Body, Chunked, Sized
from .framing import Asked
from .head import CONTENTLESS, HEAD_LIMIT, HEAD_STEP, LINE
from .headend import HeadEnd
from .held import Held
from .pieces import Pieces
from .resync import Search

_TUNNEL_LEAST: Final = 1 << 12  # a tunnel's exchange takes at least so many bytes


class Mode(IntEnum):
    """What the next byte of a client's stream is part of."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    LOST = 3
    TUNNEL = 4
    HELD = 5


class Requests:
    """Frames the client's direction of one connection."""

    __slots__ = (
        "_body", "_buffer", "_gappy", "_head_end", "_held", "_last", "_limit",
        "_pairing", "_pieces", "_refused", "_search", "_will_hold", "exchange", "mode",
    )  # fmt: skip

    def __init__(self, pairing: Asked) -> None:
        self._pairing = pairing
        self.mode = Mode.IDLE
        self.exchange: Exchange | None = None  # the request that is not complete yet
        self._buffer = bytearray()
        self._head_end: HeadEnd | None = None
        self._body: Body | None = None
        self._search: Search | None = None  # while framing is lost
        self._pieces = Pieces(0)
        self._limit = 0
        self._gappy = False
        self._refused = False  # the answer came instead of "100 Continue"
        self._will_hold = False  # its answer may switch protocols
        self._held: Held | None = None
        self._last = False  # it says that no other will come

    @property
    def idle(self) -> bool:
        """Nothing of the next request was seen, nor is this a tunnel."""
        return self.mode == Mode.IDLE and self.exchange is None and not self._held

    # --- what comes in

    def data(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the stream."""
        at = 0 if self.mode == Mode.HELD else self._run(time_ns, data, 0)
        if at < len(data):
            self._hold(time_ns, data, 0, at)

    def gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the stream were never seen."""
        if self.mode != Mode.HELD:
            count = self._pass_over(time_ns, count)
        if count:
            self._hold(time_ns, b"", count, 0)

    def release(self, tunnel: bool) -> None:
        """The answer to a CONNECT or Upgrade says whether what follows is a tunnel."""
        if self.exchange is not None:  # it never asked for this: what came of it is all
            self._give_up_search()
            self._finish()
        self.mode = Mode.TUNNEL if tunnel else Mode.IDLE
        held = self._held
        while held and self.mode != Mode.HELD:
            time_ns, data, missing, at = held.take()
            if missing:
                missing = self._pass_over(time_ns, missing)
            else:
                at = self._run(time_ns, data, at)
            if missing or at < len(data):
                held.put_back((time_ns, data, missing, at))
            if held.too_much:
                self._judge(held)

    def _judge(self, held: Held) -> None:
        if self.mode == Mode.HELD:  # no answer came, and too much waits for it
            self.mode = Mode.TUNNEL if held.speaks_otherwise() else Mode.IDLE

    def answered(self) -> None:
        """The request at hand was answered: if its end was lost, it is here."""
        exchange = self.exchange
        if self.mode == Mode.LOST:
            self._give_up_search()
            self._finish()
        elif self.mode == Mode.BODY and exchange is not None:
            unsent = exchange.request_bytes == exchange.head_bytes
            self._refused = unsent and bool(exchange.flags & Flag.EXPECT_CONTINUE)

    def end(self, how: RequestEnd) -> None:
        """The stream has ended."""
        while self.mode == Mode.HELD and self._held:
            self.release(self._held.speaks_otherwise())
        exchange = self.exchange
        if exchange is None:
            return
        if self.mode == Mode.LOST:
            self._give_up_search()
        elif self.mode == Mode.HEAD:
            head_end = self._head_end or HeadEnd()
            exchange.defects |= head_end.line_defects(self._buffer)
            if head_end.line is None:
                exchange.kind = Kind.MALFORMED
        blank = self.mode == Mode.HEAD and not self._buffer.strip(b"\r\n")
        if self.mode in (Mode.HEAD, Mode.BODY) and not blank:
            exchange.defects |= Defect.CUT
            exchange.ended = how
        self._finish()

    def adopt(self, exchange: Exchange) -> None:
        """A tunnel whose server spoke first: the client's bytes will join its exchange."""
        self.exchange = exchange
        self._limit = self._pairing.framing.max_body
        self._pieces = Pieces(exchange.request_first_ns)

    def _hold(self, time_ns: int, data: bytes, missing: int, at: int) -> None:
        held = self._held = self._held or Held()
        held.add((time_ns, data, missing, at))
        if held.too_much:
            self.release(held.speaks_otherwise())

    # --- framing

    def _run(self, time_ns: int, data: bytes, at: int) -> int:
        """Frame `data` from `at` on; the place where it is to be held, or its end."""
        if not at and self.exchange is not None:
            if (self._gappy or self._refused) and LINE.match(data):
                self._leave()
            else:
                self._note(self.exchange, time_ns)
        while at < len(data) and self.mode != Mode.HELD:
            at = self._step(time_ns, data, at)
        return at

    def _step(self, time_ns: int, data: bytes, at: int) -> int:
        exchange = self.exchange or self._begin(time_ns)
        mode = self.mode
        if mode == Mode.LOST and self._search is not None:
            return self._resync(exchange, self._search, time_ns, data, at)
        exchange.request_last_ns = time_ns
        if mode == Mode.HEAD:
            return self._head(exchange, data, at)
        if mode == Mode.BODY and self._body is not None:
            return self._take_body(exchange, self._body, data, at)
        most = max(self._limit, _TUNNEL_LEAST)
        end = min(len(data), at + max(1, most - exchange.request_bytes))
        self._take(exchange, data[at:end])
        if exchange.request_bytes >= most or self._pieces.full:
            self._finish()
        return end

    def _pass_over(self, time_ns: int, count: int) -> int:
        """Missing bytes go to the request at hand; how many of them are to be held."""
        while count and self.mode != Mode.HELD:
            exchange = self.exchange or self._begin(time_ns)
            self._note(exchange, time_ns)
            took = count
            if self.mode == Mode.BODY and self._body is not None:
                took = self._body.skip(count)
                if self._body.broken:
                    self._lose(exchange, RequestEnd.GAP)
            elif self.mode == Mode.HEAD:
                exchange.kind = Kind.MALFORMED
                exchange.defects |= Defect.GAP_IN_HEAD
                self._lose(exchange, RequestEnd.GAP)
            elif self.mode == Mode.LOST:
                self._give_up_search()
                self._gappy = True
            exchange.missing_bytes += took
            exchange.request_bytes += took
            self._buffer += b"x" * min(took, max(0, self._limit - len(self._buffer)))
            count -= took
            if self.mode == Mode.BODY and self._body is not None and self._body.done:
                self._finish()
        return count

    def _begin(self, time_ns: int) -> Exchange:
        if self.mode == Mode.TUNNEL:
            exchange = self._pairing.tunnelled(time_ns)
        else:
            exchange = self._pairing.begin(time_ns)
            self.mode = Mode.HEAD
        self.exchange = exchange
        self._limit = self._pairing.framing.max_body
        self._pieces = Pieces(time_ns)
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        return exchange

    def _note(self, exchange: Exchange, time_ns: int) -> None:
        kept_back = len(self._search.tail) if self._search is not None else 0
        self._pieces.note(exchange.request_bytes + kept_back, time_ns)

    def _take(self, exchange: Exchange, data: bytes) -> None:
        exchange.request_bytes += len(data)
        room = self._limit - len(self._buffer)
        if room > 0:
            self._buffer += data[:room]

    # --- heads

    def _head(self, exchange: Exchange, data: bytes, at: int) -> int:
        buffer = self._buffer
        known = len(buffer)
        buffer += data[at : at + HEAD_STEP]
        if self._head_end is None:
            self._head_end = HeadEnd()
        end = self._head_end.find(buffer)
        if 0 < end <= HEAD_LIMIT:
            del buffer[end:]
            exchange.request_bytes = end
            self._head_done(exchange, self._head_end, end)
            return at + end - known
        if len(buffer) > HEAD_LIMIT:
            del buffer[HEAD_LIMIT:]
            exchange.defects |= Defect.HEAD_TOO_LARGE
            self._lose(exchange, RequestEnd.COMPLETE)
        exchange.request_bytes = len(buffer)
        return at + len(buffer) - known

    def _head_done(self, exchange: Exchange, head: HeadEnd, end: int) -> None:
        line = head.line
        assert line is not None
        exchange.defects |= head.line_defects(self._buffer)
        self._limit = end + self._pairing.framing.max_body
        if line.defects & FATAL:
            self._lose(exchange, RequestEnd.COMPLETE)
            return
        exchange.head_bytes = end
        if line.version == 9:
            self._last = True
            self._finish()
            return
        fields, defects = head.fields(self._buffer, self._pairing.framing.heads)
        exchange.defects |= defects
        if fields.expect:
            exchange.flags |= Flag.EXPECT_CONTINUE
        if defects & FATAL:
            self._lose(exchange, RequestEnd.COMPLETE)
            return
        self._will_hold = line.method == b"CONNECT" or bool(fields.upgrade)
        self._last = fields.last(line.version)
        if fields.chunked or fields.length > 0:
            if line.method + b" " in CONTENTLESS:
                exchange.defects |= Defect.CONTENT_UNEXPECTED
            self._body = Chunked() if fields.chunked else Sized(fields.length)
            self.mode = Mode.BODY
        else:
            self._finish()

    # --- bodies

    def _take_body(self, exchange: Exchange, body: Body, data: bytes, at: int) -> int:
        self._refused = False
        end = body.take(data, at, None)
        self._take(exchange, data[at:end] if at or end < len(data) else data)
        exchange.defects |= body.defects
        if body.done:
            self._finish()
        elif body.broken:
            exchange.defects |= Defect.CHUNK_INVALID
            self._lose(exchange, RequestEnd.COMPLETE, data.endswith(b"\n", 0, end))
        return end

    def _leave(self) -> None:
        """A new request begins although the one at hand is not whole."""
        exchange = self.exchange
        assert exchange is not None
        if self._refused:
            exchange.defects |= Defect.CUT
        self._give_up_search()
        self._finish()

    def _lose(self, exchange: Exchange, ended: RequestEnd, line_start: bool | None = None) -> None:
        if ended == RequestEnd.COMPLETE:
            exchange.kind = Kind.MALFORMED
        exchange.ended = ended
        self.mode = Mode.LOST
        self._gappy = ended == RequestEnd.GAP
        at_line = self._buffer.endswith(b"\n") if line_start is None else line_start
        self._search = Search(at_line and not self._gappy)
        self._limit = max(self._limit, len(self._buffer))

    def _resync(
        self, exchange: Exchange, search: Search, time_ns: int, data: bytes, at: int
    ) -> int:
        """Look for the next plausible request; until then bytes belong to the one at hand."""
        since_ns = search.since_ns
        found = search.feed(time_ns, data, at)
        if found.lost:
            self._take(exchange, found.lost)
            exchange.request_last_ns = time_ns if found.place > at else exchange.request_last_ns
        if found.found:
            late = self._pieces.after(exchange.request_bytes)
            self._finish()
            if found.begun:
                exchange = self._begin(since_ns)
                self._buffer += found.begun
                self._pieces = late
        return found.place

    def _give_up_search(self) -> None:
        if self._search is not None and self.exchange is not None:
            self._take(self.exchange, self._search.flush())

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        exchange.request = bytes(self._buffer)
        size = exchange.request_bytes
        exchange.pieces = self._pieces.before(size)
        if size > len(exchange.request):
            exchange.flags |= Flag.CUT_BY_CAPTURE
        if self.mode != Mode.TUNNEL:
            if self._pairing.over and self._buffer.strip(b"\r\n"):
                exchange.defects |= Defect.AFTER_CLOSE
            self._pairing.over |= self._last
            self.mode = Mode.HELD if self._will_hold else Mode.IDLE
        self._buffer = bytearray()
        self._head_end = self._body = self._search = None
        self.exchange = None
        self._gappy = self._refused = self._will_hold = self._last = False
        self._pairing.request_done(exchange)
