"""A wire: one live, non-blocking TCP (or unix, or TLS) connection that carries requests.

It knows sockets and framing and nothing of plans: requests come as (batch, row), and what became
of them is written there. Writing goes straight to the socket, so the time of a send is the time of
the system call; only what the kernel does not take at once is kept and written later.

A wire that rests may be lent to the short way of plain requests (see quick.py), until anything is
out of the ordinary: `take_back`.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from typing import Final, Protocol

from capture.exchange import NEVER, Close, Lateness, Outcome, Reuse

from ..handover.batch import CONNECT, HEAD, STATUS_BITS, Batch
from .clock import now_ns
from .farewell import reset_once_closed, say_farewell
from .framing import Garbage, ResponseReader
from .refusal import outcome_of
from .short_way import ShortWay

CONNECTING: Final = 0
HANDSHAKE: Final = 1
OPEN: Final = 2
CLOSED: Final = 3
RECEIVE: Final = 65536
FILLER: Final = b"x" * 65536


class Wire:
    """See above. `waiting` are requests to be written, `outstanding` those to be answered."""

    __slots__ = (
        "answered_at", "began", "behind", "client", "closing", "connect_ns", "fd", "fill", "fresh",
        "lane", "lent_to", "open_ns", "outstanding", "pooled", "reader", "received", "recv",
        "rest", "send", "sent", "served", "settle", "sock", "spare", "state", "target", "tls_ns",
        "tunnelled", "unwritten", "waiting",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, lane: int, target: int, reader: ResponseReader, settle: Settle
    ) -> None:
        self.use(sock)
        self.lent_to: ShortWay | None = None
        self.lane, self.target, self.client = lane, target, 0
        self.state = CONNECTING
        self.spare = self.pooled = self.tunnelled = False
        self.fresh = True
        self.closing = Close.CAPTURE_END
        self.began = self.open_ns = now_ns()
        self.connect_ns = self.tls_ns = self.answered_at = NEVER
        self.rest: bytes | memoryview = b""
        self.fill = self.unwritten = 0
        self.sent = self.received = self.served = 0
        self.waiting: deque[tuple[Batch, int]] = deque()
        self.behind: deque[tuple[Batch, int]] = deque()
        self.outstanding: deque[tuple[Batch, int]] = deque()
        self.reader, self.settle = reader, settle

    def use(self, sock: socket.socket) -> None:
        """Send and receive through this socket from now on."""
        self.sock, self.fd = sock, sock.fileno()
        self.recv, self.send = sock.recv, sock.send

    def take_back(self) -> None:
        """From here on this wire itself follows the request that is on its way."""
        if self.lent_to is None:
            return
        on_its_way, sent, received, served = self.lent_to.take_back(self.fd)
        self.lent_to = None
        self.sent += sent
        self.received += received
        self.served += served
        if on_its_way is not None:
            batch, row = on_its_way
            batch.sent_last[row] = batch.sent_first[row]
            self.reader.expect(bodiless=False)
            self.outstanding.append(on_its_way)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way in either direction."""
        return self.oldest is None and not self.waiting and not self.unfinished

    @property
    def oldest(self) -> tuple[Batch, int] | None:
        """The request whose answer has been awaited longest."""
        if self.lent_to is not None:
            return self.lent_to.on_its_way(self.fd)
        return self.outstanding[0] if self.outstanding else None

    @property
    def waits_since(self) -> int:
        """Since when the target has owed an answer, or to take what is left of a request."""
        oldest = self.oldest
        if oldest is None:
            return self.answered_at if self.unfinished else NEVER
        batch, row = oldest
        return max(batch.sent_first[row], self.answered_at)

    @property
    def writing(self) -> bool:
        """Whether the kernel has not yet taken all that was to be written by now."""
        return bool(self.rest) or (self.fill > 0 and not self.unwritten)

    @property
    def unfinished(self) -> bool:
        """Whether the end of a request is still to be written, even if it was answered already."""
        return bool(self.rest) or self.fill > 0 or self.unwritten > 0

    def put(self, batch: Batch, row: int, cause: int = Lateness.NONE) -> None:
        """Write one request now, or its first piece."""
        self.take_back()
        if not self.outstanding:
            method = batch.methods[row]
            self.reader.expect(method == HEAD, method == CONNECT)
        self.outstanding.append((batch, row))
        if cause:
            batch.late_cause[row] = cause
        extra = self.spare and not self.pooled
        if self.fresh:
            self.fresh = False
            batch.connect[row] = self.connect_ns
            batch.tls[row] = self.tls_ns
            batch.reuse[row] = Reuse.SPARE if extra else Reuse.FRESH
        elif extra:
            batch.reuse[row] = Reuse.SPARE
        if self.unfinished:
            batch.late_cause[row] = Lateness.WINDOW
            self.behind.append((batch, row))
            return
        request = batch.request(row)
        batch.sent_first[row] = now = now_ns()
        if batch.piece_count[row] or batch.fill[row]:
            self._put_in_parts(batch, row, request)
            return
        try:
            sent = self.send(request)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        self.sent += sent
        if sent < len(request):
            self.rest = request[sent:]
            return
        batch.sent_last[row] = now
        if batch.ended[row]:
            self.settle.ended(self, batch, row)

    def _put_in_parts(self, batch: Batch, row: int, request: bytes) -> None:
        """The first piece; the others follow when they are due."""
        pieces = batch.pieces(row)
        self.unwritten = len(pieces)
        started = batch.sent_first[row]
        bounds = [*(offset for offset, _ in pieces), len(request)]
        for number, (offset, after) in enumerate(pieces):
            part = request[offset : bounds[number + 1]]
            self.settle.later(started + after, self, part)
        self.fill = batch.fill[row]
        self.rest = request[: bounds[0]]
        self.flush()

    def continue_with(self, part: bytes) -> None:
        """The next piece of a request that is written in pieces."""
        if self.state != OPEN or not self.unwritten:
            return
        self.unwritten -= 1
        self.rest = bytes(self.rest) + part
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes, filler of cut bodies included, then what waits behind."""
        while self._flushed() and not self.unwritten:
            place = len(self.outstanding) - 1 - len(self.behind)
            if place >= 0:
                batch, row = self.outstanding[place]
                batch.sent_last[row] = now_ns()
                if batch.ended[row]:
                    self.settle.ended(self, batch, row)
            elif not self.outstanding:
                self.settle.written(self)
                return
            if self.state != OPEN or not self.behind:
                return
            batch, row = self.behind.popleft()
            self.rest = batch.request(row)
            batch.sent_first[row] = now_ns()
            if batch.piece_count[row] or batch.fill[row]:
                self._put_in_parts(batch, row, self.rest)
                return

    def _flushed(self) -> bool:
        """Write what the socket takes; whether it took all."""
        while True:
            if not self.rest:
                if not self.fill or self.unwritten:
                    return True
                self.rest = FILLER[: min(self.fill, len(FILLER))]
                self.fill -= len(self.rest)
            try:
                sent = self.send(self.rest)
            except (BlockingIOError, ssl.SSLWantWriteError):
                return False
            except OSError as failure:
                self.fail(outcome_of(failure.errno))
                return False
            self.sent += sent
            self.rest = memoryview(self.rest)[sent:]

    def end_as(self, close: int) -> None:
        """End the connection as the recorded client did; what is on its way is abandoned."""
        self.closing = Close.RST_CLIENT if close == Close.RST_CLIENT else Close.FIN_CLIENT
        if close == Close.RST_CLIENT:
            reset_once_closed(self.sock)
        elif self.state == OPEN:
            say_farewell(self.sock)
        self.fail(Outcome.ABANDONED)

    def receive(self) -> None:
        """Bytes, or the end of them, have come."""
        try:
            data = self.recv(RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        self.take(data, now_ns())

    def take(self, data: bytes, now: int) -> None:
        """What was received at that time; nothing where the target closed its side."""
        if not data:
            self._ended(now)
            return
        self.received += len(data)
        try:
            self._answer(data, now)
        except Garbage:
            self.fail(Outcome.GARBAGE)

    def _answer(self, data: bytes, now: int) -> None:
        reader = self.reader
        while data and self.outstanding and not self.tunnelled:
            batch, row = self.outstanding[0]
            if batch.answered_first[row] < 0:
                batch.answered_first[row] = now
            data = reader.feed(data)
            if not reader.done:
                return
            self.outstanding.popleft()
            self._finish(batch, row, now)
            if reader.status == 101 or (reader.tunnel and reader.status // 100 == 2):
                self.tunnelled = True
            if self.outstanding:
                following = self.outstanding[0]
                method = following[0].methods[following[1]]
                reader.expect(method == HEAD, method == CONNECT)
            elif not self.tunnelled:
                data = b""  # it came before whatever is sent next: that is not what it answers
            self.settle.answered(self, batch, row)
        if data and self.tunnelled and self.outstanding:
            batch, row = self.outstanding.popleft()
            batch.answered_first[row] = now
            batch.answered_last[row] = now
            batch.outcome[row] = Outcome.ANSWERED
            self.settle.answered(self, batch, row)

    def _finish(self, batch: Batch, row: int, now: int) -> None:
        reader = self.reader
        batch.answered_last[row] = now
        batch.digest[row] = reader.digest
        batch.answer[row] = reader.status | reader.bytes_in << STATUS_BITS
        self.answered_at = now
        self.served += 1
        if reader.keep:
            self.settle.kept(batch, row, reader.head, reader.body)

    def _ended(self, now: int) -> None:
        """The target closed its side."""
        self.closing = Close.FIN_SERVER
        if self.outstanding and self.reader.end():
            batch, row = self.outstanding.popleft()
            self._finish(batch, row, now)
            self.settle.answered(self, batch, row)
        self.fail(Outcome.SHORT if self.reader.started else Outcome.CLOSED)

    def fail(self, outcome: Outcome, how: Close = Close.FIN_CLIENT) -> None:
        """Close, and book this outcome for every request that was on its way.

        What waited for an open wire was never sent: it gets another one. `how` it ends is told
        where nothing else is known.
        """
        if self.state == CLOSED:
            return
        self.take_back()
        lost, unsent = [*self.outstanding, *self.waiting], []
        if self.state == OPEN and outcome != Outcome.ABANDONED:
            written = len(self.outstanding) - len(self.behind)
            lost, unsent = lost[:written], lost[written:]
        self.state = CLOSED
        if outcome == Outcome.RESET:
            self.closing = Close.RST_SERVER
        elif self.closing == Close.CAPTURE_END:
            self.closing = how
        for number, (batch, row) in enumerate(lost):
            booked = Outcome.CLOSED if number and outcome == Outcome.SHORT else outcome
            if batch.cut_off(row) and batch.sent_last[row] >= 0:
                booked = Outcome.ABANDONED
            batch.outcome[row] = booked
            if number == 0 and self.outstanding and self.reader.started:
                batch.answer[row] = self.reader.status | self.reader.bytes_in << STATUS_BITS
        self.outstanding.clear()
        self.waiting.clear()
        self.behind.clear()
        self.settle.closed(self, lost, unsent)
        self.sock.close()


class Settle(Protocol):
    """What a wire tells whoever owns it."""

    def answered(self, wire: Wire, batch: Batch, row: int) -> None:
        """A request was answered in full."""

    def closed(
        self, wire: Wire, lost: list[tuple[Batch, int]], unsent: list[tuple[Batch, int]]
    ) -> None:
        """The wire is closed; some requests were on their way, others waited for their turn."""

    def ended(self, wire: Wire, batch: Batch, row: int) -> None:
        """A request after which the recorded client's side ended was written."""

    def kept(self, batch: Batch, row: int, head: bytes, body: bytes) -> None:
        """An answer, where answers are kept."""

    def later(self, instant: int, wire: Wire, part: bytes) -> None:
        """At that instant, `wire.continue_with(part)`."""

    def written(self, wire: Wire) -> None:
        """The end of a request was written whose answer had come before."""
