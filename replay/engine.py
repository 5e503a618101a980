"""The engine: carries out a plan on time, on one thread, with one poll.

Each turn sends everything that is due, in order, then takes what the sockets have, then waits for
the next absolute deadline: a timerfd set a little early, and a spin for the rest. A poll of sockets
of our own rather than an event loop's transports, because these put a write off to the end of their
turn: here a send is the system call, so its time stamp is the truth, and a connection can be half
closed or reset as it was recorded.

Open loop: a request whose lane is still busy goes out on a spare wire. With `order strict`, and at
speed `max`, it waits for its lane; the wait is booked to the connection, not to us.
"""

from __future__ import annotations

import gc
import itertools
import select
from collections.abc import Callable

from capture.exchange import NEVER, Close, Flag, Lateness, Outcome, RequestEnd, Reuse

from .batch import Batch
from .channel import Intake
from .clock import NS, SPIN_NS, alarm, now_ns
from .connection import CLOSED, OPEN, Settle, Wire
from .dialer import Dialer
from .options import ReplayOptions
from .targets import Target
from .timers import Timers

LATE_NS = 1_000_000
MAX_WINDOW = 256
EVENTS_A_TURN = 32
SWEEP_NS = 50_000_000
WIRES_A_SWEEP = 256
HEAD_START_NS = 5_000_000
TLS_HEAD_START_NS = 50_000_000
_READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Engine(Settle):
    """Sends batches and hands each to `on_batch` when the fate of all its rows is known."""

    def __init__(
        self,
        intake: Intake,
        targets: list[Target],
        options: ReplayOptions,
        on_batch: Callable[[Batch], None],
        on_begun: Callable[[Batch], None],
        on_closed: Callable[[Wire], None],
    ) -> None:
        self._intake = intake
        self._options = options
        self._on_batch = on_batch
        self._on_begun = on_begun
        self._on_closed = on_closed
        self._strict = options.order == "strict" or options.at_max
        self._poll = select.epoll()
        self._poll.register(intake.end.fileno(), select.EPOLLIN)
        self._intake_fd = intake.end.fileno()
        self._alarm = alarm()
        if self._alarm is not None:
            self._poll.register(self._alarm.fd, select.EPOLLIN)
        self._dialer = Dialer(targets, options, self._poll, self)
        self._wires = self._dialer.wires
        self._head_start = [TLS_HEAD_START_NS if t.secure else HEAD_START_NS for t in targets]
        self._lanes: dict[tuple[int, int], Wire] = {}
        self._spares: list[list[Wire]] = [[] for _ in targets]
        self._timers = Timers()
        self._ending: set[tuple[int, int]] = set()
        self._sweeping = iter(list[Wire]())
        self._sweep_at = 0
        self._live: dict[int, Batch] = {}
        self._next: Batch | None = None
        self._start = 0
        self.in_flight = 0
        self.sent = 0
        self.answered_count = 0
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
        end = start + options.duration if options.duration else 0
        at_max = options.at_max
        window = options.max_in_flight or (MAX_WINDOW if at_max else 0)
        batch, row, rows = None, 0, 0
        while True:
            now = now_ns()
            if self.stopping or (end and now >= end):
                self.stopped_at = min(now, end) if end else now
                if batch and row < rows and 0 < now - start - batch.due[row] < LATE_NS:
                    self.stopped_at = start + batch.due[row]  # this very turn was to send it
                break
            if timers.next_at <= now:
                self._ring(now)
            turn = 0
            while turn < EVENTS_A_TURN:
                if batch is None or row == rows:
                    batch, row = self._begin(), 0
                    rows = batch.rows if batch is not None else 0
                    if batch is None:
                        break
                if window and self.in_flight >= window:
                    break
                if not at_max and start + batch.due[row] > now:
                    break
                self._dispatch(batch, row, start, now)
                row += 1
                turn += 1
                if not turn & 7:
                    now = now_ns()
            if batch is None and self._intake.ended and not self.in_flight:
                return
            held = turn == EVENTS_A_TURN
            due = now if held else start + batch.due[row] if batch and row < rows else 0
            self._wait(0 if at_max and not held else due, held)
        self._drain()

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
            self._live[batch.number] = batch
            if not self._options.at_max:
                self._schedule(batch)
        return batch

    def _schedule(self, batch: Batch) -> None:
        """Wires open when they were opened, or with a head start before their first request."""
        for row, first in enumerate(batch.first.tolist()):
            if first:
                instant = min(
                    batch.opened[row], batch.due[row] - self._head_start[batch.targets[row]]
                )
                self._timers.add(self._start + instant, self._open_ahead, (batch, row))

    def _open_ahead(self, batch: Batch, row: int) -> None:
        key = (batch.lane[row], batch.targets[row])
        if key not in self._lanes:
            wire = self._dial(batch, row)
            if isinstance(wire, Wire):
                self._lanes[key] = wire

    def _wait(self, due: int, held: bool) -> None:
        """Take what the sockets have; wait for it no longer than to the next deadline."""
        now = now_ns()
        deadline = self._timers.next_at
        if due and due < deadline:
            deadline = due
        timeout = 0.0
        early = deadline - SPIN_NS
        if now < early:
            timeout = min(0.05, (early - now) / NS)
            if self._alarm is not None and early - now < 50_000_000:
                self._alarm.arm(early)
                timeout = 0.06
        bell = -1 if self._alarm is None else self._alarm.fd
        limit = EVENTS_A_TURN if due or held else 256
        for fd, event in self._poll.poll(timeout, limit):
            wire = self._wires.get(fd)
            if wire is not None:
                self._on_event(wire, event)
            elif fd == bell:
                self._alarm.clear()  # type: ignore[union-attr]
            elif fd == self._intake_fd:
                self._look_in(event)
        if now > self._sweep_at:
            self._sweep_at = now + SWEEP_NS
            self._sweep(now)

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

    def _opened(self, wire: Wire) -> None:
        """The first that waits is sent; with `order strict` the others after its answer."""
        wire.state = OPEN
        if wire.waiting:
            batch, row = wire.waiting.popleft()
            self._send(wire, batch, row, Lateness.TLS if wire.tls_ns >= 0 else Lateness.CONNECT)
            while wire.waiting and self._follows(*wire.waiting[0]) and wire.state == OPEN:
                self._send(wire, *wire.waiting.popleft(), Lateness.CONNECT)
        self._dialer.watch(wire)

    def _dispatch(self, batch: Batch, row: int, start: int, now: int) -> None:
        if batch.sizes[row] < 0:
            self._settle_row(batch, row, Outcome.UNSENT)
            return
        if self._options.at_max:
            batch.due[row] = now - start
        self.in_flight += 1
        self.sent += 1
        key = (batch.lane[row], batch.targets[row])
        wire: Wire | None = self._lanes.get(key)
        if wire is None:
            wire = self._connect(batch, row)
            if wire is None:
                return
            self._lanes[key] = wire
        elif wire.outstanding or wire.waiting:
            if self._strict:
                wire.waiting.append((batch, row))
                return
            if wire.unwritten or not self._follows(batch, row):
                wire = self._spare(batch, row)
                if wire is None:
                    return
        if wire.state != OPEN:
            wire.waiting.append((batch, row))
        else:
            late = now - start - batch.due[row]
            self._send(wire, batch, row, Lateness.LOOP if late > LATE_NS else Lateness.NONE)
        if batch.close_after[row] >= 0:
            self._end_later(batch, row, key)

    def _follows(self, batch: Batch, row: int) -> bool:
        """Whether it was recorded as sent before the answer to its predecessor."""
        return not self._strict and bool(batch.flags[row] & (Flag.PIPELINED | Flag.EARLY_RESPONSE))

    def _send(self, wire: Wire, batch: Batch, row: int, cause: int) -> None:
        wire.send(batch, row, cause)
        if wire.rest:
            self._dialer.watch(wire)

    def _spare(self, batch: Batch, row: int) -> Wire | None:
        spares = self._spares[batch.targets[row]]
        while spares:
            wire = spares.pop()
            if wire.state == OPEN and wire.idle:
                return wire
        opened = self._connect(batch, row)
        if opened is not None:
            opened.spare = True
        return opened

    def _connect(self, batch: Batch, row: int) -> Wire | None:
        """A wire for a row that is due; where there is none, that is what became of the row."""
        wire = self._dial(batch, row)
        if isinstance(wire, Wire):
            return wire
        self.in_flight -= 1
        self._settle_row(batch, row, wire)
        return None

    def _dial(self, batch: Batch, row: int) -> Wire | Outcome:
        wire = self._dialer.open(batch.lane[row], batch.targets[row])
        if isinstance(wire, Wire):
            wire.client = batch.client[row]
            self._timers.add(now_ns() + self._options.connect_timeout, self._give_up, (wire,))
        return wire

    def _give_up(self, wire: Wire) -> None:
        if wire.state not in (OPEN, CLOSED):
            wire.fail(Outcome.CONNECT_TIMED_OUT)

    def _end_later(self, batch: Batch, row: int, key: tuple[int, int]) -> None:
        if key not in self._ending and not self._options.at_max:
            self._ending.add(key)
            instant = self._start + batch.due[row] + batch.close_after[row]
            self._timers.add(instant, self._end_lane, (key, batch.close[row]))

    def _end_lane(self, key: tuple[int, int], close: int) -> None:
        """The recorded connection ended now: so does its wire, once it has nothing on its way."""
        self._ending.discard(key)
        wire = self._lanes.get(key)
        if wire is None:
            return
        if wire.idle:
            wire.end_as(close)
            return
        batch, row = wire.outstanding[0] if wire.outstanding else wire.waiting[0]
        if batch.ended[row] == RequestEnd.FIN and close == Close.FIN_CLIENT:
            wire.half_close()
        elif batch.ended[row] or (batch.flags[row] & Flag.NO_RESPONSE and _ours(close)):
            wire.end_as(close)
        else:
            wire.closing = Close(close)

    def later(self, instant: int, wire: Wire, batch: Batch, row: int, part: bytes) -> None:
        """See Settle."""
        self._timers.add(instant, self._continue, (wire, batch, row, part))

    def _continue(self, wire: Wire, batch: Batch, row: int, part: bytes) -> None:
        wire.continue_with(batch, row, part)
        if wire.state == OPEN and wire.writing:
            self._dialer.watch(wire)

    def _sweep(self, now: int) -> None:
        """Give up answers that have taken too long; a part of all wires at a time."""
        wires = list(itertools.islice(self._sweeping, WIRES_A_SWEEP))
        if len(wires) < WIRES_A_SWEEP:
            self._sweeping = iter(list(self._wires.values()))
        for wire in wires:
            if wire.state == OPEN and wire.outstanding:
                batch, row = wire.outstanding[0]
                if now - batch.results["request_first_ns"][row] > self._options.timeout:
                    wire.fail(Outcome.TIMED_OUT)

    def answered(self, wire: Wire, batch: Batch, now: int) -> None:
        """See Settle: the next that waits for this lane goes out, or the wire is done with."""
        del now
        self.in_flight -= 1
        self.answered_count += 1
        self._row_settled(batch)
        if wire.outstanding:
            return
        if wire.fresh is False and wire.tls_ns >= 0:
            self._dialer.answered(wire)
        if not wire.reader.stays and not wire.tunnelled:
            lost = list(wire.waiting)
            wire.waiting.clear()
            wire.fail(Outcome.NONE)
            for waiting, row in lost:
                self._again(waiting, row)
        elif wire.waiting:
            following, row = wire.waiting.popleft()
            self._send(wire, following, row, Lateness.CONNECTION)
        elif wire.closing != Close.CAPTURE_END:
            wire.end_as(wire.closing)
        elif wire.spare:
            self._spares[wire.target].append(wire)

    def _again(self, batch: Batch, row: int) -> None:
        """A request that waited for a connection that the target closed gets a new one."""
        key = (batch.lane[row], batch.targets[row])
        wire: Wire | None = self._lanes.get(key)
        if wire is None:
            wire = self._connect(batch, row)
        if wire is not None:
            self._lanes[key] = wire
            batch.results["reuse"][row] = Reuse.SPARE
            wire.waiting.append((batch, row))

    def closed(self, wire: Wire, lost: list[tuple[Batch, int]]) -> None:
        """See Settle."""
        self._dialer.forget(wire)
        key = (wire.lane, wire.target)
        if self._lanes.get(key) is wire:
            del self._lanes[key]
        for batch, _row in lost:
            self.in_flight -= 1
            self._row_settled(batch)
        self._on_closed(wire)

    def _settle_row(self, batch: Batch, row: int, outcome: Outcome) -> None:
        batch.results["outcome"][row] = outcome
        self._row_settled(batch)

    def _row_settled(self, batch: Batch) -> None:
        batch.open_rows -= 1
        if not batch.open_rows:
            del self._live[batch.number]
            self._on_batch(batch)

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
            wire.fail(Outcome.ABANDONED)
        self._live.clear()
        self._poll.close()
        if self._alarm is not None:
            self._alarm.close()


def _ours(close: int) -> bool:
    return close in (Close.FIN_CLIENT, Close.RST_CLIENT, Close.IDLE)
