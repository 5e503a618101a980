"""Times that do not jump when somebody sets the clock.

The kernel stamps packets with the wall clock. When that is stepped, gaps between requests would be
lies, so the recording stays on the clock that it began with: a step is seen as a change of the
distance between the wall clock and the monotonic one, and taken off the stamps that follow it.
Slow drift (what NTP slews) is followed and is no step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..packets.frames import Int64s

_LEAST_STEP_NS = 50_000_000


class SteadyClock:
    """Takes steps of the wall clock off the times of packets."""

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._distance = wall() - monotonic()
        self._stepped = 0  # sum of all steps, ns
        self.steps = 0

    def steady(self, times: Int64s) -> Int64s:
        """The times of a batch, on the clock that the recording began with."""
        distance = self._wall() - self._monotonic()
        step = distance - self._distance
        self._distance = distance
        if abs(step) >= _LEAST_STEP_NS:
            self.steps += 1
            self._stepped += step
            return self._across(times, step)
        return times - self._stepped if self._stepped else times

    def now_ns(self) -> int:
        """The time now, on that clock."""
        return self._wall() - self._stepped

    def _across(self, times: Int64s, step: int) -> Int64s:
        """A batch in which the step may lie: each stamp belongs to the clock it is nearer to."""
        import numpy as np

        now = self._wall()
        after = np.abs(times - now) <= np.abs(times - (now - step))
        before_ns = self._stepped - step
        return np.where(after, times - self._stepped, times - before_ns)
