"""The engine: carries out a plan on time, on one thread, with one poll.

Each turn sends everything that is due, in order, then takes what the sockets have, then waits for
the next absolute deadline: a timerfd set a little early, and a spin for the rest. A poll of sockets
of our own rather than an event loop's transports, because these put a write off to the end of their
turn: here a send is the system call, so its time stamp is the truth, and a connection can be half
closed or reset as it was recorded.

Open loop: a request whose lane is still busy goes out on a spare wire. With `order strict` it waits
for its lane; the wait is booked to the connection, not to us.
"""

from __future__ import annotations

import gc
import select
from collections.abc import Callable
from typing import Final

import numpy as np

from capture.exchange import NEVER, Close, Lateness, Outcome

from ..handover.batch import Batch
from ..handover.channel import Intake
from ..options import ReplayOptions
from ..planning.silent import Silent
from ..targets import Target
from .clock import NS, SPIN_NS, alarm, now_ns
from .connection import OPEN, Wire
from .lending import Lending
from .quick import LATE_NS
from .timers import FAR

EVENTS_A_TURN: Final = 32
HEARD_A_TURN: Final = 96
"""More than is sent in a turn: answers that have piled up must become fewer while we are late, or
wires that are answered long since pass for busy, and spares are opened for nothing."""
SWEEP_NS: Final = 50_000_000
HEAD_START_NS: Final = 5_000_000
TLS_HEAD_START_NS: Final = 50_000_000
_NO_CAUSE: Final = int(Lateness.NONE)  # an enum's member is looked up at each use
_READ: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Engine(Lending):
    """Sends batches and hands each to `on_batch` when the fate of all its rows is known."""

    def __init__(
        self,
        intake: Intake,
        targets: list[Target],
        options: ReplayOptions,
        on_batch: Callable[[Batch], None],
        on_begun: Callable[[Batch], None],
        on_closed: Callable[[Wire], None],
        on_kept: Callable[[Batch, int, bytes, bytes], None],
    ) -> None:
        self._poll = select.epoll()
        super().__init__(self._poll, targets, options, on_batch, on_closed, on_kept)
        self._intake = intake
        self._on_begun = on_begun
        self._poll.register(intake.end.fileno(), select.EPOLLIN)
        self._intake_fd = intake.end.fileno()
        self._alarm = alarm()
        if self._alarm is not None:
            self._poll.register(self._alarm.fd, select.EPOLLIN)
        self._head_start = [TLS_HEAD_START_NS if t.secure else HEAD_START_NS for t in targets]
        self._sweep_at = 0
        self._reached = 0  # all that is due before this was dispatched
        self._to_open = 0  # of connections without a request
        self._next: Batch | None = None
        self.sent = 0
        self.stopping = False
        self.killed = False
        self.stopped_at = NEVER

    def run(self, start: int) -> None:
        """Carry out the plan; `start` is the monotonic instant of due time 0."""
        self._start = start
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._run(start)
        finally:
            gc.enable()
            gc.unfreeze()
            self._end()

    def _run(self, start: int) -> None:
        options, timers = self._options, self._timers
        window = options.max_in_flight
        batch, row, rows, kept_back = None, 0, 0, False
        while True:
            now = now_ns()
            if batch is None and self._carried_out():
                return
            if self._over(now, batch.due[row] if batch and row < rows else NEVER):
                break
            if timers.next_at <= now:
                self._ring(now)
            self._end_lanes(min(now - start, self._reached))
            turn, blocked = 0, False
            while turn < EVENTS_A_TURN:
                if batch is None or row == rows:
                    batch, row = self._begin(), 0
                    rows = batch.rows if batch is not None else 0
                    if batch is None:
                        break
                due = start + batch.due[row]
                if due > now:
                    break
                if window and self.in_flight >= window:
                    blocked = kept_back = True
                    break
                if kept_back and now - due > LATE_NS:
                    batch.late_cause[row] = Lateness.WINDOW
                else:
                    kept_back = False
                most = EVENTS_A_TURN - turn if not kept_back else 1
                if window:
                    most = min(most, window - self.in_flight)
                sent = self._send_due(batch, row, most)
                if sent:
                    self.sent += sent
                    row += sent
                    turn += sent
                    continue
                self._dispatch(batch, row, due, now)
                row += 1
                turn += 1
                if not turn & 7:
                    now = now_ns()
            held = turn == EVENTS_A_TURN
            if batch is not None and row < rows:
                self._reached = batch.due[row]
            elif batch is None and self._intake.ended:
                self._reached = FAR
            due = now if held else start + batch.due[row] if batch and row < rows else 0
            self._wait(0 if blocked else due, held)
        self._drain()

    def _carried_out(self) -> bool:
        """Whether the plan is at its end: all answered, and all that ended in it has ended."""
        if not self._intake.ended or self.in_flight:
            return False
        return self.stopping or not (self._ends or self._to_open or self._still_writing())

    def _still_writing(self) -> bool:
        """Whether the end of a request is still to be written that was answered early."""
        return any(wire.unfinished for wire in self._wires.values())

    def _end_lanes(self, until: int) -> None:
        """End the lanes that ended before `until` (ns since due time 0): nothing more will come."""
        if self._ends.next_at < until:
            for key, close in self._ends.come(until):
                self._end_lane(key, close)

    def _over(self, now: int, due: int) -> bool:
        """Whether sending ends here; where, if nothing that was due is to be left out."""
        end = self._start + self._options.duration if self._options.duration else 0
        if not self.stopping and not (end and now >= end):
            return False
        self.stopped_at = min(now, end) if end else now
        if due != NEVER and 0 < now - self._start - due < LATE_NS:
            self.stopped_at = self._start + due  # this very turn was to send it
        return True

    def _begin(self) -> Batch | None:
        """The next batch; the one after it is looked at already, for the wires it will need."""
        batch = self._next or self._receive()
        self._next = None
        if batch is not None:
            self._on_begun(batch)
            self._next = self._receive()
            self._listen(self._next is None and not self._intake.ended)
        return batch

    def _receive(self) -> Batch | None:
        batch = self._intake.next()
        if batch is not None:
            self._enter(batch)
            self._schedule(batch)
        for silent in self._intake.silent:
            for target in range(len(self._head_start)):
                self._schedule_silent(silent, target)
        self._intake.silent.clear()
        return batch

    def _schedule_silent(self, silent: Silent, target: int) -> None:
        self._to_open += 1
        self._timers.add(self._start + silent.opened, self._open_silent, (silent, target))

    def _open_silent(self, silent: Silent, target: int) -> None:
        self._to_open -= 1
        self._open_ahead(silent.connection, target, silent.client)
        if silent.closed != NEVER:
            self._ends.plan((silent.connection, target), silent.closed, silent.close)

    def _schedule(self, batch: Batch) -> None:
        """Wires open when they were opened, or with a head start before their first request.

        What was open when the recording began is opened at once: that is before due time 0.
        """
        for row in np.flatnonzero(batch.first).tolist():
            opened = batch.opened[row]
            instant = min(opened, batch.due[row] - self._head_start[batch.targets[row]])
            if opened <= 0:
                instant = -self._start
            who = (batch.lane[row], batch.targets[row], batch.client[row])
            self._timers.add(self._start + instant, self._open_ahead, who)

    def _open_ahead(self, lane: int, target: int, client: int) -> None:
        if (lane, target) not in self._lanes:
            wire = self._dial(lane, target, client)
            if isinstance(wire, Wire):
                self._lanes[lane, target] = wire

    def _wait(self, due: int, held: bool) -> None:
        """Take what the sockets have; wait for it no longer than to the next deadline."""
        now = now_ns()
        deadline = self._timers.next_at
        if self._ends.next_at < self._reached:
            deadline = min(deadline, self._start + self._ends.next_at + 1)
        if due and due < deadline:
            deadline = due
        timeout = 0.0
        # Who feeds may share our core: while the next batch is not there, we sleep all we can.
        early = deadline - (SPIN_NS if self._next is not None or self._intake.ended else 0)
        if now < early:
            timeout = min(0.05, (early - now) / NS)
            if self._alarm is not None and early - now < 50_000_000:
                self._alarm.arm(early)
                timeout = 0.06
        limit = HEARD_A_TURN if due or held else 256
        self._hear(timeout, limit)
        if now > self._sweep_at:
            self._sweep_at = now + SWEEP_NS
            self._sweep(now)

    def _housekeeping(self, fd: int, event: int) -> None:
        if self._alarm is not None and fd == self._alarm.fd:
            self._alarm.clear()
        elif fd == self._intake_fd:
            self._look_in(event)

    def _look_in(self, event: int) -> None:
        """A batch has come; or the feeder has died, and then so must we."""
        if event & select.EPOLLHUP:
            self.stopping = self.killed = True
        elif self._next is None:
            self._next = self._receive()
        self._listen(self._next is None)

    def _listen(self, wanted: bool) -> None:
        self._poll.modify(self._intake_fd, select.EPOLLIN if wanted else 0)

    def _ring(self, now: int) -> None:
        for action, arguments in self._timers.due(now):
            action(*arguments)

    def _on_event(self, wire: Wire, event: int) -> None:
        if wire.state == OPEN:
            if event & _READ:
                wire.receive()
            if event & select.EPOLLOUT and wire.state == OPEN:
                if wire.writing:
                    wire.flush()
                if not wire.writing:
                    self._dialer.watch(wire)
        elif self._dialer.advance(wire):
            self._opened(wire)

    def _dispatch(self, batch: Batch, row: int, due: int, now: int) -> None:
        """Send a row, due at that instant, on its lane, or have it wait there, or take a spare."""
        key = (batch.lane[row], batch.targets[row])
        if batch.close_after[row] >= 0:
            self._plan_end(key, batch, row)
        if batch.sizes[row] < 0:
            self._settle_row(batch, row, Outcome.UNSENT)
            return
        self.in_flight += 1
        self.sent += 1
        cause = _NO_CAUSE
        if now - due > LATE_NS:
            cause = batch.late_cause[row] or Lateness.LOOP
        if self._openings.size:
            self._aside(batch, row, cause)
            return
        wire: Wire | None = self._lanes.get(key)
        if wire is None:
            wire = self._connect(batch, row)
            if wire is None:
                return
            self._lanes[key] = wire
        if self._send_plain(wire, batch, row, cause):
            return
        if wire.state != OPEN:
            wire.waiting.append((batch, row))
        elif wire.idle:
            self._send(wire, batch, row, cause)
        elif self._strict:
            wire.waiting.append((batch, row))
        elif self._follows(batch, row) and not wire.unwritten and not wire.waiting:
            self._send(wire, batch, row, cause)
        else:
            self._aside(batch, row, cause)

    def _drain(self) -> None:
        """Wait for what is on its way; what was never sent stays without an outcome."""
        until = now_ns() + self._options.timeout
        while self.in_flight and not self.killed and now_ns() < until:
            now = now_ns()
            if self._timers.next_at <= now:
                self._ring(now)
            self._wait(now + SWEEP_NS, held=False)

    def _end(self) -> None:
        for wire in list(self._wires.values()):
            wire.fail(Outcome.ABANDONED, Close.CAPTURE_END)
        self._live.clear()
        self._poll.close()
        if self._alarm is not None:
            self._alarm.close()
