"""Whether this machine can send a plan on time: a short measurement, held against the bursts.

Measured is a bare loop on one core that sends a request on a loopback connection and reads a short
answer, as an answering process allows. A sender does that and more: it plans, reads the tape,
frames answers and keeps its books, on the same core if need be. By `python -m
tests.bench.bench_replay` 0.3 of the bare rate is left. With that rate, every burst is a queue that
is worked off: how late its requests are follows from the due times alone.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapes.counts import Ints

SENDER = 0.3
"""The share of the bare rate that is left to a sender with all that it does beside."""
GOOD_P99_NS = 1_000_000
_CONNECTIONS = 16
_FOR_S = 0.2
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"x" * 350 + b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class OnTime:
    """What a core here was measured to do, and what that means for a plan. Times in ns."""

    bare_per_s: float
    sender_per_s: float
    cores: int
    workers: int  # that keep the p99 of lateness good; 0 where all cores do not
    late_p99_ns: int  # with these workers, or with all cores
    late_max_ns: int

    def sentence(self) -> str:
        """The estimate, and what it rests on."""
        rests = (
            f"a bare loop of sends and answers did {self.bare_per_s:,.0f}/s on a core here just "
            f"now; a sender is taken to do {SENDER:g} of that, {self.sender_per_s:,.0f}/s"
        )
        late = f"p99 {self.late_p99_ns / 1e6:,.2f} ms, at most {self.late_max_ns / 1e6:,.2f} ms"
        if not self.workers:
            return (
                f"no: with a worker on each of {self.cores} cores bursts would be late by {late} "
                f"({rests})"
            )
        how = "one worker" if self.workers == 1 else f"--workers {self.workers}"
        return f"yes, {how}: bursts would be late by {late} ({rests})"


def on_time(bins: Ints, counts: Ints, width_ns: int, bare_per_s: float) -> OnTime:
    """What requests counted in bins of a width would suffer from senders of that rate."""
    cores = os.cpu_count() or 1
    each = bare_per_s * SENDER
    late = (0, 0)
    for workers in range(1, cores + 1):
        late = lateness(bins, counts, width_ns, each * workers)
        if late[0] <= GOOD_P99_NS:
            return OnTime(bare_per_s, each, cores, workers, *late)
    return OnTime(bare_per_s, each, cores, 0, *late)


def lateness(bins: Ints, counts: Ints, width_ns: int, per_s: float) -> tuple[int, int]:
    """p99 and maximum of the wait, in ns, where so many a second leave in order of due time."""
    if not len(counts):
        return 0, 0
    total = np.cumsum(counts)
    could = (np.asarray(bins, np.float64) - bins[0]) * (width_ns / 1e9) * per_s
    # What waits after a bin: all that came since the queue was last empty, less what could leave.
    waiting = total - could - np.minimum.accumulate(total - counts - could)
    late = np.maximum(waiting - 1, 0) / per_s * 1e9
    order = np.argsort(late)
    place = np.searchsorted(np.cumsum(np.asarray(counts)[order]), 0.99 * total[-1])
    return int(late[order[min(place, len(late) - 1)]]), int(late.max())


def bare_rate(seconds: float = _FOR_S) -> float:
    """Requests a second that one core sends, and reads the answers of, on loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS)
    child = os.fork()
    if not child:
        _answer(listener)
    wires = [socket.create_connection(listener.getsockname()) for _ in range(_CONNECTIONS)]
    listener.close()
    try:
        return _send(wires, seconds)
    finally:
        for wire in wires:
            wire.close()
        os.waitpid(child, 0)


def _send(wires: list[socket.socket], seconds: float) -> float:
    poll, by_fd = select.epoll(), {}
    for wire in wires:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(wire.fileno(), select.EPOLLIN)
        by_fd[wire.fileno()] = wire
        wire.send(_REQUEST)
    done = 0
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for fd, _ in poll.poll(seconds):
            wire = by_fd[fd]
            if not wire.recv(65536):
                return 0.0
            done += 1
            wire.send(_REQUEST)
    poll.close()
    return done / (now - began)


def _answer(listener: socket.socket) -> Any:
    """The body of the answering process; never returns."""
    with suppress(BaseException):
        poll, by_fd = select.epoll(), {}
        for _ in range(_CONNECTIONS):
            wire, _ = listener.accept()
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(wire.fileno(), select.EPOLLIN)
            by_fd[wire.fileno()] = wire
        listener.close()
        while by_fd:
            for fd, _ in poll.poll(5) or [(0, 0)]:
                if fd not in by_fd or not by_fd[fd].recv(65536):
                    os._exit(0)
                by_fd[fd].send(_ANSWER)
    os._exit(0)
