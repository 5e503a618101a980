"""Silences of a tape that are shortened (`--max-gap`): the times that are left out of the plan.

A first pass over the times of what is to be sent finds them, so that whatever falls into a silence,
such as the end of a connection, falls into what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

_ENDLESS = 1 << 61


class Silences:
    """Where time is left out: after `longest` ns of each silence, and after the last request."""

    def __init__(self, times: Iterable[Any], start: int, longest: int) -> None:
        begins, lengths, before = [], [], start
        for some in times:
            gaps = np.diff(some, prepend=before)
            (long,) = np.nonzero(gaps > longest)
            begins.append(some[long] - gaps[long] + longest)
            lengths.append(gaps[long] - longest)
            before = int(some[-1])
        self._begins = np.concatenate([*begins, [before + longest]]).astype(np.int64)
        self._lengths = np.concatenate([*lengths, [_ENDLESS]]).astype(np.int64)
        self._before = np.cumsum(self._lengths) - self._lengths

    def left_out(self, times: Any) -> Any:
        """How many ns are left out before each of these times."""
        place = np.searchsorted(self._begins, times, "right") - 1
        inside = np.minimum(times - self._begins[place], self._lengths[place])
        return np.where(place < 0, 0, self._before[place] + inside)
