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

from capture.exchange import NEVER, Flag, Lateness, Outcome, RequestEnd, Reuse

from .batch import Batch
from .clock import now_ns
from .framing import Garbage, Head, ResponseReader

CONNECTING, HANDSHAKE, OPEN, CLOSED = range(4)
RECEIVE = 65536
_LINGER_RST = struct.pack("ii", 1, 0)
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
        "began", "connect_ns", "deadline", "fd", "fresh", "lane", "outstanding", "reader",
        "rest", "settle", "sock", "spare", "state", "target", "tls_ns", "tunnelled", "waiting",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, lane: int, target: int, heads: dict[bytes, Head], settle: Settle
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.lane = lane
        self.target = target
        self.state = CONNECTING
        self.spare = False
        self.fresh = True
        self.tunnelled = False
        self.began = now_ns()
        self.connect_ns = NEVER
        self.tls_ns = NEVER
        self.rest = b""
        self.waiting: deque[tuple[Batch, int]] = deque()
        self.outstanding: deque[tuple[Batch, int]] = deque()
        self.reader = ResponseReader(heads)
        self.settle = settle

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way in either direction."""
        return not self.outstanding and not self.waiting

    def opened(self) -> None:
        """Connected (and secured): the first that waits is sent, others after its answer."""
        self.state = OPEN
        if self.waiting:
            batch, row = self.waiting.popleft()
            self.send(batch, row, Lateness.TLS if self.tls_ns >= 0 else Lateness.CONNECT)

    def send(self, batch: Batch, row: int, cause: int = Lateness.NONE) -> None:
        """Write one request now."""
        results = batch.results
        request = batch.requests[row]
        assert request is not None
        if not self.outstanding:
            self.reader.expect(batch.methods[row] == "HEAD", batch.methods[row] == "CONNECT")
        self.outstanding.append((batch, row))
        results["late_cause"][row] = cause
        if self.fresh:
            self.fresh = False
            results["connect_ns"][row] = self.connect_ns
            results["tls_ns"][row] = self.tls_ns
        else:
            results["reuse"][row] = Reuse.REUSED
        if self.spare:
            results["reuse"][row] = Reuse.SPARE
        results["request_first_ns"][row] = now_ns()
        if self.rest:
            self.rest += request
            return
        try:
            sent = self.sock.send(request)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        if sent < len(request):
            self.rest = request[sent:]
            return
        results["request_last_ns"][row] = now_ns()
        if batch.ended[row] or batch.flags[row] & Flag.NO_RESPONSE:
            self._end_as_recorded(batch, row)

    def flush(self) -> None:
        """The socket takes bytes again."""
        try:
            sent = self.sock.send(self.rest)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return
        except OSError as failure:
            self.fail(outcome_of(failure.errno))
            return
        self.rest = self.rest[sent:]
        if not self.rest and self.outstanding:
            batch, row = self.outstanding[-1]
            batch.results["request_last_ns"][row] = now_ns()
            if batch.ended[row] or batch.flags[row] & Flag.NO_RESPONSE:
                self._end_as_recorded(batch, row)

    def _end_as_recorded(self, batch: Batch, row: int) -> None:
        """A request that was cut off, or whose answer was never waited for, ends as it did."""
        ended = batch.ended[row]
        if ended == RequestEnd.FIN and not batch.flags[row] & Flag.NO_RESPONSE:
            self._shut_down()
        elif ended in (RequestEnd.FIN, RequestEnd.RST, RequestEnd.SILENCE):
            if ended == RequestEnd.RST:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
            self.fail(Outcome.ABANDONED)

    def _shut_down(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

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
                reader.expect(method == "HEAD", method == "CONNECT")
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
        batch.digest[row] = reader.digest

    def _ended(self, now: int) -> None:
        """The target closed its side."""
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
        for number, (batch, row) in enumerate(lost):
            booked = Outcome.CLOSED if number and outcome == Outcome.SHORT else outcome
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
