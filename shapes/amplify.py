"""More load than was recorded: whole sessions cloned, insides intact, starts moved a little.

A clone of a session starts at its start + U(−h, h), h half the span of the K = 16 session starts
nearest to it: where many sessions begin at once h is small, so that spikes stay spikes, and where
few do it is large, so that clones do not march in step. A fractional factor is rounded
systematically (each session by its hash); below 1 it keeps sessions by the same hash. Never are
single requests added or dropped.

Streaming: a first pass over columns collects session starts (16 bytes a session); the second reads
the plan in order, emits each row's clones at their moved times and holds in a queue only the rows
that a later row could still precede, which is bounded by the largest h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Ints
from .tallies import Words, mix

Chunk = dict[str, Any]
Factor = Callable[[Ints], NDArray[np.float64]]
NEAREST = 16
_HELD = 500_000


class Starts:
    """When each session begins and how far its clones may move."""

    def __init__(self, blocks: Iterable[tuple[NDArray[np.uint64], Ints]]) -> None:
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.first: Ints = np.empty(0, np.int64)
        held: list[tuple[NDArray[np.uint64], Ints]] = []
        rows = 0
        for block in blocks:
            held.append(block)
            rows += block[1].size
            if rows > max(_HELD, self.ids.size):
                self._settle(held)
                held, rows = [], 0
        self._settle(held)
        self.reach = reaches(self.first)

    def _settle(self, held: list[tuple[NDArray[np.uint64], Ints]]) -> None:
        ids = np.concatenate([self.ids, *(block[0] for block in held)])
        first = np.concatenate([self.first, *(block[1] for block in held)])
        if ids.size:
            order = np.lexsort((first, ids))
            ids, first = ids[order], first[order]
            fresh = np.append(True, ids[1:] != ids[:-1])
            self.ids, self.first = ids[fresh], first[fresh]

    def of(self, sessions: NDArray[np.uint64]) -> tuple[Ints, Ints]:
        """The start and the reach of each of these sessions."""
        at = np.searchsorted(self.ids, sessions)
        return self.first[at], self.reach[at]


def reaches(starts: Ints, nearest: int = NEAREST) -> Ints:
    """Half the span of the `nearest` session starts around each start."""
    n = starts.size
    if n < 2:
        return np.zeros(n, np.int64)
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    low = np.clip(np.arange(n) - nearest // 2, 0, max(n - nearest - 1, 0))
    high = np.minimum(low + nearest, n - 1)
    found = np.empty(n, np.int64)
    found[order] = (ordered[high] - ordered[low]) // 2
    return found


def scaled(
    chunks: Iterable[Chunk], starts: Starts, factor: Factor, seed: int = 0
) -> Iterator[Chunk]:
    """The plan with each session cloned `factor(start)` times, in order of due time.

    Chunks carry `session`, `due_ns`, `open_ns`, `clone` and any other columns, in due order.
    """
    furthest = int(starts.reach.max(initial=0))
    held: list[Chunk] = []
    for chunk in chunks:
        if len(chunk["due_ns"]) == 0:
            continue
        held.append(_cloned(chunk, starts, factor, seed))
        safe = int(chunk["due_ns"][-1]) - furthest
        ready, held = _split(held, safe)
        if ready is not None:
            yield ready
    ready, _ = _split(held, None)
    if ready is not None:
        yield ready


def constant(k: float) -> Factor:
    """The same factor at every time."""
    return lambda starts: np.full(starts.size, float(k))


def copies(sessions: NDArray[np.uint64], factor: NDArray[np.float64], seed: int) -> Ints:
    """How many of each session there are to be: the factor, rounded by the session's hash."""
    share = _unit(mix(sessions.view(np.int64), np.full(sessions.size, seed, np.int64)))
    return np.floor(factor + share).astype(np.int64)


def _cloned(chunk: Chunk, starts: Starts, factor: Factor, seed: int) -> Chunk:
    sessions = np.asarray(chunk["session"], np.uint64)
    first, reach = starts.of(sessions)
    times = copies(sessions, factor(first), seed)
    row = np.repeat(np.arange(sessions.size), times)
    clone = np.arange(row.size) - np.repeat(np.cumsum(times) - times, times)
    # Laps already numbered their clones: a lap's clones follow those of the laps before it.
    number = chunk["clone"][row] * np.int64(_stride(factor, starts)) + clone
    word = mix(sessions[row].view(np.int64), number * 7919 + seed + 1)
    moved = ((2 * _unit(word) - 1) * reach[row]).astype(np.int64)
    moved[clone == 0] = 0
    # A session is moved as a whole, and never to before the start of the run.
    moved = np.maximum(moved, -first[row])
    out = {name: pick(column, row) for name, column in chunk.items()}
    out["due_ns"] = chunk["due_ns"][row] + moved
    if "open_ns" in chunk:
        out["open_ns"] = np.maximum(chunk["open_ns"][row] + moved, 0)
    out["clone"] = number.astype(np.int32)
    return out


def _stride(factor: Factor, starts: Starts) -> int:
    if starts.first.size == 0:
        return 1
    return int(np.ceil(factor(starts.first).max(initial=1.0))) + 1


def _split(held: list[Chunk], safe: int | None) -> tuple[Chunk | None, list[Chunk]]:
    """Of what is held, the rows due before `safe` in order, and the rest."""
    if not held:
        return None, []
    joined = join(held)
    joined = _take(joined, np.argsort(joined["due_ns"], kind="stable"))
    due = joined["due_ns"]
    at = due.size if safe is None else int(np.searchsorted(due, safe))
    ready = _take(joined, slice(0, at)) if at else None
    return ready, [_take(joined, slice(at, None))] if at < due.size else []


def join(chunks: list[Chunk]) -> Chunk:
    """Several chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    joined: Chunk = {}
    for name, column in chunks[0].items():
        parts = [chunk[name] for chunk in chunks]
        joined[name] = (
            type(column).join(parts) if hasattr(column, "codes") else np.concatenate(parts)
        )
    return joined


def pick(column: Any, rows: Any) -> Any:
    """Rows of a column, numbers or text."""
    if hasattr(column, "codes"):
        return type(column)(column.codes[rows], column.values)
    return column[rows]


def _take(chunk: Chunk, rows: Any) -> Chunk:
    return {name: pick(column, rows) for name, column in chunk.items()}


def _unit(words: Words) -> NDArray[np.float64]:
    return (words >> np.uint64(11)).astype(np.float64) / float(1 << 53)
