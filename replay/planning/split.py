"""Which target gets a request where users are shared out between two: by hash, so that users stay.

A user (a session of the tape, and each clone of one) has a number between 0 and 1 for good. Those
below the share go to the second target. So a user never changes sides within a run, and whoever was
among the first 5 % is among the first 25 % as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shapes.chunks import Chunk

_SALT = 0x5EED_0F_A_5411  # another hash than that which --sessions chooses by


def routes(chunk: Chunk, targets: int, split: float) -> tuple[Any, Any]:
    """Rows to send and the number of the target of each; without a split each row to each."""
    rows = len(chunk["due_ns"])
    if split:
        return range(rows), (places(chunk["session"], chunk["clone"]) < split).astype(np.uint8)
    if targets == 1:
        return range(rows), np.zeros(rows, np.uint8)
    every = np.repeat(np.arange(rows), targets)
    return every.tolist(), np.tile(np.arange(targets, dtype=np.uint8), rows)


def places(sessions: Any, clones: Any) -> Any:
    """The number of each user, from 0 to just below 1, spread evenly."""
    from shapes.tallies import mix

    salted = np.asarray(sessions).view(np.int64) ^ np.int64(_SALT)
    return (mix(salted, np.asarray(clones)) >> np.uint64(11)) / float(1 << 53)
