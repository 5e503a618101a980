"""More load than was recorded: whole sessions cloned, insides intact, starts moved a little.

A clone of a session starts at its start + U(−h, h), h half the span of the K = 16 session starts
nearest to it: where many sessions begin at once h is small, so that spikes stay spikes, and where
few do it is large, so that clones do not march in step. A fractional factor is rounded
systematically (each session by its hash); below 1 it keeps sessions by the same hash. Never are
single requests added or dropped, but where a factor on one endpoint asks for just that.

Streaming: a first pass over columns collects sessions (32 bytes each); the second reads
the plan in order, emits each row's clones at their moved times and holds back only the rows that a
later row could still precede, which is bounded by the largest h.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .chunks import Chunk, Waiting, take
from .counts import Ints
from .load import Load
from .tallies import Words, grouped, mix, places

NEAREST = 16
_HELD = 500_000
_AT_ONCE = 1_000_000
_NEVER_MORE = (1 << 31) - 1


class Starts:
    """When each session begins, how much it asks, and how far its clones may move."""

    def __init__(
        self, blocks: Iterable[tuple[NDArray[np.uint64], Ints]], nearest: int = NEAREST
    ) -> None:
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.first: Ints = np.empty(0, np.int64)
        self.requests: Ints = np.empty(0, np.int64)
        held: list[tuple[NDArray[np.uint64], Ints]] = []
        rows = 0
        for block in blocks:
            held.append(block)
            rows += block[1].size
            if rows > max(_HELD, self.ids.size):
                self._settle(held)
                held, rows = [], 0
        self._settle(held)
        self.reach = _reaches(self.first, nearest)

    def _settle(self, held: list[tuple[NDArray[np.uint64], Ints]]) -> None:
        if not held:
            return
        ids = np.concatenate([block[0] for block in held])
        first = np.concatenate([block[1] for block in held])
        order = grouped(ids)
        ids = ids[order]
        fresh = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        first = np.minimum.reduceat(first[order], fresh)
        requests = np.diff(np.append(fresh, ids.size))
        ids = ids[fresh]
        order = np.argsort(ids)
        ids, first, requests = ids[order], first[order], requests[order]
        at, known = places(self.ids, ids)
        self.requests[at[known]] += requests[known]
        self.first[at[known]] = np.minimum(self.first[at[known]], first[known])
        at, new = at[~known], ~known
        self.ids = np.insert(self.ids, at, ids[new])
        self.first = np.insert(self.first, at, first[new])
        self.requests = np.insert(self.requests, at, requests[new])

    def of(self, sessions: NDArray[np.uint64]) -> tuple[Ints, Ints]:
        """The start and the reach of each of these sessions."""
        at = np.searchsorted(self.ids, sessions)
        return self.first[at], self.reach[at]


def _reaches(starts: Ints, nearest: int = NEAREST) -> Ints:
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


def scaled(chunks: Iterable[Chunk], starts: Starts, load: Load, seed: int = 0) -> Iterator[Chunk]:
    """The plan with each session cloned as often as the load says, in order of due time.

    Chunks carry `session`, `due_ns`, `open_ns`, `clone` and any other columns, in due order.
    """
    furthest = int(starts.reach.max(initial=0))
    stride = stride_of(load)
    waiting = Waiting()
    for chunk in chunks:
        if len(chunk["due_ns"]) == 0:
            continue
        for part in _parts(chunk, load):
            waiting.add(_cloned(part, starts, load, seed, stride))
            ready = waiting.ready(int(part["due_ns"][-1]) - furthest)
            if ready is not None:
                yield ready
    ready = waiting.ready(None)
    if ready is not None:
        yield ready


def _parts(chunk: Chunk, load: Load) -> Iterator[Chunk]:
    """A chunk in parts whose clones are not many more than are sorted at once."""
    size = max(1, int(_AT_ONCE / max(load.most, 1.0)))
    rows = len(chunk["due_ns"])
    for start in range(0, rows, size):
        yield chunk if size >= rows else take(chunk, slice(start, start + size))


def stride_of(load: Load) -> int:
    """More than the clones that any session has: where the numbers of the next lap begin."""
    return int(np.ceil(load.most)) + 1


def repeats(sessions: NDArray[np.uint64], factor: NDArray[np.float64], seed: int) -> Ints:
    """How many of each session there are to be: the factor, rounded by the session's hash."""
    share = _unit(mix(sessions.view(np.int64), np.full(sessions.size, seed, np.int64)))
    return np.floor(factor + share).astype(np.int64)


def jitter(sessions: NDArray[np.uint64], number: Ints, reach: Ints, seed: int) -> Ints:
    """How far each clone of a session is moved, within its reach: by its hash."""
    word = mix(sessions.view(np.int64), number * 7919 + seed + 1)
    return ((2 * _unit(word) - 1) * reach).astype(np.int64)


def moved(chunk: Chunk, by: Ints, number: Ints) -> Chunk:
    """The chunk with its rows later by so much, as clones of these numbers."""
    out = dict(chunk)
    out["due_ns"] = chunk["due_ns"] + by
    if "open_ns" in chunk:
        out["open_ns"] = np.maximum(chunk["open_ns"] + by, 0)
    out["clone"] = (number & _NEVER_MORE).astype(np.int32)
    return out


def spread(times: Ints) -> tuple[Ints, Ints]:
    """For rows that are to be there so many times: the row of each copy, and its number."""
    row = np.repeat(np.arange(times.size), times)
    return row, np.arange(row.size) - np.repeat(np.cumsum(times) - times, times)


def _cloned(chunk: Chunk, starts: Starts, load: Load, seed: int, stride: int) -> Chunk:
    sessions = np.asarray(chunk["session"], np.uint64)
    first, reach = starts.of(sessions)
    times = repeats(sessions, load.of_rows(first, chunk.get("endpoint")), seed)
    row, clone = spread(times)
    # Laps already numbered their clones: a lap's clones follow those of the laps before it.
    number = chunk["clone"][row] * np.int64(stride) + clone
    by = jitter(sessions[row], number, reach[row], seed)
    by[clone == 0] = 0
    # A session is moved as a whole, and never to before the start of the run.
    return moved(take(chunk, row), np.maximum(by, -first[row]), number)


def _unit(words: Words) -> NDArray[np.float64]:
    """Words as numbers from 0 to below 1."""
    return (words >> np.uint64(11)).astype(np.float64) / float(1 << 53)
