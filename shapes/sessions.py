"""Sessions and clients: how many requests each makes, how long they last and think.

A table of sorted identities holds the count, the first and the last time of each. Rows are sorted
by identity; those that are known are counted where they stand, and only new ones make a new table.
The think time is from the end of an answer (or, without one, from the request) to the next request
of the same session. Gini: 0 when all clients ask alike, near 1 when one asks all. Where it is told
what each request asks (a small number), it also keeps what each identity asked last, and counts
what follows what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts, Ints
from .sketch import Sketch
from .tallies import grouped, places

_NOTHING: NDArray[np.int16] = np.empty(0, np.int16)


class Users:
    """Requests, first and last times by identity (session or client); add in time order."""

    def __init__(self) -> None:
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.requests: Ints = np.empty(0, np.int64)
        self.first: Ints = np.empty(0, np.int64)
        self.last: Ints = np.empty(0, np.int64)
        self.thinks = Sketch()
        self.pairs: Pairs | None = None
        self._began: NDArray[np.int16] = np.empty(0, np.int16)
        self._asked: NDArray[np.int16] = np.empty(0, np.int16)

    def add(
        self,
        ids: NDArray[np.uint64],
        asked: Ints,
        answered: Ints,
        what: NDArray[np.int16] | None = None,
    ) -> None:
        """Add requests in time order, with the time each was answered (-1: never)."""
        if ids.size == 0:
            return
        order = grouped(ids)
        what = None if what is None else what[order]
        ids, asked = ids[order], asked[order]
        ended = np.maximum(answered[order], asked)
        same = ids[1:] == ids[:-1]
        at = np.concatenate(([0], np.flatnonzero(~same) + 1))
        lasts = np.append(at[1:], ids.size) - 1
        self.thinks.add(np.maximum((asked[1:] - ended[:-1])[same], 0))
        if what is not None:
            self.pairs = self.pairs or Pairs()
            self.pairs.add(what[:-1][same], what[1:][same])
        by = np.argsort(ids[at])  # a search for sorted values is the faster one
        at, lasts = at[by], lasts[by]
        first, last = (_NOTHING, _NOTHING) if what is None else (what[at], what[lasts])
        self._meet(ids[at], lasts - at + 1, asked[at], ended[lasts], first, last)

    def merge(self, other: Users, places: Sequence[int] = ()) -> None:
        """Add what another accumulator saw of a later span: the pause across the seam counts.

        `places` says which number here each of its numbers of what was asked is.
        """
        self.thinks.merge(other.thinks)
        began, asked = other._began, other._asked
        if other.pairs is not None:
            self.pairs = self.pairs or Pairs()
            self.pairs.merge(other.pairs, places)
            to = np.asarray(places, np.int16)
            began, asked = to[began], to[asked]
        self._meet(other.ids, other.requests, other.first, other.last, began, asked)

    def begins(self) -> Ints:
        """How many identities asked each thing first."""
        return np.bincount(self._began) if self._began.size else np.empty(0, np.int64)

    def render(self) -> dict[str, Any]:
        """The statistics as plain values."""
        per, duration = Sketch(), Sketch()
        per.add(self.requests)
        duration.add(self.last - self.first)
        starts = Counts()
        starts.add(np.sort(self.first))
        return {
            "count": int(self.ids.size),
            "requests": per.named(),
            "mean_requests": float(self.requests.mean()) if self.ids.size else 0.0,
            "duration_s": duration.named(unit=1e-9),
            "think_s": self.thinks.named(unit=1e-9),
            "gini": gini(self.requests),
            "start_idc": [[m.tau_s, m.idc] for m in starts.cascade()],
        }

    def _meet(
        self, ids: NDArray[np.uint64], n: Ints, first: Ints, last: Ints,
        began: NDArray[np.int16], asked: NDArray[np.int16],
    ) -> None:  # fmt: skip
        """Rows of a later batch, one an identity, sorted: pauses since, what follows what, sums."""
        at, known = places(self.ids, ids)
        old = at[known]
        self.thinks.add(np.maximum(first[known] - self.last[old], 0))
        if self.pairs is not None and asked.size:
            self.pairs.add(self._asked[old], began[known])
            self._asked[old] = asked[known]
        self.requests[old] += n[known]
        self.first[old] = np.minimum(self.first[old], first[known])
        self.last[old] = np.maximum(self.last[old], last[known])
        new = ~known
        if not bool(new.any()):
            return
        at = at[new]
        self.ids = np.insert(self.ids, at, ids[new])
        self.requests = np.insert(self.requests, at, n[new])
        self.first = np.insert(self.first, at, first[new])
        self.last = np.insert(self.last, at, last[new])
        if asked.size:
            self._began = np.insert(self._began, at, began[new])
            self._asked = np.insert(self._asked, at, asked[new])


class Pairs:
    """How often one thing was asked after another."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros((1, 1), np.int64)

    def add(self, before: NDArray[np.int16], after: NDArray[np.int16]) -> None:
        """Count pairs."""
        if before.size == 0:
            return
        width = self._grow(max(int(before.max()), int(after.max())) + 1)
        flat = before.astype(np.int64) * width + after
        self.counts += np.bincount(flat, minlength=width * width).reshape(width, width)

    def merge(self, other: Pairs, places: Sequence[int]) -> None:
        """Add another's counts, whose things have these numbers here."""
        before, after = np.nonzero(other.counts)
        if before.size:
            to = np.asarray(places, np.int64)
            self._grow(int(to.max()) + 1)
            np.add.at(self.counts, (to[before], to[after]), other.counts[before, after])

    def _grow(self, size: int) -> int:
        width = self.counts.shape[0]
        if size > width:
            grown = np.zeros((size, size), np.int64)
            grown[:width, :width] = self.counts
            self.counts = grown
        return int(self.counts.shape[0])


class Askers:
    """How much each identity asks, and nothing else; add in any order."""

    def __init__(self) -> None:
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.requests: Ints = np.empty(0, np.int64)

    def add(self, ids: NDArray[np.uint64]) -> None:
        """Add requests by who asked."""
        if ids.size:
            ids = np.sort(ids)
            at = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
            self._join(ids[at], np.diff(np.append(at, ids.size)))

    def merge(self, other: Askers) -> None:
        """Add what another counted."""
        if other.ids.size:
            self._join(other.ids, other.requests)

    def render(self) -> dict[str, Any]:
        """How many there are, and how unequal."""
        per = Sketch()
        per.add(self.requests)
        return {
            "count": int(self.ids.size),
            "requests": per.named(),
            "gini": gini(self.requests),
        }

    def _join(self, ids: NDArray[np.uint64], n: Ints) -> None:
        at, known = places(self.ids, ids)
        self.requests[at[known]] += n[known]
        new = ~known
        if bool(new.any()):
            self.ids = np.insert(self.ids, at[new], ids[new])
            self.requests = np.insert(self.requests, at[new], n[new])


def gini(values: Ints) -> float:
    """The Gini coefficient of non-negative numbers."""
    n, total = values.size, float(values.sum())
    if n == 0 or total == 0:
        return 0.0
    ranked = np.sort(values)
    return float(2 * np.dot(np.arange(1, n + 1), ranked) / (n * total) - (n + 1) / n)
