"""On which connections a run sends: those recorded, a pool of its own, or a new one for each.

Recorded: lanes, opened and closed as they were. A pool: so many connections in all that any request
may use; one that finds none free waits. New: a lane for each request, closed after its answer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from capture.exchange import NEVER, Close, Flag

RECORDED, NEW, POOL = "recorded", "new", "pool"
_TOGETHER = np.uint32(Flag.PIPELINED | Flag.EARLY_RESPONSE)


class Openings(NamedTuple):
    """The way, and the size of the pool."""

    how: str = RECORDED
    size: int = 0

    def __str__(self) -> str:
        return f"{self.how}:{self.size}" if self.size else self.how

    def share(self, shard: int, of: int) -> Openings:
        """What one of several workers has of it: at least one connection."""
        if self.how != POOL:
            return self
        return self._replace(size=max(1, self.size // of + (shard < self.size % of)))


def openings_of(text: str) -> Openings:
    """What `recorded`, `new` or `pool:8` says; ValueError where it is none of them."""
    how, _, size = text.partition(":")
    if how in (RECORDED, NEW) and not size:
        return Openings(how)
    if how == POOL and size.isdigit() and 0 < int(size) <= 1_000_000:
        return Openings(how, int(size))
    raise ValueError(f"{text!r} is no way to connect; write recorded, new or pool:8.")


def rearranged(chunk: dict[str, Any], openings: Openings) -> None:
    """The rows of a chunk as they go out on connections that are not the recorded ones."""
    if openings.how == RECORDED:
        return
    rows = len(chunk["due_ns"])
    chunk["close_after"] = np.full(rows, NEVER, np.int64)
    chunk["close"] = np.full(rows, Close.CAPTURE_END, np.int64)
    chunk["first"] = np.full(rows, openings.how == NEW, np.int64)
    chunk["open_ns"] = chunk["due_ns"].copy()
    chunk["flags"] = chunk["flags"] & ~_TOGETHER
    if openings.how == NEW:
        clones = chunk["clone"].astype(np.int64) << np.int64(40)
        chunk["lane"] = chunk["source"].astype(np.int64) | clones
