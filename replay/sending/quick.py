"""The short way of a plain request: one send, one recv, one look-up, four stores.

What takes the time of a busy replay is the path of a whole request in one piece whose answer comes
whole. That path is written out here, almost without calls. A wire that rests is lent to the short
way, which sends its plain requests and takes their answers; whatever is not plain (a piece of an
answer, a close, a fresh wire) is left to the wire and its lane, which do at length what is done
here in short, with the same results: `Wire.take_back` ends the loan.

express.pyx is the same in C, for bare sockets, where it could be compiled. Both have one interface;
what a poll of one does not take care of, it returns.
"""

from __future__ import annotations

import errno
import select
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final

from capture.exchange import Lateness

from ..handover.batch import Batch
from .answers import Answers
from .clock import now_ns
from .connection import RECEIVE, Wire
from .short_way import ShortWay, Told

LATE_NS: Final = 1_000_000
_READABLE: Final = select.EPOLLIN
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_BY_LOOP: Final = int(Lateness.LOOP)
OnItsWay = tuple[Batch, int] | None
Poll = Callable[[float, int], list[tuple[int, int]]]


class Lent:
    """A wire that is lent: its request that is on its way, and what was sent and received."""

    __slots__ = (
        "batch", "fd", "key", "received", "recv", "row", "send", "sent", "served", "waiting",
    )  # fmt: skip

    def __init__(self, wire: Wire, key: int) -> None:
        self.fd, self.key = wire.fd, key
        self.send, self.recv = wire.send, wire.recv
        self.waiting: deque[tuple[Batch, int]] = wire.waiting
        self.batch: Batch | None = None  # of the request that is on its way
        self.row = 0
        self.sent = self.received = self.served = 0


class Quick(ShortWay):
    """Sends the plain requests of the wires that are lent to it, and takes what answers them."""

    def __init__(self, poll: Poll, targets: int, answers: Answers, told: Told) -> None:
        self._poll, self._targets, self._answers = poll, targets, answers
        self._told = told
        self._by_fd: dict[int, Lent] = {}
        self._by_lane: dict[int, Lent] = {}
        self._answered = 0

    def lend(self, wire: Wire) -> None:
        """Take over a wire that rests, and its lane with it."""
        lent = Lent(wire, wire.lane * self._targets + wire.target)
        self._by_fd[lent.fd] = self._by_lane[lent.key] = lent

    def take_back(self, fd: int) -> tuple[OnItsWay, int, int, int]:
        """See ShortWay."""
        on_its_way = self.on_its_way(fd)
        lent = self._by_fd.pop(fd)
        del self._by_lane[lent.key]
        return on_its_way, lent.sent, lent.received, lent.served

    def on_its_way(self, fd: int) -> OnItsWay:
        """See ShortWay."""
        lent = self._by_fd[fd]
        return None if lent.batch is None else (lent.batch, lent.row)

    def carry(self, fd: int, batch: Batch, row: int) -> None:
        """See ShortWay."""
        lent = self._by_fd[fd]
        lent.batch, lent.row = batch, row

    def send(self, fd: int, batch: Batch, row: int) -> bool:
        """See ShortWay."""
        lent = self._by_fd[fd]
        if lent.batch is not None:
            return False
        self._send(lent, batch, row, now_ns())
        return True

    def send_due(self, batch: Batch, row: int, start: int, most: int) -> int:
        """Send what is due of a batch from `row` on, in order; the first row that is not sent.

        That is one that is not due yet, is not plain, or whose lane is not lent or is busy.
        """
        by_lane, targets = self._by_lane, self._targets
        end = min(batch.rows, row + most)
        while row < end and batch.plain[row] and batch.close_after[row] < 0:
            now = now_ns()
            late = now - start - batch.due[row]
            lent = by_lane.get(batch.lane[row] * targets + batch.targets[row])
            if late < 0 or lent is None or lent.batch is not None:
                break
            if late > LATE_NS and not batch.late_cause[row]:
                batch.late_cause[row] = _BY_LOOP
            self._send(lent, batch, row, now)
            row += 1
        return row

    def _send(self, lent: Lent, batch: Batch, row: int, now: int) -> None:
        memory, at, sizes, sent_at = batch.outgoing
        start, size = at[row], sizes[row]
        sent_at[row] = now
        lent.batch, lent.row = batch, row
        try:
            sent: int = lent.send(memory[start : start + size])
        except _LATER:
            sent = 0
        except OSError as failure:
            self._told.failed(lent.fd, failure.errno or errno.EIO)
            return
        lent.sent += sent
        if sent != size:
            self._told.unsent(lent.fd, sent)

    def taken(self) -> int:
        """How many answers were taken here since this was last asked."""
        answered, self._answered = self._answered, 0
        return answered

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """What came to pass, as `select.epoll.poll` tells it, but for what is taken care of here.

        Where answers set the pace, requests that follow are sent at the end, one after another: a
        target that gets many in a row need not be woken for each.
        """
        by_fd = self._by_fd
        others: list[tuple[int, int]] = []
        ready: list[Lent] = []
        for fd, event in self._poll(timeout, most):
            lent = by_fd.get(fd)
            if lent is None or lent.batch is None or event != _READABLE:
                others.append((fd, event))
            else:
                self._take(lent, lent.batch, ready)
        for lent in ready:
            assert lent.batch is not None
            self._send(lent, lent.batch, lent.row, now_ns())
        return others

    def _take(self, lent: Lent, batch: Batch, ready: list[Lent]) -> None:
        """Take what has come on a wire that awaits an answer."""
        try:
            data = lent.recv(RECEIVE)
        except _LATER:
            return
        except OSError as failure:
            self._told.failed(lent.fd, failure.errno or errno.EIO)
            return
        now = now_ns()
        answer = self._answers.known.get(data) or self._answers.learn(data)
        if answer is None:
            self._told.heard(lent.fd, data, now)
            return
        following, answered_at, answers, digests = batch.quick
        row = lent.row
        answered_at[row] = now
        answers[row], digests[row] = answer
        lent.received += len(data)
        lent.served += 1
        self._answered += 1
        row = following[row]
        if -1 < row < batch.reached:
            lent.row = row
            ready.append(lent)
        else:
            lent.batch = None
            if row >= 0:
                batch.parked.add(row)
            if lent.waiting:
                self._told.freed(lent.fd)
        batch.open_rows -= 1
        if not batch.open_rows:
            self._told.settled(batch)
