"""A sketch of a distribution: a histogram on a logarithmic scale, exact to half a percent.

Zeros are counted apart. Any number of rows share one scale, so that an endpoint's distribution is
a row of a matrix. Sketches of the same data, in any split and order, are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_E = 100.0  # bins per factor e: each is 1 % wide
_BINS = 4400  # up to e^44, more than any 64-bit number
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)
"""What is told of a distribution, unless there is a reason to tell others."""


class Sketch:
    """Counts of non-negative numbers on a log scale, in one or more rows."""

    def __init__(self, rows: int = 1) -> None:
        self.counts: NDArray[np.int64] = np.zeros((rows, _BINS + 1), np.int64)

    def add(self, values: NDArray[Any], row: NDArray[Any] | None = None) -> None:
        """Count values; `row` says in which row each belongs."""
        if values.size == 0:
            return
        at = _bins_of(values)
        if row is None:
            self.counts[0] += np.bincount(at, minlength=_BINS + 1)
            return
        self.grow(int(row.max()) + 1)
        flat = row.astype(np.int64) * (_BINS + 1) + at
        rows = self.counts.shape[0]
        self.counts += np.bincount(flat, minlength=rows * (_BINS + 1)).reshape(rows, -1)

    def grow(self, rows: int) -> None:
        """Have at least so many rows."""
        if rows > self.counts.shape[0]:
            extra = np.zeros((rows - self.counts.shape[0], _BINS + 1), np.int64)
            self.counts = np.concatenate([self.counts, extra])

    def merge(self, other: Sketch, rows: Sequence[int] | None = None) -> None:
        """Add another sketch; `rows` says which row of this one each of its rows is."""
        places = list(rows) if rows is not None else list(range(other.counts.shape[0]))
        self.grow(max(places, default=0) + 1)
        for theirs, ours in enumerate(places):
            self.counts[ours] += other.counts[theirs]

    def total(self, row: int = 0) -> int:
        """How many values the row counted."""
        return int(self.counts[row].sum())

    def quantile(self, q: float, row: int = 0) -> float:
        """The value below which a share `q` lies; 0 where nothing was counted."""
        return self.quantiles([q], row)[0]

    def quantiles(self, qs: Sequence[float], row: int = 0) -> list[float]:
        """Several quantiles of a row."""
        cumulated = np.cumsum(self.counts[row])
        total = int(cumulated[-1])
        if total == 0:
            return [0.0 for _ in qs]
        ranks = [max(1, int(np.ceil(q * total))) for q in qs]
        found = np.searchsorted(cumulated, ranks)
        return [_value_of(int(at)) for at in found]

    def named(
        self, qs: Sequence[float] = QUANTILES, unit: float = 1.0, row: int = 0
    ) -> dict[str, float]:
        """Several quantiles under their names (`p99.9`), in another unit."""
        return named(qs, self.quantiles(qs, row), unit)

    def steps(self, row: int = 0) -> list[tuple[float, int]]:
        """The occupied bins: (value, count)."""
        return [
            (_value_of(int(i)), int(self.counts[row, i])) for i in np.flatnonzero(self.counts[row])
        ]


def named(qs: Sequence[float], values: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    """Quantiles under their names."""
    return {f"p{100 * q:g}": value * unit for q, value in zip(qs, values, strict=True)}


def _bins_of(values: NDArray[Any]) -> NDArray[np.int64]:
    """The bin of each value: 0 for zero (and below), else 1 + ⌊100 ln v⌋ for v ≥ 1."""
    positive = np.maximum(values, 1).astype(np.float64)
    at = np.log(positive, out=positive)
    at *= _PER_E
    bins: NDArray[np.int64] = at.astype(np.int64) + 1
    np.minimum(bins, _BINS, out=bins)
    bins[values <= 0] = 0
    return bins


def _value_of(at: int) -> float:
    """The middle of a bin; whole numbers are exact as far as the bins can tell them apart."""
    if at == 0:
        return 0.0
    low, high = np.exp((at - 1) / _PER_E), np.exp(at / _PER_E)
    whole = np.ceil(low - 1e-9)
    return float(whole) if whole < high and high - low < 1 else float((low + high) / 2)
