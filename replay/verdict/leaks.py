"""Leaks: does what the target uses (memory, descriptors, threads) grow with the requests served?

A collector makes a sawtooth, so only the floor counts: the minimum of each of 24 equal spans, after
the first tenth (warm-up). Its slope is Theil and Sen's, the median of the slopes of all pairs, with
their interval. It is a leak where the whole interval lies above zero, Mann and Kendall's count of
rising pairs agrees, the floor rose by a good part of the sawtooth's own height (less may be its
teeth out of step with ours), and what would be lost within the horizon exceeds the budget.

Caches fill and pools grow while a target warms up, and that lasts longer than a tenth of a short
watch. So within the first ten minutes the floor must have risen by a tenth, and it must still be
rising: its second half at no less than a third of the pace of its first.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from capture.errors import ReplayError
from capture.when import size

from .judge import Finding
from .rows import Array, Rows

WARM_UP = 0.1
SPANS = 24
FEWEST_SAMPLES = 48
HORIZON_S = 24 * 3600.0
BUDGET = 0.1  # of what was used at the beginning
CHANCE = 0.001
PART = 0.25
WARMS_S = 600.0
STILL = 1 / 3


@dataclass(frozen=True)
class Growth:
    """How one metric grew: per second, with its interval, and how likely by chance."""

    metric: str
    begin: float
    slope: float
    low: float
    high: float
    chance: float
    risen: float  # while it was watched
    swing: float  # how far it goes up and down meanwhile
    at_s: Array = field(repr=False, compare=False)  # of each least value
    floor: Array = field(repr=False, compare=False)

    @property
    def leaks(self) -> bool:
        """Whether it surely grows, and fast enough to matter within a day."""
        return self.rises(CHANCE) and self.slope * HORIZON_S > BUDGET * max(self.begin, 1.0)

    def rises(self, chance: float) -> bool:
        """Whether it surely grows, beneath the sawtooth and beyond warming up."""
        if self.low <= 0 or self.chance >= chance or self.risen <= PART * self.swing:
            return False
        watched = float(self.at_s[-1] - self.at_s[0])
        least = BUDGET * max(self.begin, 1.0) * min(1.0, WARMS_S / watched)
        return self.risen > least and self._still()

    def _still(self) -> bool:
        """Whether it rises in the second half nearly as in the first."""
        x, y = self.at_s, self.floor
        half = len(x) // 2
        return slope_of(x[half:], y[half:]) >= STILL * slope_of(x[: half + 1], y[: half + 1])


def growth_of(metric: str, at_s: Array, values: Array) -> Growth | None:
    """The growth of a metric; None where there are too few samples to say."""
    order = np.argsort(at_s)
    at_s, values = at_s[order], values[order]
    warm = at_s >= at_s[0] + WARM_UP * (at_s[-1] - at_s[0]) if len(at_s) else np.zeros(0, bool)
    at_s, values = at_s[warm], values[warm]
    if len(at_s) < FEWEST_SAMPLES or at_s[-1] <= at_s[0]:
        return None
    span = np.minimum((at_s - at_s[0]) * SPANS / (at_s[-1] - at_s[0]), SPANS - 1).astype(int)
    floor = [np.flatnonzero(span == n) for n in range(SPANS)]
    lowest = np.array([group[np.argmin(values[group])] for group in floor if len(group)])
    if len(lowest) < SPANS // 2:
        return None
    from scipy.stats import kendalltau, theilslopes

    x, y = at_s[lowest], values[lowest]
    slope, _, low, high = map(float, theilslopes(y, x, 0.99))
    swing = float(np.median([np.ptp(values[group]) for group in floor if len(group)]))
    chance = float(kendalltau(x, y).pvalue)
    chance = 1.0 if math.isnan(chance) else chance
    risen = slope * float(x[-1] - x[0])
    return Growth(metric, float(y[0]), slope, low, high, chance, risen, swing, x, y)


def slope_of(x: Array, y: Array) -> float:
    """Theil and Sen's slope."""
    from scipy.stats import theilslopes

    return float(theilslopes(y, x)[0])


def leaks(samples: dict[str, Array], rows: Rows) -> tuple[Finding, ...]:
    """The findings of what was watched: a column `seconds`, and one a metric."""
    start, end = rows.span_ns
    rate = len(rows) / max(1e-9, (end - start) / 1e9)
    grown = [growth_of(name, samples["seconds"], values) for name, values in samples.items()
             if name != "seconds"]  # fmt: skip
    return tuple(_finding(growth, rate) for growth in grown if growth is not None and growth.leaks)


def _finding(growth: Growth, rate: float) -> Finding:
    def told(value: float) -> str:
        return size(value) if growth.metric.endswith("bytes") else f"{value:,.3g}"

    sentence = (
        f"{growth.metric} grows by {told(growth.slope * 3600)} an hour, "
        f"{told(growth.slope / rate)} for each request"
    )
    more = (
        f", from {told(growth.begin)} (99 % interval {told(growth.low * 3600)} to "
        f"{told(growth.high * 3600)} an hour)"
    )
    return Finding("leak", growth.metric, sentence, 70, (), more)


def read_samples(path: Path) -> dict[str, Array]:
    """What was watched, from CSV: a head that begins with `seconds`, then numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    if len(lines) < 2 or lines[0][0] != "seconds":
        raise ReplayError(f"{path}: is no CSV whose first column is seconds, with a row below it.")
    try:
        table = np.array([[float(cell) for cell in line] for line in lines[1:]])
    except ValueError as wrong:
        raise ReplayError(f"{path}: not every cell below the head is a number ({wrong}).") from None
    if table.ndim != 2 or table.shape[1] != len(lines[0]):
        raise ReplayError(f"{path}: a row has not as many cells as the head.")
    return {name: table[:, place] for place, name in enumerate(lines[0])}
