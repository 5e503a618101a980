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
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BASE_NS = 100_000
LIMIT = 16_000_000
_PENDING = 1_000_000
_ALIGNED = 10**9
_MOST_IN_HISTOGRAM = 1 << 16
_PIECE = 1 << 20
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
        self._counts: NDArray[Any] = np.empty(0, np.int32)  # no bin holds 2³¹ arrivals
        self._pending: list[tuple[Ints, NDArray[Any]]] = []
        self._pending_rows = 0

    def add(self, times_ns: Ints) -> None:
        """Count arrivals, in any order."""
        if times_ns.size == 0:
            return
        bins = times_ns // self.width_ns
        if not bool(np.all(bins[1:] >= bins[:-1])):
            bins = np.sort(bins)
        at = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1))
        self._later(bins[at], np.diff(np.append(at, bins.size)).astype(np.int32))

    def merge(self, other: Counts) -> None:
        """Add the arrivals that another accumulator counted."""
        other._settle()
        while self.width_ns < other.width_ns:
            self._coarsen()
        factor = self.width_ns // other.width_ns
        if other._bins.size:
            self._later(other._bins // factor, other._counts)

    def occupied(self) -> tuple[NDArray[Any], NDArray[Any]]:
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
        whole = max((last_ns // self.width_ns - origin + 1) // step, 0)
        inside = slice(*np.searchsorted(bins, (origin, origin + whole * step)).tolist())
        at = (bins[inside] - origin) // step
        return np.bincount(at, counts[inside], minlength=whole).astype(np.int64)

    def between(self, first_ns: int, last_ns: int) -> int:
        """How many arrivals fell in the bins from that of one time to that of another."""
        bins, counts = self.occupied()
        places = (first_ns // self.width_ns, last_ns // self.width_ns + 1)
        low, high = np.searchsorted(bins, places).tolist()
        return int(counts[low:high].sum())

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
        # From a base that all widths divide, bins fit into half the memory.
        base = origin - origin % _ALIGNED
        if end - base < 1 << 31 and self.total < 1 << 31:
            small = np.empty(bins.size, np.int32)
            bins = np.subtract(bins, base, out=small, casting="unsafe")
            origin, end = origin - base, end - base
        else:
            counts = counts.astype(np.int64)
        while end - origin >= FEWEST_BINS:
            found.append(_moments(bins, counts, origin, end, width, width))
            if end - origin >= FEWEST_BINS * 2:
                found.append(_moments(bins, counts, origin, end, width, 2 * width))
            bins, counts = _sum(bins, counts, 5)
            if end - origin >= FEWEST_BINS * 5:
                found.append(_moments_of(bins, counts, origin, end, width, 5))
            bins, counts = _sum(bins, counts, 2)
            origin, end, width = -(-origin // 10), end // 10, width * 10
        return found

    def _window(self, first_ns: int | None, last_ns: int | None) -> tuple[int, int]:
        origin = int(self._bins[0]) if first_ns is None else first_ns // self.width_ns
        end = int(self._bins[-1]) if last_ns is None else last_ns // self.width_ns
        return origin, end + 1

    def _later(self, bins: Ints, counts: Ints) -> None:
        self._pending.append((bins, counts))
        self._pending_rows += bins.size
        # As many as half of what is there: each is copied a few times however many come.
        if self._pending_rows > max(_PENDING, self._bins.size // 2):
            self._settle()

    def _settle(self) -> None:
        if not self._pending:
            return
        bins, counts = _ordered(self._pending)
        self._pending, self._pending_rows = [], 0
        if self._bins.size and bins[0] == self._bins[-1]:  # a bin that a seam divides
            self._counts[-1] += counts[0]
            bins, counts = bins[1:], counts[1:]
        if self._bins.size and bins.size and bins[0] < self._bins[-1]:
            bins, counts = _ordered([(self._bins, self._counts), (bins, counts)])
        elif self._bins.size:
            bins = np.concatenate([self._bins, bins])
            counts = np.concatenate([self._counts, counts])
        self._bins, self._counts = bins, counts
        while self._bins.size > LIMIT:
            self._coarsen()

    def _coarsen(self) -> None:
        self._settle()
        self._bins, self._counts = _sum(self._bins, self._counts, 2)
        self.width_ns *= 2


def _ordered(parts: list[tuple[Ints, NDArray[Any]]]) -> tuple[Ints, NDArray[Any]]:
    """The bins of several parts in order, each once."""
    bins = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    if bool(np.any(bins[1:] < bins[:-1])):
        order = np.argsort(bins, kind="stable")
        return _sum(bins[order], counts[order], 1)
    return _sum(bins, counts, 1) if bool(np.any(bins[1:] == bins[:-1])) else (bins, counts)


def _sum(bins: NDArray[Any], counts: NDArray[Any], step: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sum sorted sparse counts into bins `step` times as wide, piece by piece: places take room."""
    parts = []
    start, size = 0, bins.size
    while start < size:
        end = min(start + _PIECE, size)
        if end < size:  # a wide bin is not divided
            end = int(np.searchsorted(bins, bins[end] // step * step))
            if end <= start:
                end = int(np.searchsorted(bins, (bins[start] // step + 1) * step))
        parts.append(_sum_piece(bins[start:end], counts[start:end], step))
        start = end
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return bins, counts
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _sum_piece(
    bins: NDArray[Any], counts: NDArray[Any], step: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    wide = bins // bins.dtype.type(step) if step > 1 else bins
    at = np.concatenate(([0], np.flatnonzero(wide[1:] != wide[:-1]) + 1))
    return wide[at], np.add.reduceat(counts, at, dtype=counts.dtype)


def _moments(
    bins: NDArray[Any], counts: NDArray[Any], origin: int, end: int, width: int, tau_ns: int
) -> Moments:
    """Moments of sparse counts from the fine bin `origin` to before `end`, empty ones included."""
    step = max(1, round(tau_ns / width))
    wide, n = _sum(bins, counts, step) if step > 1 else (bins, counts)
    return _moments_of(wide, n, origin, end, width, step)


def _moments_of(
    wide: NDArray[Any], n: NDArray[Any], origin: int, end: int, width: int, step: int
) -> Moments:
    """The same of counts that are summed already, `step` fine bins each."""
    first = -(-origin // step)
    whole = end // step - first
    inside = slice(*np.searchsorted(wide, (first, first + max(whole, 0))).tolist())
    wide, n = wide[inside], n[inside]
    tau_s = step * width / 1e9
    if whole < 2 or n.size == 0:
        return Moments(tau_s, whole, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    total, squares, most, q999 = _sums(n, whole)
    mean = total / whole
    variance = max(squares / whole - mean * mean, 0.0)
    last = first + whole - 1
    edges = (float(n[0]) ** 2 if wide[0] == first else 0.0) + (
        float(n[-1]) ** 2 if wide[-1] == last else 0.0
    )
    differences = (2 * squares - edges - 2 * _products(wide, n)) / (whole - 1)
    return Moments(
        tau_s=tau_s,
        bins=whole,
        mean=mean,
        idc=variance / mean,
        allan=differences / (2 * mean),
        excess=(variance - mean) / mean**2,
        peak_to_mean=most / mean,
        q999_to_mean=q999 / mean,
    )


def _sums(n: NDArray[Any], whole: int) -> tuple[float, float, float, float]:
    """Σ, Σ², the largest and the 99.9 % quantile of counts, of which `whole` − len(n) are 0."""
    most = int(n.max())
    rank = int(np.ceil(0.999 * whole)) - 1 - (whole - n.size)
    if most > min(_MOST_IN_HISTOGRAM, 4 * n.size):
        ordered = np.sort(n).astype(np.float64)
        squares = float((ordered * ordered).sum())
        return float(ordered.sum()), squares, most, float(ordered[rank]) if rank >= 0 else 0.0
    bars = np.bincount(n)
    values = np.arange(bars.size, dtype=np.float64)
    q999 = float(np.searchsorted(np.cumsum(bars), rank + 1)) if rank >= 0 else 0.0
    return float(bars @ values), float(bars @ values**2), most, q999


def _products(wide: NDArray[Any], n: NDArray[Any]) -> float:
    """Σ N[k] N[k+1] over neighbouring bins, piece by piece: the products are wider than counts."""
    total = 0.0
    for at in range(0, n.size - 1, _PIECE):
        values = n[at : at + _PIECE + 1].astype(np.float64)
        near = np.diff(wide[at : at + _PIECE + 1]) == 1
        total += float((values[1:] * values[:-1]).sum(where=near))
    return total
