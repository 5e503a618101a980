"""The short way in C and in Python do the same, whatever is sent, answered and taken back."""

from __future__ import annotations

import errno
import select
import signal
import socket
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.exchange import NEVER
from replay.handover.batch import Batch, Bytes, Written
from replay.handover.memory import Region
from replay.sending.answers import Answers
from replay.sending.connection import Wire
from replay.sending.framing import ResponseReader
from replay.sending.quick import Quick
from replay.sending.short_way import Told

express = pytest.importorskip("replay.sending.express", reason="it was not compiled")

LANES = 3
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OTHER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
SAID = [
    ANSWER,
    ANSWER,
    OTHER,
    ANSWER[:-1],
    ANSWER + OTHER,
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"garbage\r\n\r\n",
    b"",
]
RESULTS = ["answer", "digest", "outcome", "late_cause"]
TIMES = ["sent_first", "answered_last"]
HEAD_METHOD = 1
START = 1  # an instant that is past


def batch_of(lanes: list[int], plain: list[bool], led: bool) -> Batch:
    """A batch of requests that are due at once; with `led`, each follows the one before it."""
    rows = len(lanes)
    requests: list[bytes | None] = [f"GET /{row} HTTP/1.1\r\n\r\n".encode() for row in range(rows)]
    data = Bytes.of(requests, [()] * rows)
    chunk: dict[str, Any] = {
        name: np.zeros(rows, np.int64)
        for name in ("open_ns", "close", "first", "ended", "fill", "target_index", "client")
    }
    chunk["due_ns"] = np.arange(rows)
    chunk["close_after"] = np.full(rows, NEVER)
    chunk["lane"] = np.asarray(lanes, np.int64)
    chunk["flags"] = np.zeros(rows, np.uint32)
    chunk["method"] = np.where(plain, 0, HEAD_METHOD)
    region = Region(1, Written.size(rows, data))
    Written(chunk, data, region, at_max=led, led=led)
    region.handed_over()
    return Batch(region.map, 1, rows, 0)


def read_all(peer: socket.socket) -> bytes:
    """What was sent to it; a close with something unread is a reset to it."""
    peer.settimeout(5)
    said = b""
    try:
        while data := peer.recv(65536):
            said += data
    except ConnectionResetError:
        pass
    return said


def fill(sock: socket.socket) -> None:
    """Send until the kernel takes no more."""
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass


class Bench:
    """One way, some wires that are lent to it, and all that it tells."""

    def __init__(self, compiled: bool, rows: list[tuple[int, bool]], led: bool = False) -> None:
        self.batch = batch = batch_of([lane for lane, _ in rows], [p for _, p in rows], led)
        self.compiled, self.row = compiled, 0
        self.told: list[Any] = []
        self.poll = select.epoll()
        answers = Answers(ResponseReader({}))
        told = Told(
            settled=lambda batch: self.told.append(("settled", batch.number)),
            unsent=lambda fd, sent: self._gives_back("unsent", fd, sent),
            heard=lambda fd, data, _now: self._gives_back("heard", fd, data),
            failed=lambda fd, number: self._gives_back("failed", fd, number),
            freed=lambda fd: self._gives_back("freed", fd),
        )
        self.way: Any
        if compiled:
            self.way = express.Express(self.poll.fileno(), 1, answers, told)
            self.way.add(batch)
        else:
            self.way = Quick(self.poll.poll, 1, answers, told)
        self.wires, self.peers = zip(*(self._wire(lane) for lane in range(LANES)), strict=True)
        self.lane_of = {wire.fd: lane for lane, wire in enumerate(self.wires)}
        for lane in range(LANES):
            self.lend(lane)
        if led:
            batch.hasten()
            self.reach(2)

    def _wire(self, lane: int) -> tuple[Wire, socket.socket]:
        sock, peer = socket.socketpair()
        sock.setblocking(False)
        self.poll.register(sock.fileno(), select.EPOLLIN)
        return Wire(sock, lane, 0, ResponseReader({}), None), peer  # type: ignore[arg-type]

    def _gives_back(self, what: str, fd: int, *more: Any) -> None:
        self.told.append((what, self.lane_of[fd], *more))
        self.back(self.lane_of[fd])

    def lend(self, lane: int) -> None:
        if self.wires[lane].lent_to is None:
            self.way.lend(self.wires[lane])
            self.wires[lane].lent_to = self.way

    def back(self, lane: int) -> None:
        """As `Wire.take_back`, and what it is told."""
        wire = self.wires[lane]
        if wire.lent_to is not None:
            on_its_way, *counts = self.way.take_back(wire.fd)
            self.told.append(("back", lane, on_its_way and on_its_way[1], *counts))
            wire.lent_to = None
            wire.waiting.clear()

    def due(self, most: int) -> None:
        self.row = self.way.send_due(self.batch, self.row, START, most)
        self.told.append(("sent up to", self.row))

    def send(self, lane: int) -> None:
        """The next row, on whichever wire."""
        if self.row < self.batch.rows and self.wires[lane].lent_to is not None:
            sent = self.way.send(self.wires[lane].fd, self.batch, self.row)
            self.told.append(("sent", lane, sent))
            self.row += sent

    def say(self, lane: int, what: int) -> None:
        try:
            if SAID[what]:
                self.peers[lane].sendall(SAID[what])
            else:
                self.peers[lane].shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass

    def wait(self, lane: int) -> None:
        self.wires[lane].waiting.append((self.batch, 0))

    def reach(self, rows: int) -> None:
        self.batch.reached = max(self.batch.reached, min(rows, self.batch.rows))
        if self.compiled:
            self.way.reach(self.batch)

    def hear(self, _: int) -> None:
        others = self.way.poll(0, 64)
        for fd, event in others:
            self.told.append(("other", self.lane_of[fd], event))
        self.told.append(("answered", self.way.taken(), self.batch.open_rows))
        self.told.append(("parked", sorted(self.batch.parked)))

    def end(self) -> list[Any]:
        """Everything that was told, sent and booked."""
        for lane in range(LANES):
            self.back(lane)
        for wire, peer in zip(self.wires, self.peers, strict=True):
            wire.sock.close()
            self.told.append(read_all(peer))
        batch = self.batch
        self.told += [getattr(batch, name).tolist() for name in RESULTS]
        self.told += [[at != NEVER for at in getattr(batch, name).tolist()] for name in TIMES]
        return self.told

    def close(self) -> None:
        for wire, peer in zip(self.wires, self.peers, strict=True):
            wire.sock.close()
            peer.close()
        self.poll.close()


