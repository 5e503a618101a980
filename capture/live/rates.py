"""The guard's rate, put into force: in the kernel's filters, the sample, the tape and the log.

The order matters. The kernel lets more through before the sample asks for it, and what begins after
that comes in. When the rate falls, what waits to be read is sampled at the new rate as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..ledger import CAPTURED_BYTES, PACKETS, SAMPLED_OUT
from ..log import Tell
from ..packets.frames import Frames
from ..record import Recorder
from .guard import Guard, Strain
from .sampling import limit_of
from .thinning import outside

_WORTH_TELLING = 2  # a change by this factor, or one to or from the whole


class Filtered(Protocol):
    """A ring whose filter can be told of the sample."""

    def sample(self, limit: int) -> None: ...


class Rates:
    """Lowers and raises the rate of a recording as its guard has it."""

    def __init__(
        self,
        guard: Guard,
        rings: Sequence[Filtered],
        recorder: Recorder,
        now_ns: Callable[[], int],
        warn: Tell,
        tell: Tell,
    ) -> None:
        self._guard = guard
        self._sampler = guard.sampler
        self._rings = rings
        self._recorder = recorder
        self._now_ns = now_ns  # on the clock of the packets
        self._warn = warn
        self._tell = tell
        self._told = 1.0
        self._noted_ns = 0

    def look(self, strain: Strain) -> None:
        """A second has passed like this."""
        before, rate = self._sampler.rate, self._guard.check(strain)
        if rate == before:
            return
        for ring in self._rings:
            ring.sample(limit_of(rate))
        now_ns = self._now_ns()
        self._sampler.set_rate(rate, now_ns)
        if rate < before:
            self._guard.fell(now_ns)
            self._recorder.let_go(self._sampler.out)
        since_ns = now_ns if rate > before else min(now_ns, strain.read_ns)
        self._noted_ns = max(self._noted_ns, since_ns)
        self._recorder.note_rate(self._noted_ns, rate)
        self._speak(rate)

    def thinned(self, frames: Frames) -> Frames:
        """A batch without what the kernel would have dropped, had it come after the rate fell."""
        import numpy as np

        if not len(frames) or int(frames.times[0]) >= self._guard.fell_ns or self._sampler.whole:
            return frames
        out = outside(frames, self._sampler.limit)
        wires = np.maximum(frames.wires, frames.lengths)[out]
        self._recorder.ledger.book(PACKETS, SAMPLED_OUT, len(wires))
        self._recorder.ledger.book(CAPTURED_BYTES, SAMPLED_OUT, int(wires.sum()))
        return frames.only(~out)

    def _speak(self, rate: float) -> None:
        change = max(rate / self._told, self._told / rate)
        if change < _WORTH_TELLING and rate < 1 and self._told < 1:
            return
        before, self._told = self._told, rate
        if rate < before:
            self._warn(
                f"{self._guard.reason}: from now on {rate:.1%} of the connections are kept "
                f"({before:.1%} before)"
            )
        elif rate < 1:
            self._tell(f"{rate:.1%} of the connections are kept again ({before:.1%} before)")
        else:
            self._tell("every connection is kept again")
