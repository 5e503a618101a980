"""Tallies by identity, vectorized: who was planned and sent, what was seen twice, what overtook.

An identity is two integers (a session and its clone, a source and its clone), mixed into one
64-bit word. Tallies are sorted arrays, so that adding a block is a sort and not a loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_RECENT = 4_000_000


def mix(first: NDArray[Any], second: NDArray[Any]) -> Words:
    """One well mixed word of two integers (the finalizer of SplitMix64)."""
    word = first.astype(np.int64).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    word = word + second.astype(np.int64).view(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def tally(codes: NDArray[Any]) -> list[tuple[int, int]]:
    """Each number among some, and how often it is there."""
    values, counts = np.unique(codes, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def grouped(ids: Words) -> NDArray[np.int64]:
    """An order in which equal identities stand together, each as they came.

    Sorting words that carry their place in the low bits is many times faster than a stable argsort;
    where two identities share the high bits that are left, that is what it comes to after all.
    """
    bits = np.uint64(max(int(ids.size).bit_length(), 1))
    place = (np.uint64(1) << bits) - np.uint64(1)
    words = ids * np.uint64(0x9E3779B97F4A7C15)
    words &= ~place
    words |= np.arange(ids.size, dtype=np.uint64)
    words.sort()
    order = (words & place).astype(np.int64)
    high = words >> bits
    among = ids[order]
    if bool(np.any((high[1:] == high[:-1]) & (among[1:] != among[:-1]))):
        return np.argsort(ids, kind="stable")
    return order


def places(known: NDArray[Any], ids: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each of sorted identities is, or would be, among sorted ones; which are there."""
    at = np.searchsorted(known, ids)
    if known.size == 0:
        return at, np.zeros(ids.size, bool)
    return at, known[np.minimum(at, known.size - 1)] == ids


class Kept:
    """For each identity, how many requests were planned and how many of those were sent."""

    def __init__(self) -> None:
        self._words: Words = np.empty(0, np.uint64)
        self._planned: NDArray[np.int64] = np.empty(0, np.int64)
        self._sent: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, first: NDArray[Any], second: NDArray[Any], sent: NDArray[np.bool_]) -> None:
        """Count rows: all were planned, those marked were sent."""
        self._join(mix(first, second), np.ones(sent.size, np.int64), sent.astype(np.int64))

    def merge(self, other: Kept) -> None:
        """Add another tally."""
        self._join(other._words, other._planned, other._sent)

    def kept_share(self) -> float | None:
        """The mean over identities of the share that was sent; None where there are none."""
        if self._words.size == 0:
            return None
        return float(np.mean(self._sent / self._planned))

    def _join(self, words: Words, planned: NDArray[np.int64], sent: NDArray[np.int64]) -> None:
        if words.size == 0:
            return
        words = np.concatenate([self._words, words])
        order = np.argsort(words)
        words = words[order]
        at = np.concatenate(([0], np.flatnonzero(words[1:] != words[:-1]) + 1))
        self._words = words[at]
        self._planned = np.add.reduceat(np.concatenate([self._planned, planned])[order], at)
        self._sent = np.add.reduceat(np.concatenate([self._sent, sent])[order], at)


class Seen:
    """How often an identity was seen again, among the last few million."""

    def __init__(self) -> None:
        self._recent: list[Words] = []
        self._size = 0
        self._again = 0

    def add(self, first: NDArray[Any], second: NDArray[Any], sent: NDArray[np.bool_]) -> None:
        """See the marked rows."""
        words = mix(first, second)[sent]
        if words.size:
            self._recent.append(words)
            self._size += words.size
        if self._size > 2 * _RECENT:
            self._trim()

    def merge(self, other: Seen) -> None:
        """Add what another saw."""
        self._recent += other._recent
        self._size += other._size
        self._again += other._again

    def repeated(self) -> int:
        """How many rows repeat one that was seen before."""
        return self._again + self._repeats(self._recent)

    def _trim(self) -> None:
        """Forget the older half, keeping the repeats that only it knows of."""
        every = np.concatenate(self._recent)
        newer = every[-_RECENT:]
        self._again += self._repeats([every]) - self._repeats([newer])
        self._recent, self._size = [newer], newer.size

    @staticmethod
    def _repeats(parts: list[Words]) -> int:
        if not parts:
            return 0
        words = np.sort(np.concatenate(parts))
        return int(np.count_nonzero(words[1:] == words[:-1]))


class Order:
    """How many rows were sent before a row of their connection that was due before them."""

    def __init__(self) -> None:
        self._inversions = 0
        self._last: NDArray[np.int64] = np.empty((3, 0), np.int64)  # connection, due, sent

    def add(self, connection: NDArray[Any], due: NDArray[Any], sent: NDArray[Any]) -> None:
        """Add rows that were sent; a connection's rows come in due order from call to call."""
        if due.size == 0:
            return
        rows = np.stack([connection.astype(np.int64), due, sent])
        rows = np.concatenate([self._last, rows], axis=1)
        rows = rows[:, np.lexsort((rows[2], rows[1], rows[0]))]
        same = rows[0, 1:] == rows[0, :-1]
        self._inversions += int(np.count_nonzero(same & (rows[2, 1:] < rows[2, :-1])))
        self._last = rows[:, np.append(~same, True)]

    def merge(self, other: Order) -> None:
        """Add another's count: workers share no connection."""
        self._inversions += other._inversions
        self._last = np.concatenate([self._last, other._last], axis=1)

    def inversions(self) -> int:
        """How many were found."""
        return self._inversions
