"""A herd: many users who all begin in one instant, as after a push message or an outage.

`at=30s,users=10000`: the sessions that begin nearest to that time are the pattern; as many clones
of them as asked for all begin at it, without jitter, and go on as recorded. A herd is held in
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import click
import numpy as np

from capture.options import DURATION

from .amplify import Starts
from .chunks import Chunk, join, pick
from .counts import Ints

PATTERNS = 1000
FIRST_CLONE = 1 << 20
"""Clones of a herd are numbered from here, past those of any scale."""


@dataclass(frozen=True)
class Herd:
    """So many users who begin at `at_ns` from the start of the run."""

    at_ns: int
    users: int


def parse(text: str) -> Herd:
    """The herd that `at=30s,users=10000` describes; a usage error if none."""
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    users = parts.get("users", "")
    if parts.keys() != {"at", "users"} or text.count(",") != 1:
        raise _usage(text)
    if not users.isascii() or not users.isdigit():
        raise _usage(text)
    if not 0 < int(users) < FIRST_CLONE:
        raise _usage(text)
    return Herd(int(DURATION.convert(parts["at"], None, None)), int(users))


def _gathered(chunks: Iterable[Chunk], starts: Starts, herd: Herd, number: int = 0) -> Chunk | None:
    """The requests of a herd in due order, from a pass over the plan; None without a pattern."""
    near = np.argsort(np.abs(starts.first - herd.at_ns), kind="stable")
    chosen = np.sort(near[: min(PATTERNS, herd.users)])
    if chosen.size == 0:
        return None
    ids, first = starts.ids[chosen], starts.first[chosen]
    found = []
    for chunk in chunks:
        rows = np.flatnonzero(np.isin(chunk["session"], ids))
        if rows.size:
            found.append({name: pick(column, rows) for name, column in chunk.items()})
    pattern = join(found)
    of: Ints = np.asarray(np.searchsorted(ids, pattern["session"]), np.int64)
    times: Ints = np.full(ids.size, herd.users // ids.size, np.int64)
    times[: herd.users % ids.size] += 1
    row = np.repeat(np.arange(of.size), times[of])
    clone = np.arange(row.size) - np.repeat(np.cumsum(times[of]) - times[of], times[of])
    due = herd.at_ns + pattern["due_ns"][row] - first[of[row]]
    order = np.argsort(due, kind="stable")
    herded = {name: pick(column, row[order]) for name, column in pattern.items()}
    head_start = herded["due_ns"] - herded["open_ns"]
    herded["due_ns"] = due[order]
    herded["open_ns"] = np.maximum(due[order] - head_start, 0)
    # A herd's numbers follow those of the herds before it.
    herded["clone"] = (FIRST_CLONE * (1 + number) + clone[order]).astype(np.int32)
    return herded


def _merged(chunks: Iterable[Chunk], herd: Chunk) -> Iterator[Chunk]:
    """A plan with a herd in it, in due order."""
    at = 0
    for chunk in chunks:
        upto = int(np.searchsorted(herd["due_ns"], chunk["due_ns"][-1], "right"))
        if upto == at:
            yield chunk
            continue
        both = join([chunk, {name: pick(herd[name], slice(at, upto)) for name in chunk}])
        order = np.argsort(both["due_ns"], kind="stable")
        yield {name: pick(column, order) for name, column in both.items()}
        at = upto
    if at < herd["due_ns"].size:
        yield {name: pick(column, slice(at, None)) for name, column in herd.items()}


def herds_in(
    chunks: Iterator[Chunk], again: Callable[[], Iterable[Chunk]], starts: Starts,
    herds: Iterable[Herd],
) -> Iterator[Chunk]:  # fmt: skip
    """A plan with all the herds; `again` gives the plan as recorded, once more."""
    for number, herd in enumerate(herds):
        found = _gathered(again(), starts, herd, number)
        if found is not None:
            chunks = _merged(chunks, found)
    return chunks


def _usage(text: str) -> click.UsageError:
    return click.UsageError(f"{text!r} is no herd; write it like at=30s,users=10000.")
