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

from ..verdict.leaks import PART, Growth, growth_of, slope_of
from .budget import Budget

MOST = 512
WIDE = 8  # spans of all of a watch
STEADY = 0.6  # of the pace of the first half, in the second
FEWEST_S, FEWEST_OF_COUNTS_S = 240.0, 600.0
SPACING = 1.15
CHANCE = 0.01
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
        self.leaks = self.growth is not None and self._surely(self.growth, metrics)
        return self.leaks != before

    def _surely(self, growth: Growth, metrics: int) -> bool:
        allowed = CHANCE / (self.looks * (self.looks + 1) * max(1, metrics))
        if growth.slope * self.horizon_s <= self.budget.of(growth.begin):
            return False
        if not growth.rises(allowed):
            return False
        if _hanging_together(growth.at_s, growth.floor) >= allowed:
            return False
        return _fall(growth.floor) <= PART * growth.risen or self._rises_in_wide_spans(growth.risen)

    def _rises_in_wide_spans(self, risen: float) -> bool:
        """Whether the floor of few wide spans of all that was seen rises, steadily to its end.

        A span of the test may be shorter than a tooth, or hold too few samples to meet the floor.
        Of eight spans, a tooth of up to 7 / 8 of the watch shows where it falls: the beginning,
        which the test leaves out, shows the fall of one that then rises to the end. It shows
        warming up as well, which slows down.
        """
        at, values = self.series.arrays()
        span = np.minimum((at - at[0]) * WIDE / (at[-1] - at[0]), WIDE - 1).astype(int)
        if len(np.unique(span)) < WIDE:
            return False
        floor = np.array([values[span == n].min() for n in range(WIDE)])
        first, last = (slope_of(np.arange(WIDE // 2), half) for half in np.split(floor, 2))
        return _fall(floor) <= PART / 2 * risen and last >= STEADY * first


def _fall(floor: Array) -> float:
    """How far a floor falls below what it was before: the end of a tooth longer than a span."""
    return float((np.maximum.accumulate(floor) - floor).max())


def _hanging_together(x: Array, y: Array) -> float:
    """Mann and Kendall's chance with Hamed and Rao's correction for what hangs together."""
    from scipy.stats import norm, rankdata

    n = len(y)
    ranks = rankdata(y - slope_of(x, y) * x)
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