lanes = st.integers(0, LANES - 1)
steps = st.one_of(
    st.tuples(st.just("due"), st.integers(1, 6)),
    st.tuples(st.just("say"), lanes, st.integers(0, len(SAID) - 1)),
    st.tuples(st.just("hear"), st.just(0)),
    st.tuples(st.just("send"), lanes),
    st.tuples(st.just("lend"), lanes),
    st.tuples(st.just("back"), lanes),
    st.tuples(st.just("wait"), lanes),
    st.tuples(st.just("reach"), st.integers(0, 12)),
)


@given(
    rows=st.lists(st.tuples(lanes, st.sampled_from([True, True, True, False])), min_size=1),
    led=st.booleans(),
    steps=st.lists(steps, max_size=40),
)
def test_both_ways_do_the_same(
    rows: list[tuple[int, bool]], led: bool, steps: list[tuple[Any, ...]]
) -> None:
    told = []
    for compiled in (True, False):
        with closing(Bench(compiled, rows, led)) as bench:
            for name, *arguments in steps:
                getattr(bench, name)(*arguments)
            told.append(bench.end())
    assert told[0] == told[1]


@pytest.fixture(params=[True, False], ids=["express", "quick"])
def compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_plain_request_is_sent_answered_and_booked(compiled: bool) -> None:
    with closing(Bench(compiled, [(0, True), (1, True), (0, True)])) as bench:
        bench.due(10)
        bench.say(0, 0)
        bench.hear(0)
        bench.due(10)
        told = bench.end()
    assert told[:3] == [("sent up to", 2), ("answered", 1, 2), ("parked", [])]
    assert ("sent up to", 3) in told
    assert [status & 0xFFFF for status in bench.batch.answer] == [200, 0, 0]
    first, second, third = (f"GET /{row} HTTP/1.1\r\n\r\n".encode() for row in range(3))
    assert [each for each in told if isinstance(each, bytes)] == [first + third, second, b""]


def test_what_the_kernel_does_not_take_is_told_with_how_much_it_took(compiled: bool) -> None:
    with closing(Bench(compiled, [(0, True), (0, True)])) as bench:
        fill(bench.wires[0].sock)
        bench.due(1)
        assert bench.told[0] == ("unsent", 0, 0)
        bench.peers[0].close()
        bench.lend(0)
        bench.told.clear()
        bench.send(0)
        assert bench.told[0] in [("failed", 0, errno.EPIPE), ("failed", 0, errno.ECONNRESET)]


def test_a_signal_ends_a_wait_or_not_but_is_answered_within_it(compiled: bool) -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        with closing(Bench(compiled, [(0, True)])) as bench:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert bench.way.poll(0.3, 8) == []
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == [1]
