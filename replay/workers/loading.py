"""Loading: from chunks of the plan to batches, with the bytes of every request as it will be sent.

Most tapes hold plain requests of which at most the host is changed; then a batch is made from the
heaps of the tape as a whole (bulk.py), without a look at single requests. Where something has to
be done to single ones (pauses inside them, identities of clones, rules, several targets), each is
taken by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from capture.exchange import NEVER, Flag, Outcome
from shapes.chunks import Chunk, take

from ..handover.batch import NOT_DUE, RESULTS, TIMES, Bytes, Pieces, Written, method_codes
from ..handover.memory import Regions
from ..planning.openings import openings_of, rearranged
from ..planning.plan import rows_in
from ..planning.split import routes
from ..rewrite import Rewriter
from .bulk import Bulk, fill

if TYPE_CHECKING:
    from capture.tape import Tape

    from ..options import ReplayOptions

MAX_BATCH_BYTES = 2 << 20
_OF_PLAN = (
    "lane",
    "order_ns",
    "request_kept",
    "open_ns",
    "close_after",
    "close",
    "first",
    "fill",
    "pace",
)


class Made:
    """A batch that the sender has: the chunk of the plan, the shared memory, hashes of requests."""

    def __init__(
        self, chunk: Chunk, data: Bytes, regions: Regions, at_max: bool, led: bool
    ) -> None:
        self.chunk = chunk
        self._digests = _digests(data.blob, data.starts, data.sizes)
        self._whole = xxhash.xxh3_64_intdigest(data.blob)
        self.altered = 0
        planned = {**chunk, "method": method_codes(chunk["method"])}
        region = regions.take(Written.size(rows_in(chunk), data))
        self.written = Written(planned, data, region, at_max, led)

    def rows(self, start: int, offset: int, worker: int) -> Chunk:
        """As columns of a run; monotonic times become times since the epoch."""
        chunk, column = dict(self.chunk), self.written.column
        chunk["recorded_status"] = chunk["status"]
        answered = (chunk["response_last_ns"] != NEVER) & (chunk["request_first_ns"] != NEVER)
        chunk["recorded_service_ns"] = np.where(
            answered, chunk["response_last_ns"] - chunk["request_first_ns"], NEVER
        )
        for name in RESULTS:
            chunk[name] = column(name).copy()
        for name in TIMES:
            chunk[name] = np.where(chunk[name] == NEVER, NEVER, chunk[name] + offset)
        chunk["response_digest"] = chunk["response_digest"].view(np.uint64)
        chunk["due_ns"] = column("due_ns") + start
        chunk["opened_ns"] = chunk["open_ns"] + start
        chunk["request_digest"] = self._as_sent(chunk["request_first_ns"] != NEVER)
        chunk["request_bytes"] = np.maximum(column("size"), 0) + chunk["fill"]
        full = rows_in(chunk)
        chunk["worker"] = np.full(full, worker, np.uint16)
        chunk["flags"] = chunk["flags"] & ~np.uint32(Flag.CUT_BY_CAPTURE)
        chunk["pieces"] = np.zeros(full, np.int32)
        for name in _OF_PLAN:
            chunk.pop(name, None)
        return {name: _compact(values) for name, values in chunk.items()}

    def _as_sent(self, sent: Any) -> Any:
        """The digests of the requests as they stand where they were sent from.

        Shared memory is used again and again: that it still held the planned bytes when all were
        settled is looked at as a whole, and by request only where it did not.
        """
        with self.written.blob as blob:
            if xxhash.xxh3_64_intdigest(blob) == self._whole:
                return self._digests
        stored = self.written.stored
        with memoryview(self.written.region.map) as memory:
            found = _digests(memory, stored("at"), stored("size"))
        self.altered = int(np.count_nonzero(sent & (found != self._digests)))
        return found

    def book_unsent(self, now: int) -> None:
        """Nobody will send what was not sent, nor hear what was not answered.

        What had no due time yet gets `now`, in ns since due time 0.
        """
        due = self.written.stored("due_ns")
        due[due == NOT_DUE] = now
        outcome, known = self.written.stored("outcome"), self.written.column("outcome")
        sent = self.written.stored("request_first_ns")
        outcome[(known == 0) & (sent == NEVER)] = Outcome.UNSENT
        outcome[(known == 0) & (sent != NEVER)] = Outcome.ABANDONED


def _digests(blob: Any, starts: Any, sizes: Any) -> Any:
    digest = xxhash.xxh3_64_intdigest
    places = zip(starts.tolist(), (starts + np.maximum(sizes, 0)).tolist(), strict=True)
    return np.asarray([digest(blob[start:end]) for start, end in places], np.uint64)


def _compact(column: Any) -> Any:
    """A text column whose dictionary holds only what it uses: the rest need not travel."""
    if not hasattr(column, "codes"):
        return column
    used = np.flatnonzero(np.bincount(column.codes, minlength=1))
    place = np.zeros(len(column.values) or 1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    values = column.values
    return type(column)(place[column.codes], [values[code] for code in used.tolist()])


class Loader:
    """Makes the batches of one worker; `give_back` their memory when they are settled."""

    def __init__(self, tape: Tape, options: ReplayOptions, authorities: list[str]) -> None:
        self._tape = tape
        self._authorities = authorities
        self._split = options.split
        self._at_max = options.at_max
        self._openings = openings_of(options.connections)
        self.rewriter = Rewriter(options)
        self._bulk = Bulk(tape, self.rewriter, authorities[0]) if len(authorities) == 1 else None
        self._regions = Regions()
        self.give_back = self._regions.give_back

    def batches(self, chunks: Iterator[Chunk]) -> Iterator[Made]:
        """Chunks with their bytes; of several targets each gets each row, one after another.

        With a split, each row goes to one target alone: to that which its user has.
        """
        for whole in chunks:
            for chunk in _bounded(whole):
                rearranged(chunk, self._openings)
                data = self._bulk.load(chunk) if self._bulk is not None else None
                if data is None:
                    chunk, data = self._one_by_one(chunk)
                if not rows_in(chunk):
                    continue
                led = self._at_max and not self._openings.size
                yield Made(chunk, data, self._regions, self._at_max, led)

    def _one_by_one(self, chunk: Chunk) -> tuple[Chunk, Bytes]:
        payloads = list(self._tape.payloads(chunk["source"]))
        raw = _as_cloned(chunk, payloads, self.rewriter)
        kept = np.asarray([len(request or b"") for request in raw], np.int64)
        chunk["fill"] = fill(chunk, kept)
        heads = chunk["head_bytes"].tolist()
        rows, to = routes(chunk, len(self._authorities), self._split)
        requests = [
            None if (request := raw[row]) is None
            else self.rewriter(request, heads[row], self._authorities[target])
            for row, target in zip(rows, to.tolist(), strict=True)
        ]  # fmt: skip
        left = [
            place
            for place, row in enumerate(rows)
            if requests[place] is not None or raw[row] is None
        ]  # what a hook dropped is not planned
        if left != list(range(len(raw))):
            chunk = take(chunk, np.asarray(rows)[left])
            payloads, to = [payloads[rows[place]] for place in left], to[left]
            requests = [requests[place] for place in left]
        chunk["target_index"] = to
        return chunk, Bytes.of(requests, _pieces(chunk, payloads, requests))


def _as_cloned(chunk: Chunk, payloads: list[Any], rewrite: Rewriter) -> list[bytes | None]:
    """The bytes of each row, clones with their own identities; None where they are damaged."""
    raw = [None if each.damaged else each.request for each in payloads]
    identities = rewrite.identities
    if identities is None:
        return raw
    heads, clones = chunk["head_bytes"].tolist(), chunk["clone"].tolist()
    return [
        None if request is None else identities(request, head, clone)
        for request, head, clone in zip(raw, heads, clones, strict=True)
    ]


def _bounded(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk cut evenly so that what the tape holds of its requests fits a batch's memory."""
    sums = np.cumsum(chunk["request_kept"])
    if sums[-1] <= MAX_BATCH_BYTES:
        yield chunk
        return
    count = -(-sums[-1] // MAX_BATCH_BYTES)
    parts = (sums - 1) * count // sums[-1]
    for part in np.unique(parts):
        yield take(chunk, parts == part)


def _pieces(chunk: Chunk, payloads: list[Any], requests: list[bytes | None]) -> list[Pieces]:
    """Where the client paused, moved by what rewriting added before it, on the clock of the run."""
    found: list[Pieces] = []
    started = chunk["request_first_ns"].tolist()
    paces = chunk["pace"].tolist()
    for row, (payload, request) in enumerate(zip(payloads, requests, strict=True)):
        if not payload.pieces or not request:
            found.append(())
            continue
        moved = len(request) - len(payload.request)
        head = max(0, payload.request.find(b"\r\n\r\n"))
        found.append(
            tuple(
                (
                    offset + moved if offset > head else offset,
                    round((ns - started[row]) * paces[row]),
                )
                for offset, ns in payload.pieces
                if 0 < (offset + moved if offset > head else offset) < len(request)
            )
        )
    return found
