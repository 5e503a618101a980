"""A soak: lap after lap of a tape, planned while it runs, for as long as is asked.

Each lap plays the sessions that begin in its part of the tape (`shapes.seams` says which), as users
of their own who begin at moments of their own: the n-th lap's clone of a session is moved by its
own jitter. Sessions under way at a seam go on beside the next lap. At most the laps that overlap
are open at once, so memory does not depend on how long the soak lasts. A tape of few requests is
kept in memory; a longer one is read again for each lap.

Lap and seam follow from the seed alone, so a soak can be entered anywhere: `--resume` skips whole
laps without looking at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.errors import ReplayError
from shapes.amplify import Starts, jitter, moved, repeats, spread, stride_of
from shapes.chunks import Chunk, Waiting, join, take
from shapes.counts import Ints
from shapes.load import Load
from shapes.seams import Seams

if TYPE_CHECKING:
    from ..options import PlanOptions

KEPT_ROWS = 200_000
_SLICE = 16_384
_KNOWN_TIMES = 1 << 20
_REACH = 64  # no clone moves further than this share of the tape


class Recorded:
    """The plan of the tape as it was, again and again; learns its sessions on the first pass."""

    def __init__(self, again: Callable[[], Iterator[Chunk]]) -> None:
        self._again = again
        self._kept: list[Chunk] | None = []
        self._rows = 0
        self.times: Ints = np.empty(0, np.int64)
        self._every = 1
        self.span_ns = 0
        self.clones = 1
        self.starts = Starts(self._learnt())
        np.minimum(self.starts.reach, self.span_ns // _REACH, out=self.starts.reach)
        if self._kept:
            whole = self._with_starts(join(self._kept))
            cuts = range(0, self._rows, _SLICE)
            self._kept = [take(whole, slice(at, at + _SLICE)) for at in cuts]

    def __iter__(self) -> Iterator[Chunk]:
        if self._kept is not None:
            yield from self._kept
            return
        for chunk in self._again():
            yield self._with_starts(chunk)

    def _learnt(self) -> Iterator[tuple[Any, Ints]]:
        for chunk in self._again():
            due = chunk["due_ns"]
            self._rows += due.size
            self.span_ns = int(due[-1])
            self.clones = max(self.clones, int(chunk["clone"].max()) + 1)
            self._learn_times(due)
            if self._kept is not None:
                self._kept.append(chunk)
                if self._rows > KEPT_ROWS:
                    self._kept = None
            yield chunk["session"], due

    def _learn_times(self, due: Ints) -> None:
        """Every so manieth time is enough to know where the traffic is how dense."""
        self.times = np.concatenate([self.times, due[:: self._every]])
        while self.times.size > _KNOWN_TIMES:
            self.times = self.times[::2]
            self._every *= 2

    def _with_starts(self, chunk: Chunk) -> Chunk:
        began, reach = self.starts.of(np.asarray(chunk["session"], np.uint64))
        return {**chunk, "began": began, "reach": reach}


class Laps:
    """All laps of a soak as one plan, in due order."""

    def __init__(
        self, again: Callable[[], Iterator[Chunk]], load: Load, options: PlanOptions
    ) -> None:
        self._tape = Recorded(again)
        self._load, self._seed = load, options.seed
        self._until = options.soak
        self.seams = Seams(self._tape.starts, self._tape.times, self._tape.span_ns, options.seed)
        self._stride = stride_of(load)
        self._furthest = int(self._tape.starts.reach.max(initial=0))
        if self._tape.times.size and self._tape.span_ns <= 0 and self._until:
            raise ReplayError("--soak: the tape lasts no time, so there are no laps to make of it.")

    @property
    def starts(self) -> Starts:
        """The sessions of the tape."""
        return self._tape.starts

    def chunks(self, position: int = 0) -> Iterator[Chunk]:
        """The plan from a position (ns of the run) on; due times stay those of the whole soak."""
        if not self._tape.times.size:
            return
        # A session under way at the position may have begun as long before as the tape is.
        before = position - self._tape.span_ns - 2 * self._furthest
        coming = self.seams.lap_at(before) if before > 0 else 0
        waiting = Waiting()
        open_laps: list[_Lap] = []
        while True:
            at = self.seams.offset(coming)
            opens = at - self._furthest
            if opens < self._until and opens <= min(
                (lap.floor for lap in open_laps), default=opens
            ):
                open_laps.append(_Lap(self._rows_of(coming, at), opens))
                coming += 1
                continue
            if not open_laps:
                break
            first = min(open_laps, key=lambda lap: lap.floor)
            chunk = first.step()
            if chunk is None:
                open_laps.remove(first)
                continue
            waiting.add(_between(chunk, position, self._until))
            ready = waiting.ready(min([opens, *(lap.floor for lap in open_laps)]))
            if ready is not None:
                yield ready
        ready = waiting.ready(None)
        if ready is not None:
            yield ready

    def _rows_of(self, lap: int, at: int) -> Iterator[tuple[Chunk, int]]:
        """The rows of a lap that begins at that time, and before which time none follows."""
        begin, end = self.seams.cut(lap)
        offset = at - begin
        first_number = lap * self._stride * self._tape.clones
        for chunk in self._tape:
            last = int(chunk["due_ns"][-1]) + offset
            if last - offset < begin:
                continue
            rows = np.flatnonzero((chunk["began"] >= begin) & (chunk["began"] < end))
            found = self._as_clones(chunk, rows, offset, first_number, lap) if rows.size else {}
            yield found, last - self._furthest
            if last - self._furthest >= self._until:
                return

    def _as_clones(
        self, chunk: Chunk, rows: Ints, offset: int, first_number: int, lap: int
    ) -> Chunk:
        number = chunk["clone"][rows].astype(np.int64) * self._stride + first_number
        if not self._load.plain:
            some = take({name: chunk[name] for name in ("session", "began", "endpoint")}, rows)
            factor = self._load.of_rows(some["began"] + offset, some["endpoint"])
            sessions = np.asarray(some["session"], np.uint64)
            row, clone = spread(repeats(sessions, factor, self._seed + lap))
            rows, number = rows[row], number[row] + clone
        some = (
            chunk if rows.size == len(chunk["due_ns"]) and self._load.plain else take(chunk, rows)
        )
        began, reach = some["began"], some["reach"]
        by = jitter(np.asarray(some["session"], np.uint64), number, reach, self._seed)
        by[number == 0] = 0
        by = np.maximum(by + offset, -began)
        some = {name: column for name, column in some.items() if name not in ("began", "reach")}
        return moved(some, by, number)


class _Lap:
    """A lap under way: `floor` is the least due time that it may still bring."""

    def __init__(self, rows: Iterator[tuple[Chunk, int]], floor: int) -> None:
        self._rows = rows
        self.floor = floor

    def step(self) -> Chunk | None:
        """Its next rows; None at its end."""
        found = next(self._rows, None)
        if found is None:
            return None
        chunk, floor = found
        self.floor = max(self.floor, floor)
        return chunk


def _between(chunk: Chunk, start: int, end: int) -> Chunk:
    """The rows due from `start` to before `end`; {} has none."""
    if not chunk:
        return {"due_ns": np.empty(0, np.int64)}
    due = chunk["due_ns"]
    inside = (due >= start) & (due < end)
    return chunk if bool(inside.all()) else take(chunk, inside)
