"""The plan: what is to be sent when, as arrays, made chunk by chunk in constant memory.

A chunk is a dictionary of columns (those of the tape, and `due_ns`, `open_ns`, `source`, `clone`,
`lane`; of its connection `first`, `close`, `close_after`; `pace` scales pauses inside a request).
Stages are functions from an iterator of chunks to another: recorded order → selection →
time → (more load than was recorded) → this worker's shard. Due times are ns from the start of
the run and do not decrease. `lane` tells one recorded connection of one clone from every other;
`clone` is 0 for what was recorded, so a stage that clones sessions needs only to number them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.errors import ReplayError
from capture.exchange import NEVER
from capture.selector import asked_for, named
from shapes.chunks import Chunk, join, take

from ..options import PlanOptions
from .endings import Endings
from .more import Stage, more_load
from .silences import Silences

if TYPE_CHECKING:
    from capture.tape import Tape


CHUNK_ROWS = 2048
CHUNK_ROWS_AT_MAX = 8192
CHUNK_NS = 5_000_000_000
COLUMNS = (
    "connection", "position", "kind", "client", "session", "method", "endpoint", "target", "host",
    "content_type", "key", "opened_ns", "request_first_ns", "request_last_ns",
    "response_first_ns", "response_last_ns", "request_bytes", "head_bytes", "missing_bytes",
    "status", "defects", "ended", "flags", "request_kept", "pieces",
)  # fmt: skip
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
CLONE_SHIFT = 40
_MOST_CLONES = (1 << 30) - 1
_FURTHEST_NS = 1 << 61
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def plan_chunks(
    tape: Tape, options: PlanOptions, shard: int = 0, of: int = 1, more: Stage | None = None
) -> Iterator[Chunk]:
    """The plan of one shard of `of`, chunk by chunk. `more` may clone and move what is planned."""
    chunks = uncut(tape, options, COLUMNS, more)
    if of > 1:
        chunks = (take(chunk, shard_of(chunk["lane"], of) == shard) for chunk in chunks)
    for chunk in chunks:
        yield from _even(chunk) if options.at_max else _cut(chunk)


def uncut(
    tape: Tape, options: PlanOptions, columns: Sequence[str], more: Stage | None = None
) -> Iterator[Chunk]:
    """The plan with these columns, in chunks as large as its stages make them."""
    chunks = _laps(tape, options, columns)
    more = more or more_load(options, tape, lambda: _lap(tape, options, columns))
    if more is not None:
        chunks = more(chunks)
    if options.position:
        chunks = _from(chunks, options.position)
    return (_with_lanes(chunk) for chunk in chunks)


def rows_in(chunk: Chunk) -> int:
    """How many rows a chunk has."""
    return len(chunk["due_ns"])


def _laps(tape: Tape, options: PlanOptions, columns: Sequence[str]) -> Iterator[Chunk]:
    offset = 0
    for lap in range(options.loop):
        end = 0
        for chunk in _lap(tape, options, columns):
            chunk["clone"] += np.int32(lap & _MOST_CLONES)
            chunk["due_ns"] += offset
            chunk["open_ns"] += offset
            end = int(chunk["due_ns"][-1])
            yield chunk
        offset = end


def _from(chunks: Iterator[Chunk], position: int) -> Iterator[Chunk]:
    """What is due from a position on, which is the start of the run that goes on there."""
    for chunk in chunks:
        later = chunk["due_ns"] >= position
        if later.any():
            some = take(chunk, later)
            some["due_ns"] = some["due_ns"] - position
            some["open_ns"] = np.maximum(some["open_ns"] - position, 0)
            yield some


def _lap(tape: Tape, options: PlanOptions, columns: Sequence[str]) -> Iterator[Chunk]:
    first, last = tape.span_ns
    start = first + options.start
    ends = [last + 1]
    if options.end:
        ends.append(first + options.end)
    if options.length:
        ends.append(start + options.length)
    if (min(ends) - start) / options.speed > _FURTHEST_NS:
        raise ReplayError(f"--speed {options.speed:g}: the plan would outlast the clock.")
    laps = bool(options.soak or options.loop > 1)
    endings = Endings(tape, min([last, *ends] if laps else [_FURTHEST_NS, *ends[1:]]), laps)

    def selected() -> Iterator[Chunk]:
        blocks = tape.in_order(columns, start, min(ends), sound=COLUMNS)
        return (chunk for block in blocks if len((chunk := _select(block, options))["kind"]))

    silences = None
    if options.max_gap:
        times = (chunk["request_first_ns"] for chunk in selected())
        silences = Silences(times, start, options.max_gap)
    clock = _RecordedClock(start, options, endings, silences)
    chunks = (clock(chunk) for chunk in selected())
    if options.think == "keep" and not options.at_max and options.speed != 1:
        return _keep_think_times(chunks, options.speed)
    return chunks


class _RecordedClock:
    """Turns recorded times into due times: silences shortened, then divided by the speed."""

    def __init__(
        self, start: int, options: PlanOptions, endings: Endings, silences: Silences | None
    ) -> None:
        self._endings = endings
        self._silences = silences
        self._start = start
        keep = options.think == "keep"
        self._speed = 1.0 if options.at_max or keep else options.speed
        self._pace = 0.0 if options.at_max else 1 / self._speed

    def __call__(self, chunk: Chunk) -> Chunk:
        times = chunk["request_first_ns"]
        opened = np.where(chunk["opened_ns"] == NEVER, times, chunk["opened_ns"])
        after, chunk["close"] = self._endings.of(chunk["connection"], times)
        known = after != NEVER
        closed = self._shortened(times + after)
        times, opened = self._shortened(times), self._shortened(opened)
        chunk["due_ns"] = self._scaled(times)
        chunk["open_ns"] = np.minimum(self._scaled(opened), chunk["due_ns"])
        chunk["close_after"] = np.where(known, np.rint((closed - times) / self._speed), NEVER)
        chunk["close_after"] = chunk["close_after"].astype(np.int64)
        first = self._endings.first(chunk["connection"], chunk["position"])
        chunk["first"] = first.astype(np.int64)
        chunk["pace"] = np.full(len(times), self._pace)
        chunk["source"] = chunk.pop("exchange")
        chunk["clone"] = np.zeros(len(times), np.int32)
        return chunk

    def _shortened(self, times: Any) -> Any:
        return times - self._silences.left_out(times) if self._silences is not None else times

    def _scaled(self, times: Any) -> Any:
        since = times - self._start
        if self._speed == 1.0:
            return since
        return np.rint(since / self._speed).astype(np.int64)


def _keep_think_times(chunks: Iterator[Chunk], speed: float) -> Iterator[Chunk]:
    """Sessions start on the faster clock, but what is inside them keeps its recorded pauses.

    A row recorded at t is due no earlier than t·min(1, 1/speed), so a row may leave as soon as the
    input has passed that; what is held back meanwhile are the rows that overtaking has moved.
    """
    starts: dict[int, int] = {}
    held: list[tuple[int, int, Chunk]] = []
    number = 0
    for chunk in chunks:
        recorded = chunk["due_ns"]
        began = np.fromiter(
            (
                starts.setdefault(session, at)
                for session, at in zip(chunk["session"].tolist(), recorded.tolist(), strict=True)
            ),
            np.int64,
            len(recorded),
        )
        due = np.rint(began / speed).astype(np.int64) + recorded - began
        chunk["open_ns"] = due - (recorded - chunk["open_ns"])
        chunk["due_ns"] = due
        for row, at in enumerate(due.tolist()):
            heapq.heappush(held, (at, number, take(chunk, slice(row, row + 1))))
            number += 1
        passed = int(recorded[-1] * min(1.0, 1.0 / speed))
        if ready := _popped(held, passed):
            yield ready
    while ready := _popped(held, None):
        yield ready


def _popped(held: list[tuple[int, int, Chunk]], until: int | None) -> Chunk:
    rows: list[Chunk] = []
    while held and len(rows) < CHUNK_ROWS and (until is None or held[0][0] <= until):
        rows.append(heapq.heappop(held)[2])
    return join(rows) if rows else {}


def _select(block: Chunk, options: PlanOptions) -> Chunk:
    keep = (block["request_bytes"] > 0) & (block["request_first_ns"] >= 0)
    if options.only:
        keep &= _matches(block, options.only)
    if options.drop:
        keep &= ~_matches(block, options.drop)
    if options.read_only:
        safe = np.asarray([method in SAFE_METHODS for method in block["method"].values] or [False])
        keep &= safe[block["method"].codes]
    if options.sessions < 1:
        keep &= _share(block["session"]) < options.sessions
    return block if keep.all() else take(block, keep)


def _matches(block: Chunk, patterns: tuple[str, ...]) -> Any:
    """Rows whose endpoint, or whose very target, a pattern selects."""
    endpoint = block["endpoint"]
    hits = [any(named(name, each) for each in patterns) for name in endpoint.values] or [False]
    return np.asarray(hits)[endpoint.codes] | asked_for(block["method"], block["target"], patterns)


def _share(numbers: Any) -> Any:
    mixed = numbers.astype(np.uint64) * _GOLDEN
    return ((mixed ^ (mixed >> np.uint64(29))) * _GOLDEN >> np.uint64(11)) / float(1 << 53)


def _with_lanes(chunk: Chunk) -> Chunk:
    if "lane" not in chunk:
        clones = chunk["clone"].astype(np.int64) << CLONE_SHIFT
        chunk["lane"] = chunk["connection"].astype(np.int64) | clones
    return chunk


def shard_of(lanes: Any, of: int) -> Any:
    """Which of so many workers has each of these lanes."""
    return (lanes.astype(np.uint64) * _GOLDEN >> np.uint64(33)) % np.uint64(of)


def _cut(chunk: Chunk) -> Iterator[Chunk]:
    """Chunks of so many rows and so much time: what is sent slowly is booked as it goes, too."""
    due, start = chunk["due_ns"], 0
    while start < len(due):
        end = int(np.searchsorted(due, due[start] + CHUNK_NS, "right"))
        end = min(end, start + CHUNK_ROWS)
        yield take(chunk, slice(start, end))
        start = end


def _even(chunk: Chunk) -> Iterator[Chunk]:
    """Chunks of about as many rows each: where nothing is due, larger ones cost less a row."""
    rows = rows_in(chunk)
    parts = -(-rows // CHUNK_ROWS_AT_MAX)
    for part in range(parts):
        yield take(chunk, slice(rows * part // parts, rows * (part + 1) // parts))
