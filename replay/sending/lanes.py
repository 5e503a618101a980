"""Lanes: which wire carries a request, and what becomes of wires as answers come.

A lane stands for a recorded connection. Its wire opens when that was opened and ends as and when
that ended, but not before its last answer has come, unless the recorded client gave up waiting.
A request whose lane is busy goes out on a spare wire, or waits where order is strict. This is the
part of the engine that knows connections; the loop in engine.py knows time.
"""

from __future__ import annotations

import itertools
import select
from collections import deque
from collections.abc import Callable
from typing import Final

from capture.exchange import NEVER, Close, Flag, Lateness, Outcome, RequestEnd, Reuse

from ..handover.batch import HALF_CLOSED, Batch
from ..options import ReplayOptions
from ..planning.openings import NEW, openings_of
from ..targets import Target
from .clock import now_ns
from .connection import CONNECTING, HANDSHAKE, OPEN, Settle, Wire
from .dialer import Dialer
from .ends import Ends, Key
from .farewell import by_client, half_close
from .spares import Spares
from .timers import Timers

_WIRES_A_SWEEP: Final = 256
_SWEEPS_A_SECOND: Final = 20
_ROOM_NS: Final = 5_000_000


class Lanes(Settle):
    """The wires of a run. `on_batch` gets each batch when the fate of all its rows is known."""

    def __init__(
        self,
        poll: select.epoll,
        targets: list[Target],
        options: ReplayOptions,
        on_batch: Callable[[Batch], None],
        on_closed: Callable[[Wire], None],
        on_kept: Callable[[Batch, int, bytes, bytes], None],
    ) -> None:
        self._options = options
        self._on_batch, self._on_closed, self._on_kept = on_batch, on_closed, on_kept
        self._strict = options.order == "strict" or options.at_max
        self._dialer = Dialer(targets, options, poll, self)
        self._wires = self._dialer.wires
        self._lanes: dict[Key, Wire] = {}
        self._openings = openings_of(options.connections)
        self._patience = options.connect_timeout
        self._roomless: deque[tuple[Batch, int]] = deque()  # they wait for a descriptor
        self._spares = [Spares(self._openings.size) for _ in targets]
        self._timers = Timers()
        self._ends = Ends()
        self._sweeping = iter(list[Wire]())
        self._live: dict[int, Batch] = {}
        self._start = 0
        self.in_flight = 0
        self.answered_count = 0

    def _opened(self, wire: Wire) -> None:
        """What waited for it is sent: the first, and those that did not wait for its answer."""
        wire.state = OPEN
        cause = Lateness.TLS if wire.tls_ns >= 0 else Lateness.CONNECT
        if wire.waiting:
            self._send(wire, *wire.waiting.popleft(), cause)
            while wire.waiting and not wire.unwritten and self._follows(*wire.waiting[0]):
                self._send(wire, *wire.waiting.popleft(), cause)
        self._dialer.watch(wire)
        if wire.waiting and not self._strict:
            others = list(wire.waiting)
            wire.waiting.clear()
            for batch, row in others:
                self._aside(batch, row, cause)
        if wire.spare:
            self._spares[wire.target].opened(wire)
            self._refill(self._spares[wire.target])

    def _follows(self, batch: Batch, row: int) -> bool:
        """Whether it was recorded as sent before the answer to its predecessor."""
        return not self._strict and bool(batch.flags[row] & (Flag.PIPELINED | Flag.EARLY_RESPONSE))

    def _send(self, wire: Wire, batch: Batch, row: int, cause: int) -> None:
        wire.put(batch, row, cause)
        if wire.rest:
            self._dialer.watch(wire)

    def _aside(self, batch: Batch, row: int, cause: int) -> bool:
        """Send a row on a spare; False where it has to wait for one."""
        target = batch.targets[row]
        spares = self._spares[target]
        wire = spares.take()
        if wire is not None:
            self._send(wire, batch, row, cause)
            return True
        if spares.may_open:
            opened = self._dial(batch.lane[row], target, batch.client[row], spare=True)
            if isinstance(opened, Wire):
                spares.add(opened)
                opened.waiting.append((batch, row))
                return True
            if opened != Outcome.NO_RESOURCES:
                self.in_flight -= 1
                self._settle_row(batch, row, opened)
                return True
        own: Wire | None = self._lanes.get((batch.lane[row], target))
        if spares.count or own is None:
            spares.queue.append((batch, row))
        else:
            own.waiting.append((batch, row))
        return False

    def _refill(self, spares: Spares) -> None:
        """Open spares for those that wait for one, as many as may be."""
        while spares.queue and spares.may_open:
            if not self._aside(*spares.queue.popleft(), spares.cause):
                break

    def _connect(self, batch: Batch, row: int) -> Wire | None:
        """A wire for a row that is due; where there is none, that is what became of the row.

        Where descriptors are used up it waits for one, as long as a connection may take.
        """
        wire: Wire | Outcome = Outcome.NO_RESOURCES  # behind those that wait already
        if not self._roomless:
            wire = self._dial(batch.lane[row], batch.targets[row], batch.client[row])
        if isinstance(wire, Wire):
            return wire
        short = self._roomless or self._dialer.full
        if short and now_ns() - self._start - batch.due[row] < self._patience:
            self._roomless.append((batch, row))
            if len(self._roomless) == 1:
                self._timers.add(now_ns() + _ROOM_NS, self._look_for_room, ())
            return None
        self.in_flight -= 1
        self._settle_row(batch, row, wire)
        return None

    def _look_for_room(self) -> None:
        """Open wires for those that wait for a descriptor, the first first, while there are any."""
        waiting, self._roomless = self._roomless, deque()
        while waiting and not self._roomless:
            self._again(*waiting.popleft(), Reuse.FRESH, Lateness.CONNECT)
        self._roomless += waiting

    def _dial(self, lane: int, target: int, client: int, spare: bool = False) -> Wire | Outcome:
        wire = self._dialer.open(lane, target)
        if wire == Outcome.NO_RESOURCES:
            if (unused := self._spares[target].take()) is not None:
                unused.end_as(Close.FIN_CLIENT)
            elif not spare and (resting := self._resting()) is not None:
                resting.fail(Outcome.ABANDONED, Close.IDLE)
            else:
                return wire
            wire = self._dialer.open(lane, target)
        if isinstance(wire, Wire):
            wire.client = client
            if self._openings.how == NEW:
                wire.closing = Close.FIN_CLIENT  # after its answer
        return wire

    def _resting(self) -> Wire | None:
        """Of the lanes that have nothing to do, one of the oldest, where descriptors are used up.

        A request that cannot be sent is worse than a connection that is opened again.
        """
        if not self._dialer.full:
            return None
        some = itertools.islice(self._lanes.values(), _WIRES_A_SWEEP)
        return next((wire for wire in some if wire.idle and wire.state == OPEN), None)

    def _plan_end(self, key: Key, batch: Batch, row: int) -> None:
        self._ends.plan(key, batch.due[row] + batch.close_after[row], batch.close[row])

    def _end_lane(self, key: Key, close: int) -> None:
        """The recorded connection ended now: so does its wire, once it has nothing on its way."""
        wire = self._lanes.get(key)
        if wire is None:
            return
        wire.take_back()
        if wire.idle:
            wire.end_as(close)
            return
        owed = wire.outstanding or wire.waiting
        if not owed:
            wire.closing = Close(close)  # the end of what was answered early is still to be written
            return
        batch, row = owed[0]
        if batch.ended[row] == RequestEnd.FIN and close == Close.FIN_CLIENT:
            half_close(wire.sock)
        elif batch.cut_off(row) or (batch.flags[row] & Flag.NO_RESPONSE and by_client(close)):
            self._give_up(wire, batch, row, close)
        else:
            wire.closing = Close(close)

    def _give_up(self, wire: Wire, batch: Batch, row: int, close: int) -> None:
        """End what was not waited for, after as long as the recorded client waited."""
        patient_until = batch.sent_first[row] + batch.close_after[row]
        if wire.outstanding and now_ns() < patient_until:
            self._timers.add(patient_until, self._end_lane, ((wire.lane, wire.target), close))
        else:
            wire.end_as(close)

    def kept(self, batch: Batch, row: int, head: bytes, body: bytes) -> None:
        """See Settle."""
        self._on_kept(batch, row, head, body)

    def later(self, instant: int, wire: Wire, part: bytes) -> None:
        """See Settle."""
        self._timers.add(instant, self._continue, (wire, part))

    def _continue(self, wire: Wire, part: bytes) -> None:
        wire.continue_with(part)
        if wire.state == OPEN and wire.writing:
            self._dialer.watch(wire)

    def _sweep(self, now: int) -> None:
        """Give up what has taken too long; a part of all wires at a time, all within a second."""
        some = max(_WIRES_A_SWEEP, len(self._wires) // _SWEEPS_A_SECOND)
        wires = list(itertools.islice(self._sweeping, some))
        if len(wires) < some:
            self._sweeping = iter(list(self._wires.values()))
        for wire in wires:
            if wire.state in (CONNECTING, HANDSHAKE):
                if now - wire.open_ns > self._options.connect_timeout:
                    wire.fail(Outcome.CONNECT_TIMED_OUT)
                continue
            since = wire.waits_since
            if since != NEVER and now - since > self._options.timeout:
                wire.fail(Outcome.TIMED_OUT)

    def answered(self, wire: Wire, batch: Batch, row: int) -> None:
        """See Settle."""
        del row
        self.in_flight -= 1
        self.answered_count += 1
        self._row_settled(batch)
        if wire.outstanding:
            return
        if wire.fresh is False and wire.tls_ns >= 0:
            self._dialer.answered(wire)
        if not wire.reader.stays and not wire.tunnelled:
            wire.fail(Outcome.NONE)
        elif not wire.unfinished:
            self.written(wire)

    def written(self, wire: Wire) -> None:
        """See Settle: the next that waits for this lane goes out, or the wire is done with."""
        if wire.waiting:
            self._send(wire, *wire.waiting.popleft(), Lateness.CONNECTION)
        elif wire.closing != Close.CAPTURE_END:
            wire.end_as(wire.closing)
        elif wire.spare:
            self._unused(wire)
        elif not wire.tunnelled:
            self._rests(wire)

    def _rests(self, wire: Wire) -> None:
        """An open wire of a lane has nothing to do for now."""

    def _unused(self, wire: Wire) -> None:
        """A spare has nothing to do: the next that waits for one goes out on it."""
        spares = self._spares[wire.target]
        if spares.queue:
            self._send(wire, *spares.queue.popleft(), spares.cause)
        else:
            spares.rest(wire)

    def _again(self, batch: Batch, row: int, reuse: Reuse, cause: Lateness) -> None:
        """A request that waited, for a connection that was closed or for a descriptor."""
        key = (batch.lane[row], batch.targets[row])
        if self._openings.size:
            self._aside(batch, row, cause)
            return
        wire: Wire | None = self._lanes.get(key)
        if wire is None:
            wire = self._connect(batch, row)
        if wire is not None:
            self._lanes[key] = wire
            if batch.close_after[row] >= 0:
                self._plan_end(key, batch, row)
            batch.reuse[row] = reuse
            if wire.idle and wire.state == OPEN:
                self._send(wire, batch, row, cause)
            else:
                wire.waiting.append((batch, row))

    def ended(self, wire: Wire, batch: Batch, row: int) -> None:
        """See Settle. What was cut off ends when its connection did; else at once.

        Nobody can answer what has no end, so it is given up, unless others wait for answers here.
        """
        how, others = batch.ended[row], len(wire.outstanding) + len(wire.waiting) > 1
        if how == HALF_CLOSED:
            half_close(wire.sock)
        elif batch.close_after[row] >= 0 and not self._options.at_max:
            return
        elif how == RequestEnd.RST:
            wire.end_as(Close.RST_CLIENT)
        elif how == RequestEnd.FIN or others:
            half_close(wire.sock)
        elif how == RequestEnd.SILENCE:
            self._abandon(wire, batch, row)
        else:
            wire.end_as(Close.FIN_CLIENT)

    def _abandon(self, wire: Wire, batch: Batch, row: int) -> None:
        """The client fell silent, and nobody closed: the wire stays open, and is not used again."""
        wire.outstanding.clear()
        if self._lanes.get(key := (wire.lane, wire.target)) is wire:
            del self._lanes[key]
        self.in_flight -= 1
        self._settle_row(batch, row, Outcome.ABANDONED)

    def closed(
        self, wire: Wire, lost: list[tuple[Batch, int]], unsent: list[tuple[Batch, int]]
    ) -> None:
        """See Settle."""
        self._dialer.forget(wire)
        key = (wire.lane, wire.target)
        if self._lanes.get(key) is wire:
            del self._lanes[key]
            self._ends.forget(key)
        for batch, _row in lost:
            self.in_flight -= 1
            self._row_settled(batch)
        for batch, row in unsent:
            self._again(batch, row, Reuse.SPARE, Lateness.CONNECTION)
        if wire.spare:
            self._spares[wire.target].closed(wire)
            self._refill(self._spares[wire.target])
        self._on_closed(wire)

    def _settle_row(self, batch: Batch, row: int, outcome: Outcome) -> None:
        batch.outcome[row] = outcome
        self._row_settled(batch)

    def _row_settled(self, batch: Batch) -> None:
        batch.open_rows -= 1
        if not batch.open_rows:
            self._settled(batch)

    def _settled(self, batch: Batch) -> None:
        if self._live.pop(batch.number, None) is not None:
            self._on_batch(batch)
