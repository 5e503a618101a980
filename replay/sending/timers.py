"""What has to happen at an instant besides the sending of due requests: opens, closes, pieces."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

FAR: Final = 1 << 62
Action = Callable[..., None]


class Timers:
    """Actions by absolute instant, in order; of one instant in the order they were added."""

    __slots__ = ("_heap", "_sequence", "next_at")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, tuple[Any, ...]]] = []
        self._sequence = itertools.count()
        self.next_at = FAR

    def add(self, instant: int, action: Action, arguments: tuple[Any, ...]) -> None:
        """At `instant` (monotonic ns), `action(*arguments)`."""
        heapq.heappush(self._heap, (instant, next(self._sequence), action, arguments))
        self.next_at = self._heap[0][0]

    def due(self, now: int) -> Iterator[tuple[Action, tuple[Any, ...]]]:
        """What is due, taken out one by one, so that an action may add another."""
        while self._heap and self._heap[0][0] <= now:
            _, _, action, arguments = heapq.heappop(self._heap)
            self.next_at = self._heap[0][0] if self._heap else FAR
            yield action, arguments
