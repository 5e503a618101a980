"""Which wires go the short way, and who follows them where it ends.

A wire that rests is lent to `Express` where that was compiled and its socket is bare, else to
`Quick`. Both tell what is not plain; from there on the wire is followed at length.
"""

from __future__ import annotations

import os
import select
from abc import abstractmethod
from collections.abc import Callable

from capture.exchange import NEVER, Lateness

from ..handover.batch import Batch
from ..keeping import DIGEST, NONE
from ..options import ReplayOptions
from ..targets import Target
from .answers import Answers
from .connection import Wire
from .lanes import Lanes
from .quick import Quick
from .refusal import outcome_of
from .short_way import ShortWay, Told

try:
    from .express import Express
except ImportError:  # there was no C compiler
    Express = None  # type: ignore[assignment, misc]


class Lending(Lanes):
    """The wires of a run and the short way over them."""

    def __init__(
        self,
        poll: select.epoll,
        targets: list[Target],
        options: ReplayOptions,
        on_batch: Callable[[Batch], None],
        on_closed: Callable[[Wire], None],
        on_kept: Callable[[Batch, int, bytes, bytes], None],
    ) -> None:
        super().__init__(poll, targets, options, on_batch, on_closed, on_kept)
        answers = Answers(self._dialer.reader())
        told = Told(self._settled, self._unsent, self._heard, self._failed, self._freed)
        self._express: Express | None = None
        if Express is not None and os.environ.get("WIRETAPE_EXPRESS") != "0":
            self._express = Express(poll.fileno(), len(targets), answers, told)
        poll_ = poll.poll if self._express is None else self._express.poll
        self._quick = Quick(poll_, len(targets), answers, told)
        # An answer that is kept is read at length, and a pool has no lanes.
        self._lends = not self._openings.size and options.responses in (NONE, DIGEST)

    @abstractmethod
    def _on_event(self, wire: Wire, event: int) -> None:
        """Something came to pass on a wire."""

    @abstractmethod
    def _housekeeping(self, fd: int, event: int) -> None:
        """Something came to pass on what is no wire."""

    def _enter(self, batch: Batch) -> None:
        """Requests of this batch may be sent from now on."""
        self._live[batch.number] = batch
        if self._express is not None:
            self._express.add(batch)

    def _reach(self, batch: Batch, reached: int) -> None:
        """Where answers set the pace, rows before `reached` may be sent."""
        batch.reached = reached
        if self._express is not None:
            self._express.reach(batch)

    def _settled(self, batch: Batch) -> None:
        if self._express is not None:
            self._express.drop(batch)
        super()._settled(batch)

    def _may_lend(self, wire: Wire) -> bool:
        """Under TLS a session may come with the second answer yet, and is kept by who looks."""
        return self._lends and (wire.tls_ns == NEVER or wire.served >= 2)

    def _rests(self, wire: Wire) -> None:
        if self._may_lend(wire):
            self._lend(wire)

    def _lend(self, wire: Wire) -> ShortWay:
        express = self._express if wire.tls_ns == NEVER else None
        way = self._quick if express is None else express
        way.lend(wire)
        wire.lent_to = way
        return way

    def _carry(self, wire: Wire, batch: Batch, row: int) -> None:
        """A plain request was sent on this wire: its answer may be taken the short way."""
        if self._may_lend(wire) and not wire.spare:
            wire.outstanding.clear()
            self._lend(wire).carry(wire.fd, batch, row)

    def _send_due(self, batch: Batch, row: int, most: int) -> int:
        """Send what is due from `row` on as far as that goes the short way; how many those were."""
        if most <= 0 or not self._lends:
            return 0
        after = row
        if self._express is not None:
            after = self._express.send_due(batch, row, self._start, most)
        if after == row:
            after = self._quick.send_due(batch, row, self._start, most)
        self.in_flight += after - row
        return after - row

    def _send_plain(self, wire: Wire, batch: Batch, row: int, cause: int) -> bool:
        """Send a row on a wire where that may go the short way; whether it was sent."""
        way = wire.lent_to
        if way is None or not batch.plain[row] or wire.waiting:
            return False
        if cause:
            batch.late_cause[row] = cause  # first: once its fate is known, the row is not ours
        return way.send(wire.fd, batch, row)

    def _hear(self, timeout: float, most: int) -> None:
        """Take what the sockets have."""
        wires = self._wires
        for fd, event in self._quick.poll(timeout, most):
            wire = wires.get(fd)
            if wire is None:
                self._housekeeping(fd, event)
            else:
                wire.take_back()
                self._on_event(wire, event)
        answered = self._quick.taken()
        if self._express is not None:
            answered += self._express.taken()
        self.in_flight -= answered
        self.answered_count += answered

    def _unsent(self, fd: int, sent: int) -> None:
        """The kernel took only a part of a plain request, or none."""
        wire = self._wires[fd]
        wire.take_back()
        batch, row = wire.outstanding[0]
        batch.sent_last[row] = NEVER
        wire.rest = batch.request(row)[sent:]
        self._dialer.watch(wire)

    def _heard(self, fd: int, data: bytes, now: int) -> None:
        """What came on a wire that is lent is no whole answer."""
        wire = self._wires[fd]
        wire.take_back()
        wire.take(data, now)

    def _failed(self, fd: int, number: int) -> None:
        """Sending or receiving on a wire that is lent failed: an error of the system."""
        self._wires[fd].fail(outcome_of(number))

    def _freed(self, fd: int) -> None:
        """A wire that is lent was answered, and something waits for it."""
        wire = self._wires[fd]
        wire.take_back()
        self._send(wire, *wire.waiting.popleft(), Lateness.CONNECTION)
