"""Putting the rows of blocks in order of time, holding back only what may still be preceded.

Rows stand in a tape in the order in which exchanges ended. Each block tells the least time in it,
so a row may be given out as soon as no later block has one that began before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .block import Array, Text
from .file import BlockPlace
from .format import order_ns

Columns = dict[str, "Array | Text"]


def floors(blocks: Sequence[BlockPlace]) -> list[int]:
    """For each block, the least time that any later block has."""
    waits, least = [], 1 << 62
    for place in reversed(blocks):
        waits.append(least)
        if place.first_ns >= 0:
            least = min(least, place.first_ns)
    return waits[::-1]


def with_order(
    block: Columns,
    place: BlockPlace,
    low: int,
    high: int,
    kept: Sequence[str],
    held: Columns | None,
) -> Columns | None:
    """The rows held back, and those of a block that lie between low and high."""
    times = order_ns(block, place.rows)
    inside = (times >= low) & (times < high)
    block["exchange"] = place.first_exchange + np.arange(place.rows, dtype=np.int64)
    block["order_ns"] = times
    if inside.all():  # nothing is copied where all is wanted, as in the midst of a tape
        some = {name: block[name] for name in kept}
    else:
        rows = np.flatnonzero(inside)
        some = {name: take(block[name], rows) for name in kept}
    if held is None:
        return some if inside.any() else None
    return {name: _join(held[name], some[name]) for name in kept}


def split(held: Columns, floor: int) -> tuple[Columns | None, Columns | None]:
    """What may be given out now, in order, and what a later block may still precede."""
    times = numbers(held["order_ns"])
    ready = np.flatnonzero(times < floor)
    if len(ready) == 0:
        return None, held
    if len(ready) == len(times) and bool(np.all(times[1:] >= times[:-1])):
        return held, None
    ready = ready[np.argsort(times[ready], kind="stable")]
    rest = np.flatnonzero(times >= floor)
    left = {name: take(column, rest) for name, column in held.items()} if len(rest) else None
    return {name: take(column, ready) for name, column in held.items()}, left


def take(column: Array | Text, rows: Array) -> Array | Text:
    """The rows that an index or mask selects."""
    return column.take(rows) if isinstance(column, Text) else column[rows]


def _join(left: Array | Text, right: Array | Text) -> Array | Text:
    """One column after another."""
    if isinstance(left, Text) and isinstance(right, Text):
        return Text.join((left, right))
    return np.concatenate((numbers(left), numbers(right)))


def numbers(column: Array | Text) -> Array:
    """The array of a column of numbers; TypeError for text."""
    if isinstance(column, Text):
        raise TypeError("a text column where numbers are needed")
    return column
