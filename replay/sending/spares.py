"""Spares: extra wires for requests that are due while their own connection still waits.

They are kept once they are open, the latest used first. Opening one costs both ends far more than a
request does, so that a target which has fallen behind would be buried under connections by the very
requests that wait for it: only so many are opened at a time, and what finds none waits for the
first that is free. A pool is spares with a limit, and no lanes beside them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from capture.exchange import Lateness

from ..handover.batch import Batch
from .connection import OPEN, Wire

MOST_OPENING: Final = 64


class Spares:
    """The spares of one target, and the requests that wait for one."""

    __slots__ = ("_idle", "_limit", "_opening", "cause", "count", "queue")

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self.cause = Lateness.CONNECTION if limit else Lateness.CONNECT  # of what has waited
        self._idle: list[Wire] = []
        self._opening: set[int] = set()
        self.queue: deque[tuple[Batch, int]] = deque()
        self.count = 0

    @property
    def may_open(self) -> bool:
        """Whether another may be opened now."""
        full = self._limit and self.count >= self._limit
        return not full and len(self._opening) < MOST_OPENING

    def add(self, wire: Wire) -> None:
        """One that is being opened."""
        wire.spare = True
        wire.pooled = self._limit > 0
        self._opening.add(wire.fd)
        self.count += 1

    def opened(self, wire: Wire) -> None:
        """It is open."""
        self._opening.discard(wire.fd)

    def closed(self, wire: Wire) -> None:
        """It is closed, or never opened."""
        self._opening.discard(wire.fd)
        self.count -= 1

    def rest(self, wire: Wire) -> None:
        """It has nothing to do."""
        self._idle.append(wire)

    def take(self) -> Wire | None:
        """One that has nothing to do; None where there is none."""
        while self._idle:
            wire = self._idle.pop()
            if wire.state == OPEN and wire.idle:
                return wire
        return None
