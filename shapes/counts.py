"""Counts of arrivals in bins, and their moments over a cascade of timescales.

An accumulator keeps the occupied bins of 100 µs as sorted (bin, count) pairs: adding and merging
are sums of counts, so they are associative and commutative, in any order of arrival, over hosts and
over tapes. Past `LIMIT` occupied bins the finest width doubles, which bounds the memory.

The cascade sums bins upward, in steps of 1, 2, 5, 10 … so that the timescales are the ones people
name (1 ms, 1 s). Bins begin at whole multiples of their width since the epoch: a second is a second
of the clock. With N the counts of the whole bins of width τ (the cut ones at both ends are left
out, the empty ones are counted):
    IDC = Var N / E N        Allan = E (N[k+1] − N[k])² / (2 E N)
    E₂ = (Var N − E N) / (E N)²        peak to mean = max N / E N
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BASE_NS = 100_000
LIMIT = 16_000_000
_PENDING = 2_000_000
FEWEST_BINS = 30


@dataclass(frozen=True)
class Moments:
    """The statistics of the counts at one timescale."""

    tau_s: float
    bins: int
    mean: float
    idc: float
    allan: float
    excess: float
    peak_to_mean: float
    q999_to_mean: float


class Counts:
    """Occupied bins and how many arrivals fell in each."""

    def __init__(self, width_ns: int = BASE_NS) -> None:
        self.width_ns = width_ns
        self._bins: Ints = np.empty(0, np.int64)
        self._counts: Ints = np.empty(0, np.int64)
        self._pending: list[tuple[Ints, Ints]] = []
        self._pending_rows = 0

    def add(self, times_ns: Ints) -> None:
        """Count arrivals, in any order."""
        if times_ns.size == 0:
            return
        bins = times_ns // self.width_ns
        if not bool(np.all(bins[1:] >= bins[:-1])):
            bins = np.sort(bins)
        at = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1))
        self._later(bins[at], np.diff(np.append(at, bins.size)))

    def merge(self, other: Counts) -> None:
        """Add the arrivals that another accumulator counted."""
        other._settle()
        while self.width_ns < other.width_ns:
            self._coarsen()
        factor = self.width_ns // other.width_ns
        if other._bins.size:
            self._later(other._bins // factor, other._counts)

    def occupied(self) -> tuple[Ints, Ints]:
        """The occupied bins, in order, and their counts."""
        self._settle()
        return self._bins, self._counts

    @property
    def total(self) -> int:
        """How many arrivals were counted."""
        self._settle()
        return int(self._counts.sum())

    def dense(self, tau_ns: int, first_ns: int, last_ns: int) -> Ints:
        """Counts of every bin of width τ (a multiple of the finest) from `first_ns` on."""
        step = max(1, round(tau_ns / self.width_ns))
        bins, counts = self.occupied()
        origin = first_ns // self.width_ns
        whole = (last_ns // self.width_ns - origin + 1) // step
        at = (bins - origin) // step
        inside = (at >= 0) & (at < whole)
        return np.bincount(at[inside], counts[inside], minlength=max(whole, 0)).astype(np.int64)

    def moments(
        self, tau_ns: int, first_ns: int | None = None, last_ns: int | None = None
    ) -> Moments:
        """The statistics at one timescale, over the arrivals' own span unless told otherwise."""
        bins, counts = self.occupied()
        origin, end = self._window(first_ns, last_ns)
        return _moments(bins, counts, origin, end, self.width_ns, tau_ns)

    def cascade(self, first_ns: int | None = None, last_ns: int | None = None) -> list[Moments]:
        """The statistics at every timescale from the finest to a thirtieth of the span."""
        bins, counts = self.occupied()
        if bins.size == 0:
            return []
        origin, end = self._window(first_ns, last_ns)
        width = self.width_ns
        found: list[Moments] = []
        while end - origin >= FEWEST_BINS:
            found += [
                _moments(bins, counts, origin, end, width, width * step)
                for step in (1, 2, 5)
                if end - origin >= FEWEST_BINS * step
            ]
            bins, counts = _sum(bins, counts, 10)
            origin, end, width = -(-origin // 10), end // 10, width * 10
        return found

    def _window(self, first_ns: int | None, last_ns: int | None) -> tuple[int, int]:
        origin = int(self._bins[0]) if first_ns is None else first_ns // self.width_ns
        end = int(self._bins[-1]) if last_ns is None else last_ns // self.width_ns
        return origin, end + 1

    def _later(self, bins: Ints, counts: Ints) -> None:
        self._pending.append((bins, counts))
        self._pending_rows += bins.size
        if self._pending_rows > _PENDING:
            self._settle()

    def _settle(self) -> None:
        if not self._pending:
            return
        parts = [(self._bins, self._counts), *self._pending]
        self._pending, self._pending_rows = [], 0
        bins = np.concatenate([part[0] for part in parts])
        counts = np.concatenate([part[1] for part in parts])
        if not bool(np.all(bins[1:] > bins[:-1])):
            order = np.argsort(bins, kind="stable")
            bins, counts = _sum(bins[order], counts[order], 1)
        self._bins, self._counts = bins, counts
        while self._bins.size > LIMIT:
            self._coarsen()

    def _coarsen(self) -> None:
        self._settle()
        self._bins, self._counts = _sum(self._bins, self._counts, 2)
        self.width_ns *= 2


def _sum(bins: Ints, counts: Ints, step: int) -> tuple[Ints, Ints]:
    """Sum sorted sparse counts into bins `step` times as wide."""
    if bins.size == 0:
        return bins, counts
    wide = bins // step if step > 1 else bins
    at = np.concatenate(([0], np.flatnonzero(wide[1:] != wide[:-1]) + 1))
    return wide[at], np.add.reduceat(counts, at)


def _moments(bins: Ints, counts: Ints, origin: int, end: int, width: int, tau_ns: int) -> Moments:
    """Moments of sparse counts from the fine bin `origin` to before `end`, empty ones included."""
    step = max(1, round(tau_ns / width))
    first = -(-origin // step)
    whole = end // step - first
    wide, sums = _sum(bins, counts, step) if step > 1 else (bins, counts)
    wide = wide - first
    inside = (wide >= 0) & (wide < whole)
    if not bool(inside.all()):
        wide, sums = wide[inside], sums[inside]
    tau_s = step * width / 1e9
    if whole < 2 or sums.size == 0:
        return Moments(tau_s, whole, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    n = sums.astype(np.float64)
    mean = float(n.sum()) / whole
    variance = max(float(np.dot(n, n)) / whole - mean * mean, 0.0)
    neighbours = wide[1:] == wide[:-1] + 1
    products = float(np.dot(n[1:][neighbours], n[:-1][neighbours]))
    edges = (n[0] ** 2 if wide[0] == 0 else 0.0) + (n[-1] ** 2 if wide[-1] == whole - 1 else 0.0)
    differences = (2 * float(np.dot(n, n)) - edges - 2 * products) / (whole - 1)
    rank = int(np.ceil(0.999 * whole)) - 1 - (whole - n.size)
    q999 = float(np.partition(n, rank)[rank]) if rank >= 0 else 0.0
    return Moments(
        tau_s=tau_s,
        bins=whole,
        mean=mean,
        idc=variance / mean,
        allan=differences / (2 * mean),
        excess=(variance - mean) / mean**2,
        peak_to_mean=float(n.max()) / mean,
        q999_to_mean=q999 / mean,
    )
