"""A metric over a soak of any length in constant memory, and whether it surely grows.

The series keeps the least and the greatest value of each of at most 512 stretches of time; when
they are full, neighbours are merged. So the floor that a leak lifts is kept exactly.

The test is that of `verdict.leaks` (floors, Theil and Sen's slope, Mann and Kendall's count), asked
again and again while the soak runs. Asking often finds something by chance in the end, so chance is
spent like money: of one in a hundred for the whole soak, the k-th look at one of m metrics has
1 / (k (k + 1) m). Looks are spaced like a geometric series, so there are few. Floors that hang
together (slow swings) count as fewer than they are, by Hamed and Rao's correction.

A sawtooth whose tooth takes longer than the watch so far cannot be told from a leak by anybody:
nothing is said before four minutes, and what was said is withdrawn when the tooth falls. Of counts
(threads, descriptors, connections) nothing is said before ten: pools fill for as long as that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..verdict.leaks import PART, SPANS, WARM_UP, Growth, growth_of
from .budget import Budget

MOST = 512
FEWEST_S, FEWEST_OF_COUNTS_S = 240.0, 600.0
SPACING = 1.15
CHANCE = 0.01
WARMS_S, WARMED, STILL = 600.0, 0.1, 1 / 3
Array = np.ndarray[Any, np.dtype[Any]]


class Series:
    """The values of one metric, thinned."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []  # [s of the least, least, s of the greatest, greatest]
        self.width_s = 0.0
        self.last = math.nan

    def add(self, at_s: float, value: float) -> None:
        """A sample."""
        self.last = value
        if self.rows and at_s - self.rows[-1][0] < self.width_s:
            row = self.rows[-1]
            if value <= row[1]:
                row[:2] = at_s, value
            if value >= row[3]:
                row[2:] = at_s, value
            return
        self.rows.append([at_s, value, at_s, value])
        if len(self.rows) > MOST:
            self._halve()

    def _halve(self) -> None:
        span = self.rows[-1][0] - self.rows[0][0]
        merged = []
        for a, b in zip(self.rows[::2], self.rows[1::2], strict=False):
            low, high = (a if a[1] < b[1] else b), (a if a[3] > b[3] else b)
            merged.append([*low[:2], *high[2:]])
        if len(self.rows) % 2:
            merged.append(self.rows[-1])
        self.rows = merged
        self.width_s = span / len(merged)

    def arrays(self) -> tuple[Array, Array]:
        """Times and values, least and greatest of each stretch, in time order."""
        table = np.asarray(self.rows, np.float64).reshape(-1, 4)
        at, values = np.concatenate([table[:, :2], table[:, 2:]]).T
        order = np.argsort(at, kind="stable")
        return at[order], values[order]


@dataclass
class Watched:
    """One metric under test."""

    metric: str
    budget: Budget
    horizon_s: float
    series: Series = field(default_factory=Series)
    looks: int = 0
    next_s: float = 0.0
    began_s: float | None = None
    growth: Growth | None = None
    leaks: bool = False

    def __post_init__(self) -> None:
        self.next_s = FEWEST_S if "bytes" in self.metric else FEWEST_OF_COUNTS_S

    def add(self, at_s: float, value: float) -> None:
        """A sample."""
        if self.began_s is None:
            self.began_s = at_s
        self.series.add(at_s, value)

    def look(self, at_s: float, metrics: int) -> bool:
        """Look, if it is time; whether what is known has changed."""
        if self.began_s is None or at_s - self.began_s < self.next_s:
            return False
        self.next_s = max(self.next_s, at_s - self.began_s) * SPACING
        self.looks += 1
        before = self.leaks
        at, values = self.series.arrays()
        self.growth = growth_of(self.metric, at, values)
        self.leaks = self.growth is not None and self._surely(self.growth, metrics, at, values)
        return self.leaks != before

    def _surely(self, growth: Growth, metrics: int, at: Array, values: Array) -> bool:
        allowed = CHANCE / (self.looks * (self.looks + 1) * max(1, metrics))
        if growth.low <= 0 or growth.risen <= PART * growth.swing or growth.chance >= allowed:
            return False
        if growth.slope * self.horizon_s <= self.budget.of(growth.begin):
            return False
        x, y = floors(at, values)
        fall = float((np.maximum.accumulate(y) - y).max())  # a tooth longer than a span
        if fall > PART * growth.risen:
            return False
        return still_rises(x, y, growth.begin) and hanging_together(x, y) < allowed


def floors(at: Array, values: Array) -> tuple[Array, Array]:
    """The least value of each of equal spans, after the warm-up."""
    warm = at >= at[0] + WARM_UP * (at[-1] - at[0])
    at, values = at[warm], values[warm]
    span = np.minimum((at - at[0]) * SPANS / max(1e-9, at[-1] - at[0]), SPANS - 1).astype(int)
    groups = [np.flatnonzero(span == n) for n in range(SPANS)]
    lowest = np.array([group[np.argmin(values[group])] for group in groups if len(group)])
    return at[lowest], values[lowest]


def still_rises(x: Array, y: Array, begin: float) -> bool:
    """Whether this is more than warming up.

    The second half rises at no less than a third of the pace of the first; and within the first
    ten minutes there has to be a tenth more than at the beginning.
    """
    half, watched = len(x) // 2, float(x[-1] - x[0])
    if float(y[-1] - y[0]) <= WARMED * max(begin, 1.0) * min(1.0, WARMS_S / watched):
        return False
    return _slope(x[half:], y[half:]) >= STILL * _slope(x[: half + 1], y[: half + 1])


def _slope(x: Array, y: Array) -> float:
    from scipy.stats import theilslopes

    return float(theilslopes(y, x)[0])


def hanging_together(x: Array, y: Array) -> float:
    """Mann and Kendall's chance with Hamed and Rao's correction for what hangs together."""
    from scipy.stats import norm, rankdata

    n = len(y)
    ranks = rankdata(y - _slope(x, y) * x)
    ranks = ranks - ranks.mean()
    power = float(ranks @ ranks)
    factor = 1.0
    for lag in range(1, n - 2):
        rho = float(ranks[:-lag] @ ranks[lag:]) / power if power else 0.0
        if abs(rho) > 1.96 / math.sqrt(n):
            factor += 2 / (n * (n - 1) * (n - 2)) * (n - lag) * (n - lag - 1) * (n - lag - 2) * rho
    score = float(np.sign(y[None, :] - y[:, None])[np.triu_indices(n, 1)].sum())
    variance = n * (n - 1) * (2 * n + 5) / 18 * max(factor, 1.0)
    z = (score - math.copysign(1, score)) / math.sqrt(variance) if score else 0.0
    return float(2 * norm.sf(abs(z)))
