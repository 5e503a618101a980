"""The course of a day, for tapes that are shorter: how many users there are at which time of day.

A CSV of times of the day (UTC) and rates in any unit, `08:30,120`; between them the rate is drawn
as a straight line, past the last one towards the first. A tape recorded from 10:00 to 10:30 is what
users do at that time: at 20:00 the factor is the rate at 20:00 over the mean rate of that half
hour. A run at speed s goes through its day s times as fast.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capture.errors import TapeError

from .counts import Ints

DAY_S = 86_400


class Day:
    """A factor over the time of a run that begins at some time of the day."""

    def __init__(
        self, at_s: NDArray[np.float64], rates: NDArray[np.float64], begin_ns: int, span_ns: int,
        speed: float = 1.0,
    ) -> None:  # fmt: skip
        self._at, self._rates = at_s, rates
        self._begin_s = begin_ns / 1e9 % DAY_S
        self._speed = speed
        seen = self._rate(self._begin_s + np.linspace(0, min(span_ns / 1e9, DAY_S), 1000))
        self._mean = float(seen.mean())
        self.most = float(rates.max()) / self._mean if self._mean else math.inf

    @property
    def sane(self) -> bool:
        """Whether there is a rate at the time at which the tape was recorded."""
        return self._mean > 0

    def factor(self, times: Ints) -> NDArray[np.float64]:
        """How many times the recorded users there are to be, at ns from the start of the run."""
        return self._rate(self._begin_s + times / 1e9 * self._speed) / self._mean

    def _rate(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(seconds % DAY_S, self._at, self._rates, period=DAY_S)


def read_day(path: str, begin_ns: int, span_ns: int, speed: float = 1.0) -> Day:
    """The course that a file describes, for a tape recorded from `begin_ns` on for `span_ns`."""
    if span_ns >= DAY_S * 10**9:
        raise TapeError(f"--diurnal {path}: the tape is as long as a day and has its own.")
    try:
        rows = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise TapeError(f"--diurnal {path}: cannot be read ({problem}).") from problem
    points = {}
    for number, row in enumerate(rows, 1):
        try:
            points[_time_of_day(row[0])] = _rate_of(row[1])
        except (IndexError, ValueError):
            # A line of names may come first.
            if any(cell.strip() for cell in row) and (number > 1 or row[0].strip()[:1].isdigit()):
                raise TapeError(
                    f"--diurnal {path}: line {number} is no time and rate; write 08:30,120."
                ) from None
    if not points:
        raise TapeError(f"--diurnal {path}: has no line like 08:30,120.")
    at = np.array(sorted(points))
    day = Day(at, np.array([points[each] for each in at]), begin_ns, span_ns, speed)
    if not day.sane:
        raise TapeError(f"--diurnal {path}: has no users at the time of day of the tape.")
    return day


def _time_of_day(text: str) -> float:
    hours, *rest = (float(part) for part in text.strip().split(":"))
    minutes, seconds = [*rest, 0.0, 0.0][:2]
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 60) or len(rest) > 2:
        raise ValueError(text)
    return hours * 3600 + minutes * 60 + seconds


def _rate_of(text: str) -> float:
    rate = float(text)
    if not 0 <= rate < math.inf:
        raise ValueError(text)
    return rate
