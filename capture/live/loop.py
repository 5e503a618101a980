"""The loop of a live recording: rings in, batches to the recorder, and a look around each second.

Rings are emptied first and what was in them decoded afterwards, so that a burst waits in our memory
(up to a limit) and not in the ring, where the kernel would drop it. Each second the kernel's drop
counters go into the ledger and the guard sets the sampling rate; more often the recorder may seal
a block or begin a new tape. Signals only set flags, which the loop obeys: SIGHUP rotates, SIGTERM
and SIGINT end the recording cleanly.
"""

from __future__ import annotations

import select
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import ClassVar, Protocol

from ..ledger import DROPPED, INTERRUPTIONS, PACKETS
from ..log import Tell
from ..packets.frames import Frames
from ..record import Recorder
from .guard import Guard, Strain
from .rates import Rates
from .steady import SteadyClock

_LOOK_S = 1.0
_TICK_S = 0.1
_IN_KERNEL_NS = 1_000_000_000
_MOST_LATE_NS = 10_000_000_000  # who is later than this has set the clock
_WAIT_S = 0.05
_MOST_WAITING = 256 << 20  # bytes taken from the rings that are not decoded yet


class LiveSource(Protocol):
    """What the loop asks of a ring."""

    interface: str
    interruptions: int
    down: bool

    def fileno(self) -> int: ...

    def read(self) -> list[Frames]: ...

    def drops(self) -> int: ...

    def sample(self, limit: int) -> None: ...

    def note_error(self) -> None: ...

    def back(self) -> bool: ...


@dataclass
class Wishes:
    """What signals have asked for."""

    END: ClassVar = signal.SIGTERM
    ROTATE: ClassVar = signal.SIGHUP
    end: bool = False
    rotate: bool = False
    _before: dict[int, object] = field(default_factory=dict)

    def listen(self) -> None:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._heard)

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            self.rotate = True
        else:
            self.end = True


class LiveLoop:
    """Reads rings until the time is over or a signal asks for the end."""

    def __init__(
        self,
        rings: Sequence[LiveSource],
        recorder: Recorder,
        guard: Guard,
        wishes: Wishes,
        report: Callable[[], None] = lambda: None,
        warn: Tell = lambda _: None,
        tell_rates: tuple[Tell, Tell] = (lambda _: None, lambda _: None),  # a fall, a rise
    ) -> None:
        self._rings = rings
        self._recorder = recorder
        self._guard = guard
        self._wishes = wishes
        self._report = report  # called each second
        self._warn = warn
        self._warned = False  # that a limit cannot be kept
        self._down: set[str] = set()  # interfaces of which that was told
        self._clock = SteadyClock()
        self._rates = Rates(guard, rings, recorder, self._clock.now_ns, *tell_rates)
        self._came = self._read = 0  # packets, since the last look around
        self._by_descriptor = {ring.fileno(): ring for ring in rings}
        self._interruptions = 0
        self._waiting: deque[tuple[Frames, int]] = deque()  # and when its first packet was seen
        self._late_ns = 0  # how long ago what was taken last had been seen
        self._waiting_bytes = 0
        self._last: tuple[int, int] | None = None  # last packet's time, and when it was taken
        self._poll = select.poll()
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.POLLIN | select.POLLERR)

    def run(self, seconds: float = 0.0) -> None:
        """Record; 0 seconds means until a signal."""
        began = look = tick = time.monotonic()
        while not self._wishes.end:
            now = time.monotonic()
            if seconds and now - began >= seconds:
                break
            if now - look >= _LOOK_S:
                look = now
                self._look_around()
            if now - tick >= _TICK_S:
                tick = now
                self._tick()
            self._drain()
            if not self._take():
                self._wait()
        self._finish()

    def _finish(self) -> None:
        """Take what came in before the end; traffic that goes on is not waited for."""
        # Some of it may still lie in a block that the kernel has not handed over.
        time.sleep(2 * _WAIT_S)
        end_ns = time.time_ns()
        for ring in self._rings:
            while frames := self._drain_one(ring):
                while self._take():
                    pass
                if int(frames[-1].times[-1]) > end_ns:
                    break
        while self._take():
            pass
        self._look_around()

    def _drain(self) -> None:
        for ring in self._rings:
            if self._waiting_bytes >= _MOST_WAITING:
                return
            self._drain_one(ring)

    def _drain_one(self, ring: LiveSource) -> list[Frames]:
        batches = [frames for frames in ring.read() if len(frames)]
        for frames in batches:
            late_ns = min(max(0, time.time_ns() - int(frames.times[0])), _MOST_LATE_NS)
            self._waiting.append((frames, time.monotonic_ns() - late_ns))
            frames.times = self._clock.steady(frames.times)
            self._waiting_bytes += len(frames.data)
            self._came += len(frames)
        return batches

    def _take(self) -> bool:
        """Record the oldest batch that waits."""
        if not self._waiting:
            return False
        frames, seen_ns = self._waiting.popleft()
        self._waiting_bytes -= len(frames.data)
        self._recorder.take(self._rates.thinned(frames))
        self._read += len(frames)
        now_ns = time.monotonic_ns()
        self._last, self._late_ns = (int(frames.times[-1]), now_ns), now_ns - seen_ns
        return True

    def _wait(self) -> None:
        gone = False
        for descriptor, event in self._poll.poll(_WAIT_S * 1000):
            if event & select.POLLERR:
                self._by_descriptor[descriptor].note_error()
                gone = True
        if gone:
            time.sleep(_WAIT_S)  # an interface that is down reports it without end

    def _look_around(self) -> None:
        ledger = self._recorder.ledger
        dropped = sum(ring.drops() for ring in self._rings)
        if dropped:  # packets that never reached us; their bytes nobody knows
            ledger.book(PACKETS, DROPPED, dropped)
        self._look_at_interfaces()
        if self._clock.steps:
            ledger.book("clock steps", "taken off the times", self._clock.steps)
            self._clock.steps = 0
        if self._waiting and self._last is not None:
            late_ns, read_ns = self._late_ns, self._last[0]
        else:
            late_ns, read_ns = 0, self._clock.now_ns()
        self._rates.look(Strain(self._came, self._read, dropped, late_ns / 1e9, read_ns))
        self._came = self._read = 0
        if self._guard.in_vain and not self._warned:
            self._warned = True
            self._warn(
                f"--max-memory is not kept: without any connection a worker takes "
                f"{self._guard.memory >> 20} MB, and may take {self._guard.most_memory >> 20}"
            )
        self._report()

    def _look_at_interfaces(self) -> None:
        interruptions = sum(ring.interruptions for ring in self._rings)
        if interruptions > self._interruptions:
            since = interruptions - self._interruptions
            self._recorder.ledger.book(INTERRUPTIONS, "interface down", since)
            self._interruptions = interruptions
        for ring in self._rings:
            if ring.down and ring.interface not in self._down:
                self._down.add(ring.interface)
                self._warn(f"{ring.interface} is down; it is waited for")
            if ring.down and ring.back():
                self._down.discard(ring.interface)
                self._warn(f"{ring.interface} is back")

    def _tick(self) -> None:
        if not self._waiting and self._last is not None:
            seen_ns, at_ns = self._last
            # What the kernel has not handed over yet is younger than this.
            self._recorder.pass_time(seen_ns + time.monotonic_ns() - at_ns - _IN_KERNEL_NS)
        self._recorder.tick(self._late_ns)
        if self._wishes.rotate:
            self._wishes.rotate = False
            self._recorder.rotate()
