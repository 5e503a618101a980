"""How the recorded connections ended: the connections of a tape joined to the rows of a plan.

`close_after` is how long after a request's start its connection was closed, so it stays true
wherever a later stage moves the request to; -1 where the recording did not see the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from capture.exchange import NEVER, Close

if TYPE_CHECKING:
    from capture.tape import Tape

_STAYS_OPEN = (Close.CAPTURE_END, Close.REUSED)


class Endings:
    """The ends of all connections of a tape: 17 bytes each."""

    def __init__(self, tape: Tape) -> None:
        blocks = list(tape.connections(["connection", "closed_ns", "close"]))
        self._numbers = _whole(blocks, "connection", np.int64)
        self._closed = _whole(blocks, "closed_ns", np.int64)
        self._close = _whole(blocks, "close", np.uint8)
        order = np.argsort(self._numbers, kind="stable")
        self._numbers, self._closed = self._numbers[order], self._closed[order]
        self._close = self._close[order]

    def of(self, connections: Any, started: Any) -> tuple[Any, Any]:
        """(close_after, close) of requests on these connections that started at those times."""
        if not len(self._numbers):
            return np.full(len(started), NEVER, np.int64), np.zeros(len(started), np.int64)
        place = np.minimum(np.searchsorted(self._numbers, connections), len(self._numbers) - 1)
        close = self._close[place].astype(np.int64)
        closed = self._closed[place]
        known = (self._numbers[place] == connections) & (closed != NEVER)
        known &= ~np.isin(close, _STAYS_OPEN)
        after = np.where(known, np.maximum(closed - started, 0), NEVER)
        return after, np.where(known, close, Close.CAPTURE_END)


def _whole(blocks: list[Any], name: str, dtype: Any) -> Any:
    return np.concatenate([block[name] for block in blocks]) if blocks else np.zeros(0, dtype)
