"""Spares: extra wires for requests that are due while their own connection still waits.

They are kept once they are open, the latest used first. Opening one costs both ends far more than a
request does, so that a target which has fallen behind would be buried under connections by the very
requests that wait for it: only so many are opened at a time, and what finds none waits for the
first that is free.
"""

from __future__ import annotations

from collections import deque

from .batch import Batch
from .connection import OPEN, Wire

MOST_OPENING = 64


class Spares:
    """The spares of one target, and the requests that wait for one."""

    __slots__ = ("_idle", "_opening", "count", "queue")

    def __init__(self) -> None:
        self._idle: list[Wire] = []
        self._opening: set[int] = set()
        self.queue: deque[tuple[Batch, int]] = deque()
        self.count = 0

    @property
    def may_open(self) -> bool:
        """Whether another may be opened now."""
        return len(self._opening) < MOST_OPENING

    def add(self, wire: Wire) -> None:
        """One that is being opened."""
        wire.spare = True
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
