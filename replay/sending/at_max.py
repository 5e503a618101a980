"""Full speed: the answers set the pace.

At most a window of requests is under way, in the order of the plan. A request goes out when the one
before it on its connection was answered, so those of one connection need no queue: the plan says
which row follows (`Batch.following`), and a row counts as waiting once the plan has reached it. A
lane ends once the plan has reached all that was recorded before its end.

A plain request whose answer comes whole goes the short way (quick.py) from one to the next.
"""

from __future__ import annotations

from typing import Final

from capture.exchange import NEVER, Close, Lateness, Outcome

from ..handover.batch import Batch
from .clock import NS, now_ns
from .connection import Wire
from .ends import Key
from .engine import SWEEP_NS, Engine
from .timers import FAR

WINDOW: Final = 256
EVENTS_A_POLL: Final = 256
_PATIENCE_NS: Final = 50_000_000


class EngineAtMax(Engine):
    """Carries out a plan whose due times are whenever there is room."""

    def _run(self, start: int) -> None:
        del start
        self._window = self._options.max_in_flight or WINDOW
        self._batch: Batch | None = None
        self._released: list[tuple[Batch, int]] = []
        while True:
            now = now_ns()
            if self._over(now, NEVER):
                break
            if self._timers.next_at <= now:
                self._ring(now)
            self._admit()
            over = self._plan_is_out()
            self._end_lanes(FAR if over and not self._released else self._reached)
            if over and not self.in_flight and not self._released and not self._still_writing():
                return
            self._wait(0, held=False)
        self._drain()

    def _plan_is_out(self) -> bool:
        return self._batch is None and self._intake.ended

    def _wait(self, due: int, held: bool) -> None:
        """Take what the sockets have, as soon as there is something."""
        del held
        while self._released:
            self._go(*self._released.pop())
        now = now_ns()
        until = min(self._timers.next_at, due or now + _PATIENCE_NS)
        self._hear(max(0, until - now) / NS, EVENTS_A_POLL)
        if now > self._sweep_at:
            self._sweep_at = now + SWEEP_NS
            self._sweep(now)

    def _receive(self) -> Batch | None:
        batch = self._intake.next()
        if batch is not None:
            self._enter(batch)
            batch.hasten()
        return batch

    def _admit(self) -> None:
        """Reach as many rows of the plan as the window has room for."""
        while (room := self._window - self.in_flight) > 0:
            batch = self._batch
            if batch is None or batch.reached == batch.rows:
                self._batch = batch = self._begin()
                if batch is None:
                    return
            first = batch.reached
            self._reach(batch, min(batch.rows, first + room))
            turn = batch.turn()
            self._reached = batch.opened[batch.reached - 1]
            led = batch.reached - first - len(turn)
            self.in_flight += led
            self.sent += led
            for row in turn:
                self._go(batch, row)

    def _go(self, batch: Batch, row: int) -> None:
        """Send a row whose turn has come: that is when it is due."""
        now = now_ns()
        batch.due[row] = now - self._start
        self._dispatch(batch, row, now, now)

    def _plan_end(self, key: Key, batch: Batch, row: int) -> None:
        self._ends.plan(key, batch.opened[row] + batch.close_after[row], batch.close[row])

    def _send(self, wire: Wire, batch: Batch, row: int, cause: int) -> None:
        del cause  # it was not due before it could be sent
        super()._send(wire, batch, row, Lateness.NONE)
        stays = wire.closing == Close.CAPTURE_END and not wire.tunnelled
        if wire.outstanding and not wire.unfinished and stays and batch.plain[row]:
            self._carry(wire, batch, row)

    def answered(self, wire: Wire, batch: Batch, row: int) -> None:
        """See Settle: the row that follows is the next of this wire, once it is reached."""
        follows = self._follower(batch, row)
        if follows >= 0:
            wire.waiting.appendleft((batch, follows))
        super().answered(wire, batch, row)

    def closed(
        self, wire: Wire, lost: list[tuple[Batch, int]], unsent: list[tuple[Batch, int]]
    ) -> None:
        """See Settle: what follows a lost request goes before what has waited behind that."""
        if wire.closing == Close.CAPTURE_END:  # the run is over
            super().closed(wire, lost, unsent)
            for batch, row in lost:
                self._release(batch, row)
            return
        led = []
        for batch, row in lost:
            follows = self._follower(batch, row)
            if follows >= 0:
                batch.due[follows] = now_ns() - self._start
                led.append((batch, follows))
        super().closed(wire, lost, led + unsent)

    def _settle_row(self, batch: Batch, row: int, outcome: Outcome) -> None:
        super()._settle_row(batch, row, outcome)
        self._release(batch, row)

    def _release(self, batch: Batch, row: int) -> None:
        """This row has no wire on which another could follow: that one finds its own."""
        follows = self._follower(batch, row)
        if follows >= 0:
            self.in_flight -= 1
            self.sent -= 1
            self._released.append((batch, follows))

    def _follower(self, batch: Batch, row: int) -> int:
        """The row that follows where that was reached, else NEVER: until it is, it waits."""
        follows: int = batch.following[row]
        if follows >= batch.reached:
            batch.parked.add(follows)
            return NEVER
        return follows
