"""Ends of lanes: when a connection ended, on the clock of the plan.

Where a run is behind its plan, requests of a connection may still be to come when its recorded end
has passed. So an end has come only when every row that is due before it was dispatched: whoever
asks says up to where that is so. Rows of one lane may tell different ends, where sessions that
shared a connection were moved apart: what the last row says counts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from .timers import FAR

_SAME_NS: Final = 1000  # ends that differ by rounding alone
_FORGOTTEN: Final = (-FAR, 0)
Key = tuple[int, int]


class Ends:
    """The ends to come, in ns since due time 0; true while there are any."""

    __slots__ = ("_heap", "_last", "next_at")

    def __init__(self) -> None:
        self._heap: list[tuple[int, Key]] = []
        self._last: dict[Key, tuple[int, int]] = {}
        self.next_at = FAR

    def __bool__(self) -> bool:
        return bool(self._last)

    def plan(self, key: Key, at: int, close: int) -> None:
        """The lane ends at `at` as `close` says, whatever was said before."""
        known = self._last.get(key)
        if known is not None and -_SAME_NS < at - known[0] < _SAME_NS:
            return
        if known is None or at < known[0]:
            heapq.heappush(self._heap, (at, key))
            self.next_at = self._heap[0][0]
        self._last[key] = at, close

    def forget(self, key: Key) -> None:
        """The lane has no wire that could end."""
        self._last.pop(key, None)

    def come(self, until: int) -> Iterator[tuple[Key, int]]:
        """Those before `until`, taken out one by one: lanes and how they end."""
        heap = self._heap
        while heap and heap[0][0] < until:
            at, key = heapq.heappop(heap)
            last, close = self._last.get(key, _FORGOTTEN)
            if last > at:
                heapq.heappush(heap, (last, key))
            self.next_at = heap[0][0] if heap else FAR
            if last == at:
                del self._last[key]
                yield key, close
