"""How the recorded connections began and ended: those of a tape joined to the rows of a plan.

`close_after` is how long after a request's start its connection was closed, so it stays true
wherever a later stage moves the request to; -1 where nobody ended it, or not within what is sent:
such a connection stays open to the end of the run. Where the tape is sent lap after lap it ends
with its lap: else each lap would add its own to those that stay open, and the target would seem to
leak them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from capture.exchange import NEVER, Close

if TYPE_CHECKING:
    from capture.tape import Tape

_STAYS_OPEN = (Close.CAPTURE_END, Close.IDLE, Close.REUSED)


class Endings:
    """The ends of all connections of a tape, 18 bytes each, that were before `until`.

    With `laps` those that stayed open end at `until`.
    """

    def __init__(self, tape: Tape, until: int, laps: bool = False) -> None:
        self._until, self._laps = until, laps
        blocks = list(tape.connections(["connection", "closed_ns", "close"]))
        self._numbers = _whole(blocks, "connection", np.int64)
        self._closed = _whole(blocks, "closed_ns", np.int64)
        self._close = _whole(blocks, "close", np.uint8)
        order = np.argsort(self._numbers, kind="stable")
        self._numbers, self._closed = self._numbers[order], self._closed[order]
        self._close = self._close[order]
        self._met = np.zeros(len(order), bool)

    def first(self, connections: Any, positions: Any) -> Any:
        """Which rows are the first on their connection that are sent, asked in their order.

        Where the tape does not tell of a connection, that is the row at position 0.
        """
        place, known = self._places(connections)
        fresh = positions == 0
        rows = np.flatnonzero(known)
        place, again = np.unique(place[rows], return_index=True)
        fresh[rows] = False
        fresh[rows[again]] = ~self._met[place]
        self._met[place] = True
        return fresh

    def of(self, connections: Any, started: Any) -> tuple[Any, Any]:
        """(close_after, close) of requests on these connections that started at those times."""
        place, known = self._places(connections)
        if not len(self._numbers):
            return self._with_laps(started, known, np.full(len(started), NEVER), known)
        close = self._close[place].astype(np.int64)
        closed = self._closed[place]
        known &= (closed != NEVER) & (closed < self._until) & ~np.isin(close, _STAYS_OPEN)
        after = np.where(known, np.maximum(closed - started, 0), NEVER)
        return self._with_laps(started, known, after, close)

    def _places(self, connections: Any) -> tuple[Any, Any]:
        """Where each connection is in the table, and whether it is there at all."""
        last = len(self._numbers) - 1
        if last < 0:
            return np.zeros(len(connections), np.int64), np.zeros(len(connections), bool)
        place = np.minimum(np.searchsorted(self._numbers, connections), last)
        return place, self._numbers[place] == connections

    def _with_laps(self, started: Any, known: Any, after: Any, close: Any) -> tuple[Any, Any]:
        rest, end = NEVER, Close.CAPTURE_END
        if self._laps:
            rest, end = np.maximum(self._until - started, 0), Close.FIN_CLIENT
        return np.where(known, after, rest), np.where(known, close, int(end)).astype(np.int64)


def _whole(blocks: list[Any], name: str, dtype: Any) -> Any:
    return np.concatenate([block[name] for block in blocks]) if blocks else np.zeros(0, dtype)
