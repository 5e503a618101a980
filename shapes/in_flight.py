"""Concurrency: the requests begun and not yet ended.

Seen at each arrival (those begun less those ended, exact because ends wait in a sorted array), and
over time in steps of 100 ms: the begins less the ends before the end of each step. Counts of both
merge in any order; what each arrival saw merges over spans or hosts that do not share requests, and
then speaks of one span or host, not of their sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .counts import Counts, Ints
from .sketch import Sketch

STEP_NS = 100_000_000


class InFlight:
    """Accumulates requests by when they began and ended; add in time order."""

    def __init__(self) -> None:
        self.seen = Sketch()
        self.peak = 0
        self._ends: Ints = np.empty(0, np.int64)
        self._begun, self._ended = Counts(STEP_NS), Counts(STEP_NS)

    def add(self, begins: Ints, ends: Ints) -> None:
        """Add requests in the order they began; without an end (-1) they end at once."""
        if begins.size == 0:
            return
        ends = np.sort(np.maximum(ends, begins))
        waiting = np.sort(np.concatenate([self._ends, ends])) if self._ends.size else ends
        over = np.searchsorted(waiting, begins, "left")
        now = np.arange(1 + self._ends.size, 1 + waiting.size) - over
        self.seen.add(now)
        self.peak = max(self.peak, int(now.max()))
        self._ends = waiting[int(over[-1]) :]
        self._begun.add(begins)
        self._ended.add(ends)

    def merge(self, other: InFlight) -> None:
        """Add the requests of another span or host."""
        self.seen.merge(other.seen)
        self.peak = max(self.peak, other.peak)
        self._ends = np.sort(np.concatenate([self._ends, other._ends]))
        self._begun.merge(other._begun)
        self._ended.merge(other._ended)

    def render(self, kept_share: float = 1.0) -> dict[str, Any]:
        """Quantiles over arrivals, the peak, and the course over time, of the whole stream."""
        p50, p99, peak = (v / kept_share for v in (*self.seen.quantiles((0.5, 0.99)), self.peak))
        step_s, values = self.series()
        if kept_share < 1:
            values = [round(value / kept_share) for value in values]
        course = {"step_s": step_s, "values": values}
        return {"p50": p50, "p99": p99, "peak": float(peak), "series": course}

    def series(self, most: int = 600) -> tuple[float, list[int]]:
        """How many were in flight at the end of each step: (seconds a step, counts)."""
        bins, _ = self._begun.occupied()
        if bins.size == 0:
            return STEP_NS / 1e9, []
        width = self._begun.width_ns
        first, last = int(bins[0]) * width, (int(bins[-1]) + 1) * width - 1
        fine = (last - first) // width + 1
        step = max(1, -(-fine // most)) * width
        last = first + (-(-(last - first + 1) // step)) * step - 1
        begun, ended = (each.dense(step, first, last) for each in (self._begun, self._ended))
        return step / 1e9, np.cumsum(begun - ended).tolist()
