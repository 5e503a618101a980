"""The axes of a picture: where a value lies on it, and which values carry a tick.

There are at most `MOST` ticks: so many words stand beside each other on a phone. A logarithmic axis
has them at 1 to 9 of each decade, at 1, 2 and 5, at each power of ten, at every second one …: the
first of these that are not too many. Where a decade is too long for any, they are those of a
linear axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .screen import timescale

MOST = 6
_MARGIN = 0.03
_DIGITS = (tuple(range(1, 10)), (1, 2, 5), (1,))
Tick = tuple[float, str]


@dataclass(frozen=True)
class Axis:
    """What an axis shows: a title with its unit, and how; `names` make it one of names."""

    title: str
    log: bool = False
    from_zero: bool = False
    names: tuple[str, ...] = ()
    ticks: tuple[Tick, ...] = ()  # these, rather than those that suit

    def scale(self, values: Iterable[float]) -> Scale:
        """The axis laid out for these values."""
        if self.names:
            return Scale(self, -0.5, len(self.names) - 0.5)
        known = [v for v in values if math.isfinite(v) and (v > 0 or not self.log)]
        low, high = min(known, default=1.0), max(known, default=1.0)
        if self.log:
            return Scale(self, *_apart(math.log10(low), math.log10(high), 0.1))
        if self.from_zero and low >= 0:
            return Scale(self, 0.0, high * (1 + _MARGIN) or 1.0)
        return Scale(self, *_apart(low, high, abs(high) / 10 or 1.0))


@dataclass(frozen=True)
class Scale:
    """An axis from its low to its high end; both are powers of ten where it is logarithmic."""

    axis: Axis
    low: float
    high: float

    def at(self, value: float) -> float | None:
        """Where a value lies, from 0 at the low end to 1; None where it has no place."""
        if not math.isfinite(value) or (self.axis.log and value <= 0):
            return None
        return ((math.log10(value) if self.axis.log else value) - self.low) / (self.high - self.low)

    @cached_property
    def ticks(self) -> list[Tick]:
        """The values that are written beside the axis, with what is written."""
        axis = self.axis
        if axis.names:
            return [(float(place), name) for place, name in enumerate(axis.names)]
        if axis.ticks:
            return [tick for tick in axis.ticks if self.low <= tick[0] <= self.high]
        if not axis.log:
            return [(v, number(v)) for v in _even(self.low, self.high)]
        word = timescale if axis.title.endswith("(s)") else number
        return [(v, word(v)) for v in _by_decades(self.low, self.high)]


def number(value: float) -> str:
    """A number that is short beside an axis."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g} {unit}"
    return f"{value:,.4g}" if abs(value) >= 1e-3 or not value else f"{value:.0e}"


def _apart(low: float, high: float, least: float) -> tuple[float, float]:
    """Two ends with a margin, and never on each other."""
    if high - low < least * 1e-6:
        return low - least, high + least
    margin = (high - low) * _MARGIN
    return low - margin, high + margin


def _even(low: float, high: float) -> list[float]:
    """Round numbers between two ends, as many as may be."""
    power = 10.0 ** math.floor(math.log10((high - low) / MOST))
    for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < MOST:
            return [n * step for n in range(first, last + 1)]
    return []


def _by_decades(low: float, high: float) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    for digits in _DIGITS:
        found = _within([digit * 10.0**power for power in decades for digit in digits], low, high)
        if len(found) <= MOST:
            return found if len(found) > 1 else _even_of_log(low, high)
    every = math.ceil(len(found) / MOST)
    return [v for v in found if round(math.log10(v)) % every == 0]


def _even_of_log(low: float, high: float) -> list[float]:
    return [v for v in _even(10**low, 10**high) if v > 0]


def _within(values: Sequence[float], low: float, high: float) -> list[float]:
    return [v for v in values if low <= math.log10(v) <= high]
