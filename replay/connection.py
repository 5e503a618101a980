"""A wire: one live, non-blocking TCP (or unix, or TLS) connection that carries requests.

It knows sockets and framing and nothing of plans: requests come as (batch, row), and what became
of them is written there. Writing goes straight to the socket, so the time of a send is the time of
the system call; only what the kernel does not take at once is kept and written later.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
from collections import deque

from capture.exchange import NEVER, Close, Lateness, Outcome, RequestEnd, Reuse

from .batch import CONNECT, HEAD, Batch
from .clock import now_ns
from .framing import Garbage, Head, ResponseReader

CONNECTING, HANDSHAKE, OPEN, CLOSED = range(4)
RECEIVE = 65536
_LINGER_RST = struct.pack("ii", 1, 0)
FILLER = b"x" * 65536
_CUT = (RequestEnd.FIN, RequestEnd.RST, RequestEnd.SILENCE)
_REFUSALS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ENOENT: Outcome.REFUSED,
    errno.ECONNRESET: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.CONNECT_TIMED_OUT,
    errno.EMFILE: Outcome.NO_RESOURCES,
    errno.ENFILE: Outcome.NO_RESOURCES,
    errno.EADDRNOTAVAIL: Outcome.NO_RESOURCES,
    errno.ENOBUFS: Outcome.NO_RESOURCES,
}


def outcome_of(number: int | None) -> Outcome:
    """The outcome that an error of the system stands for."""
    return _REFUSALS.get(number or 0, Outcome.UNREACHABLE)


class Wire:
    """See above. `waiting` are requests to be written, `outstanding` those to be answered."""

    __slots__ = (
        "began", "client", "closing", "connect_ns", "fd", "fill", "fresh", "lane", "open_ns",
        "outstanding", "reader", "received", "rest", "sent", "served", "settle", "sock", "spare",
        "state", "target", "tls_ns", "tunnelled", "unwritten", "waiting",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, lane: int, target: int, heads: dict[bytes, Head], settle: Settle
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.lane = lane
        self.client = 0
        self.target = target
        self.state = CONNECTING
        self.spare = False
        self.fresh = True
        self.tunnelled = False
        self.closing = Close.CAPTURE_END
        self.began = self.open_ns = now_ns()
        self.connect_ns = NEVER
        self.tls_ns = NEVER
        self.rest = b""
        self.fill = 0
        self.unwritten = 0
        self.sent = self.received = self.served = 0
        self.waiting: deque[tuple[Batch, int]] = deque()
        self.outstanding: deque[tuple[Batch, int]] = deque()
        self.reader = ResponseReader(heads)
        self.settle = settle

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way in either direction."""
        return not self.outstanding and not self.waiting

    @property
    def writing(self) -> bool:
        """Whether the kernel has not yet taken all that was to be written."""
        return bool(self.rest) or self.fill > 0

    def send(self, batch: Batch, row: int, cause: int = Lateness.NONE) -> None:
        """Write one request now, or its first piece."""
        results = batch.results
        request = batch.request(row)
        method = batch.methods[row]
        if not self.outstanding:
            self.reader.expect(method == HEAD, method == CONNECT)
        self.outstanding.append((batch, row))
        if cause:
            results["late_cause"][row] = cause
        if self.fresh:
            self.fresh = False
            results["connect_ns"][row] = self.connect_ns
            results["tls_ns"][row] = self.tls_ns
        else:
            results["reuse"][row] = Reuse.REUSED
        if self.spare:
            results["reuse"][row] = Reuse.SPARE
        pieces = batch.piece_count[row]
        if pieces or batch.fill[row]:
            results["request_first_ns"][row] = now_ns()
            self._send_in_parts(batch, row, request)
            return
        if self.rest:
            results["request_first_ns"][row] = now_ns()
            self.rest += request
            return
        results["request_first_ns"][row] = now_ns()
        try:
            sent = self.sock.send(request)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        self.sent += sent
        if sent < len(request):
            self.rest = request[sent:]
            return
        results["request_last_ns"][row] = now_ns()
        if batch.ended[row]:
            self._cut_off(batch, row)

    def _send_in_parts(self, batch: Batch, row: int, request: bytes) -> None:
        """The first piece; the others follow when they are due."""
        pieces = batch.pieces(row)
        self.unwritten = len(pieces)
        started = batch.results["request_first_ns"][row]
        bounds = [*(offset for offset, _ in pieces), len(request)]
        for number, (offset, after) in enumerate(pieces):
            part = request[offset : bounds[number + 1]]
            self.settle.later(started + after, self, batch, row, part)
        if not pieces:
            self.fill += batch.fill[row]
        self._put(request[: bounds[0]])

    def continue_with(self, batch: Batch, row: int, part: bytes) -> None:
        """The next piece of a request that is written in pieces."""
        if self.state != OPEN or not self.unwritten:
            return
        self.unwritten -= 1
        if not self.unwritten:
            self.fill += batch.fill[row]
        self._put(part)

    def _put(self, data: bytes) -> None:
        self.rest += data
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes, filler of cut bodies included."""
        while True:
            if not self.rest:
                if not self.fill:
                    break
                self.rest = FILLER[: min(self.fill, len(FILLER))]
                self.fill -= len(self.rest)
            try:
                sent = self.sock.send(self.rest)
            except (BlockingIOError, ssl.SSLWantWriteError):
                return
            except OSError as failure:
                self.fail(outcome_of(failure.errno))
                return
            self.sent += sent
            self.rest = self.rest[sent:]
        if self.outstanding and not self.unwritten:
            batch, row = self.outstanding[-1]
            batch.results["request_last_ns"][row] = now_ns()
            if batch.ended[row]:
                self._cut_off(batch, row)

    def _cut_off(self, batch: Batch, row: int) -> None:
        """A cut-off request ends when its connection did; at once where that is unknown."""
        if batch.close_after[row] >= 0:
            return
        ended = batch.ended[row]
        if ended == RequestEnd.FIN:
            self.half_close()
        elif ended == RequestEnd.RST:
            self.end_as(Close.RST_CLIENT)

    def half_close(self) -> None:
        """Say that no more will come, and wait for what the target does."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def end_as(self, close: int) -> None:
        """End the connection as the recorded client did; what is on its way is abandoned."""
        self.closing = Close.FIN_CLIENT
        if close == Close.RST_CLIENT:
            self.closing = Close.RST_CLIENT
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
        self.fail(Outcome.ABANDONED)

    def receive(self) -> None:
        """Bytes, or the end of them, have come."""
        try:
            data = self.sock.recv(RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        now = now_ns()
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
            results = batch.results
            if results["response_first_ns"][row] < 0:
                results["response_first_ns"][row] = now
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
            self.settle.answered(self, batch, now)
        if data and self.tunnelled and self.outstanding:
            batch, row = self.outstanding.popleft()
            batch.results["response_first_ns"][row] = now
            batch.results["response_last_ns"][row] = now
            batch.results["outcome"][row] = Outcome.ANSWERED
            self.settle.answered(self, batch, now)

    def _finish(self, batch: Batch, row: int, now: int) -> None:
        reader, results = self.reader, batch.results
        results["response_last_ns"][row] = now
        results["status"][row] = reader.status
        results["response_bytes"][row] = reader.bytes_in
        results["outcome"][row] = Outcome.ANSWERED
        results["response_digest"][row] = reader.digest
        self.served += 1

    def _ended(self, now: int) -> None:
        """The target closed its side."""
        self.closing = Close.FIN_SERVER
        if self.outstanding and self.reader.end():
            batch, row = self.outstanding.popleft()
            self._finish(batch, row, now)
            self.settle.answered(self, batch, now)
        self.fail(Outcome.SHORT if self.reader.started else Outcome.CLOSED)

    def fail(self, outcome: Outcome) -> None:
        """Close, and book this outcome for every request that was on its way."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        lost = [*self.outstanding, *self.waiting]
        if outcome == Outcome.RESET:
            self.closing = Close.RST_SERVER
        elif self.closing == Close.CAPTURE_END:
            self.closing = Close.FIN_CLIENT
        for number, (batch, row) in enumerate(lost):
            booked = Outcome.CLOSED if number and outcome == Outcome.SHORT else outcome
            if batch.ended[row] in _CUT and batch.results["request_last_ns"][row] >= 0:
                booked = Outcome.ABANDONED
            batch.results["outcome"][row] = booked
            if number == 0 and self.outstanding and self.reader.started:
                batch.results["response_bytes"][row] = self.reader.bytes_in
                batch.results["status"][row] = self.reader.status
        self.outstanding.clear()
        self.waiting.clear()
        self.settle.closed(self, lost)
        self.sock.close()


class Settle:
    """What a wire tells whoever owns it."""

    def answered(self, wire: Wire, batch: Batch, now: int) -> None:
        """A request was answered in full."""
        raise NotImplementedError

    def closed(self, wire: Wire, lost: list[tuple[Batch, int]]) -> None:
        """The wire is closed; these requests were still on their way."""
        raise NotImplementedError

    def later(self, instant: int, wire: Wire, batch: Batch, row: int, part: bytes) -> None:
        """At that instant, `wire.continue_with(batch, row, part)`."""
        raise NotImplementedError
