"""Sessions and clients: how many requests each makes, how long they last and think.

A table of sorted identities holds the count, the first and the last time of each; adding rows is a
sort by identity. The think time is from the end of an answer (or, without one, from the request) to
the next request of the same session. Gini: 0 when all clients ask alike, near 1 when one asks all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts, Ints
from .sketch import Sketch
from .tallies import grouped

_QS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


class Users:
    """Requests, first and last times by identity (session or client); add in time order."""

    def __init__(self) -> None:
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.requests: Ints = np.empty(0, np.int64)
        self.first: Ints = np.empty(0, np.int64)
        self.last: Ints = np.empty(0, np.int64)
        self.thinks = Sketch()

    def add(self, ids: NDArray[np.uint64], asked: Ints, answered: Ints) -> None:
        """Add requests in time order, with the time each was answered (-1: never)."""
        if ids.size == 0:
            return
        order = grouped(ids)
        ids, asked = ids[order], asked[order]
        ended = np.maximum(answered[order], asked)
        at = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
        lasts = np.append(at[1:], ids.size) - 1
        within = np.ones(ids.size, bool)
        within[at] = False
        pauses = asked[within] - ended[np.flatnonzero(within) - 1]
        self.thinks.add(np.maximum(pauses, 0))
        by = np.argsort(ids[at])  # a search for sorted values is the faster one
        at, lasts = at[by], lasts[by]
        self._add_pauses(ids[at], asked[at])
        self._join(ids[at], lasts - at + 1, asked[at], ended[lasts])

    def merge(self, other: Users) -> None:
        """Add what another accumulator saw of a later span: the pause across the seam counts."""
        self.thinks.merge(other.thinks)
        self._add_pauses(other.ids, other.first)
        self._join(other.ids, other.requests, other.first, other.last)

    def render(self) -> dict[str, Any]:
        """The statistics as plain values."""
        per, duration = Sketch(), Sketch()
        per.add(self.requests)
        duration.add(self.last - self.first)
        starts = Counts()
        starts.add(np.sort(self.first))
        return {
            "count": int(self.ids.size),
            "requests": _named(per.quantiles(_QS)),
            "mean_requests": float(self.requests.mean()) if self.ids.size else 0.0,
            "duration_s": _named(duration.quantiles(_QS), 1e-9),
            "think_s": _named(self.thinks.quantiles(_QS), 1e-9),
            "gini": gini(self.requests),
            "start_idc": [[m.tau_s, m.idc] for m in starts.cascade()],
        }

    def _add_pauses(self, ids: NDArray[np.uint64], asked: Ints) -> None:
        if self.ids.size == 0:
            return
        at = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        known = self.ids[at] == ids
        self.thinks.add(np.maximum(asked[known] - self.last[at[known]], 0))

    def _join(self, ids: NDArray[np.uint64], n: Ints, first: Ints, last: Ints) -> None:
        if ids.size == 0:
            return
        ids = np.concatenate([self.ids, ids])
        order = np.argsort(ids)
        ids = ids[order]
        at = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
        self.ids = ids[at]
        self.requests = np.add.reduceat(np.concatenate([self.requests, n])[order], at)
        self.first = np.minimum.reduceat(np.concatenate([self.first, first])[order], at)
        self.last = np.maximum.reduceat(np.concatenate([self.last, last])[order], at)


def gini(values: Ints) -> float:
    """The Gini coefficient of non-negative numbers."""
    n, total = values.size, float(values.sum())
    if n == 0 or total == 0:
        return 0.0
    ranked = np.sort(values)
    return float(2 * np.dot(np.arange(1, n + 1), ranked) / (n * total) - (n + 1) / n)


def _named(values: list[float], unit: float = 1.0) -> dict[str, float]:
    return {f"p{100 * q:g}": value * unit for q, value in zip(_QS, values, strict=True)}
