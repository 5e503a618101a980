"""Arrivals over all timescales: rate, gaps, dispersion, autocorrelation, period, Hurst exponent.

Gaps are taken between consecutive stamps in time order, so blocks are added in time order and a
merged accumulator must follow in time; hosts that overlap are read as one tape (a directory). The
squared coefficient of variation of gaps (SCV) is 1 for a Poisson stream. The index of dispersion
for intervals at m, Var(sum of m gaps) / (m E²X) = SCV (1 + 2 Σ (1 − k/m) ρ_k), tends to the single
burstiness knob I: it is given at the largest m that leaves 32 blocks.
Hurst: the Allan factor is that of the rate, c τ^(2H − 1), and 1 of the arrivals being single ones.
So the slope of log (Allan factor − 1) against log τ is 2H − 1; given only over ≥ 1.5 decades.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts, Ints
from .sampling import UNCORRECTED, Kin, Own, at, of_all
from .sketch import Sketch

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)
_FEWEST_BLOCKS = 32
_DECADES = 1.5


class Arrivals:
    """Accumulates arrival times, given in time order."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.gaps = Sketch()
        self.first_ns = self.last_ns = -1
        self._sums = np.zeros(3)  # n, Σ gap, Σ gap² in seconds
        self._intervals: list[list[float]] = []  # per level of 2^j gaps: n, Σ, Σ², half a block

    def add(self, times_ns: Ints) -> None:
        """Add arrivals that follow, or equal, the last one."""
        if times_ns.size == 0:
            return
        self.counts.add(times_ns)
        edge = [self.last_ns] if self.last_ns >= 0 else []
        gaps = np.maximum(np.diff(np.concatenate((np.array(edge, np.int64), times_ns))), 0)
        if self.first_ns < 0:
            self.first_ns = int(times_ns[0])
        self.last_ns = max(self.last_ns, int(times_ns[-1]))
        self._add_gaps(gaps)

    def merge(self, other: Arrivals) -> None:
        """Add the arrivals of a later span."""
        if other.first_ns < 0:
            return
        self.counts.merge(other.counts)
        self.gaps.merge(other.gaps)
        self._sums += other._sums
        if self.last_ns >= 0:
            self._add_gaps(np.array([max(other.first_ns - self.last_ns, 0)], np.int64))
        for level, (n, total, squares, _) in enumerate(other._intervals):
            mine = self._level(level)
            mine[0] += n
            mine[1] += total
            mine[2] += squares
        self.first_ns = other.first_ns if self.first_ns < 0 else self.first_ns
        self.last_ns = max(self.last_ns, other.last_ns)

    def render(self, kept_share: float = 1.0, kin: Kin | None = None) -> dict[str, Any]:
        """The statistics as plain values, of all connections where a share of them was kept.

        `kin` says which requests shared a connection; without it each is taken to stand alone.
        """
        moments = self.counts.cascade()
        own = kin.own([m.tau_s for m in moments]) if kin else [(m.tau_s, 1.0, 1.0) for m in moments]
        idc, allan = (
            [of_all(found, each[place], kept_share) for found, each in zip(seen, own, strict=True)]
            for place, seen in ((1, [m.idc for m in moments]), (2, [m.allan for m in moments]))
        )
        span_s = max(self.last_ns - self.first_ns, 0) / 1e9
        n = self.counts.total
        gap_n, total, squares = self._sums.tolist()
        mean = total / gap_n if gap_n else 0.0
        variance = max(squares / gap_n - mean * mean, 0.0) if gap_n else 0.0
        idi = self._idi(kept_share, mean, own)
        quantiles = self.gaps.quantiles(QUANTILES)
        gap_total = self.gaps.total()
        return {
            "exchanges": n,
            "span_s": span_s,
            "rate_per_s": n / span_s / kept_share if span_s else 0.0,
            "gap_scv": variance / mean**2 if mean else 0.0,
            "gap_quantiles_s": [[q, v / 1e9] for q, v in zip(QUANTILES, quantiles, strict=True)],
            "zero_gap_share": float(self.gaps.counts[0, 0]) / gap_total if gap_total else 0.0,
            "dispersion_index": idi[-1][1] if idi else None,
            "idi": idi,
            "idc": [[m.tau_s, value] for m, value in zip(moments, idc, strict=True)],
            "allan": [[m.tau_s, value] for m, value in zip(moments, allan, strict=True)],
            "excess": [[m.tau_s, (value - 1) * kept_share / m.mean if m.mean else 0.0]
                       for m, value in zip(moments, idc, strict=True)],
            "peak_to_mean": [[m.tau_s, m.peak_to_mean] for m in moments],
            "q999_to_mean": [[m.tau_s, m.q999_to_mean] for m in moments],
            "autocorrelation": self._autocorrelation(),
            "hurst": hurst([(m.tau_s, value, m.bins)
                            for m, value in zip(moments, allan, strict=True)]),
            "uncorrected": list(UNCORRECTED) if kept_share < 1 else [],
        }  # fmt: skip

    def series(
        self, most: int = 600, within: tuple[int, int] | None = None
    ) -> tuple[float, list[float]]:
        """The rate over time, in at most so many steps: (seconds a step, requests a second)."""
        if self.first_ns < 0:
            return 1.0, []
        first, last = within or (self.first_ns, self.last_ns)
        width = self.counts.width_ns
        fine = (last - first) // width + 1
        step = max(1, -(-fine // most))
        end = first + (-(-fine // step)) * step * width
        dense = self.counts.dense(step * width, first, end)
        return step * width / 1e9, (dense / (step * width / 1e9)).tolist()

    def zooms(self, kept_share: float = 1.0) -> list[dict[str, Any]]:
        """The rate over the whole span, over the busiest tenth of it, and the tenth of that."""
        first, last = self.first_ns, self.last_ns
        found: list[dict[str, Any]] = []
        while len(found) < 3 and last > first >= 0:
            inside = self.counts.between(first, last)
            # Steps of a request or none say nothing: a few in each, where there are few.
            most = min(600, max(40, inside // 5))
            step_s, rates = self.series(most, (first, last))
            start_s = (first - self.first_ns) / 1e9
            per_s = [rate / kept_share for rate in rates]
            found.append({"start_s": start_s, "step_s": step_s, "per_s": per_s})
            tenth = (last - first) // 10
            if tenth < 30 * self.counts.width_ns:
                break
            peak = first + int((int(np.argmax(rates)) + 0.5) * step_s * 1e9)
            first = min(max(peak - tenth // 2, first), last - tenth)
            last = first + tenth
        return found

    def _add_gaps(self, gaps: Ints) -> None:
        self.gaps.add(gaps)
        block = gaps / 1e9
        self._sums += (block.size, block.sum(), (block * block).sum())
        level = 0
        while block.size:
            mine = self._level(level)
            mine[0] += block.size
            mine[1] += float(block.sum())
            mine[2] += float((block * block).sum())
            if mine[3] >= 0:
                block = np.append(mine[3], block)
            mine[3] = float(block[-1]) if block.size % 2 else -1.0
            whole = block.size // 2 * 2
            block = block[0:whole:2] + block[1:whole:2]
            level += 1

    def _level(self, level: int) -> list[float]:
        while len(self._intervals) <= level:
            self._intervals.append([0.0, 0.0, 0.0, -1.0])
        return self._intervals[level]

    def _idi(self, kept_share: float, gap_s: float, own: Own) -> list[list[float]]:
        found = []
        for level, (n, total, squares, _) in enumerate(self._intervals):
            mean = total / n if n else 0.0
            if n >= _FEWEST_BLOCKS and mean > 0:
                variance = max(squares / n - mean * mean, 0.0)
                seen = variance * 2**level / mean**2
                if kept_share < 1:
                    seen = of_all(seen, at(own, gap_s * 2**level), kept_share)
                found.append([2.0**level / kept_share, seen])
        return found

    def _autocorrelation(self) -> dict[str, Any]:
        step_s, rates = self.series(4096)
        acf = autocorrelation(np.asarray(rates))
        return {
            "step_s": step_s,
            "values": [float(v) for v in acf[:200]],
            "period_s": _period(acf, step_s),
        }


def autocorrelation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The autocorrelation of counts at lags 0, 1, 2 … up to a half of their number, by FFT."""
    n = values.size
    if n < 4 or float(values.std()) == 0:
        return np.zeros(0)
    centred = values - values.mean()
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    acf = np.fft.irfft(spectrum * np.conj(spectrum), size)[: n // 2]
    return np.asarray(acf / acf[0], np.float64)


def _period(acf: NDArray[np.float64], step_s: float) -> float | None:
    """The lag of the highest peak after the first fall below zero, where it stands out."""
    below = np.flatnonzero(acf < 0)
    if below.size == 0:
        return None
    tail = acf[below[0] :]
    at = int(np.argmax(tail))
    noise = 4 / math.sqrt(2 * acf.size)
    if tail[at] < max(0.2, noise) or at in (0, tail.size - 1):
        return None
    return float((below[0] + at) * step_s)


def hurst(allan: list[tuple[float, float, int]]) -> dict[str, float] | None:
    """The Hurst exponent and its 95 % interval from (τ, Allan factor, bins), above the noise."""
    points = [(math.log(tau), math.log(a - 1), bins) for tau, a, bins in allan if a > 1.5]
    if len(points) < 4 or points[-1][0] - points[0][0] < _DECADES * math.log(10):
        return None
    x, y, w = (np.array(column, float) for column in zip(*points, strict=True))
    mean_x, mean_y = np.average(x, weights=w), np.average(y, weights=w)
    spread = float(np.sum(w * (x - mean_x) ** 2))
    slope = float(np.sum(w * (x - mean_x) * (y - mean_y))) / spread
    rest = y - mean_y - slope * (x - mean_x)
    error = math.sqrt(float(np.sum(w * rest**2)) / (len(x) - 2) / spread)
    h, half = (slope + 1) / 2, 1.96 * error / 2
    return {"value": h, "low": h - half, "high": h + half}
