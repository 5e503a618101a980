"""Connections that were recorded without a single request: opened and closed as they were.

They cost a server a place in its tables, and a probe or a pool that keeps some ready opens many.
They are sent ahead to the sender with the batch in whose time they begin. A run that moves requests
to other times or connections than the recorded ones leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from capture.exchange import NEVER, Close

from ..options import ReplayOptions
from .more import clones
from .plan import shard_of

if TYPE_CHECKING:
    from capture.tape import Tape

_COLUMNS = ("connection", "client", "opened_ns", "closed_ns", "close", "exchanges")


class Silent(NamedTuple):
    """One of them; times in ns since due time 0, `closed` NEVER where it stayed open."""

    opened: int
    connection: int
    client: int
    closed: int
    close: int


def silent_connections(
    tape: Tape, options: ReplayOptions, shard: int = 0, of: int = 1
) -> list[Silent]:
    """Those of one shard, by the time at which they open."""
    moved = options.max_gap or options.think == "keep" or options.connections != "recorded"
    if options.at_max or moved or clones(options) or options.arrivals or options.soak:
        return []
    first, _ = tape.span_ns
    start = first + options.start
    end = min(_bounds(options, first, start))
    found: list[Silent] = []
    for block in tape.connections(_COLUMNS):
        opened, number = np.asarray(block["opened_ns"]), np.asarray(block["connection"])
        mine = (np.asarray(block["exchanges"]) == 0) & (opened >= start) & (opened <= end)
        mine &= shard_of(number, of) == shard
        closed, how = np.asarray(block["closed_ns"])[mine], np.asarray(block["close"])[mine]
        stays = (closed == NEVER) | (closed > end) | (how == Close.IDLE)
        ends = np.where(stays, NEVER, _due(closed, start, options.speed))
        clients = np.asarray(block["client"])[mine].view(np.int64)
        columns = (_due(opened[mine], start, options.speed), number[mine], clients, ends, how)
        found += [Silent(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    return sorted(found)


def _bounds(options: ReplayOptions, first: int, start: int) -> list[int]:
    far = 1 << 62
    return [
        first + options.end if options.end else far,
        start + options.length if options.length else far,
    ]


def _due(times: np.ndarray, start: int, speed: float) -> np.ndarray:
    return np.rint((times - start) / speed).astype(np.int64)
