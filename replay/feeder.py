"""The feeder: plans, reads and rewrites ahead of the sender, and books what became of each batch.

It keeps a bounded number of batches ahead, each bounded in bytes, and gives way to the sender where
they share a core. If the sender dies, what it had sent is still in the shared memory; the rest of
its share is booked as unsent.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from capture.exchange import NEVER, Flag, Outcome

from .batch import RESULTS, TIMES, Pieces, Written, method_codes
from .channel import (
    BEGUN,
    CONNECTION,
    COUNT,
    SETTLED,
    STOPPED,
    heard,
    offer,
    offer_end,
    offer_start,
)
from .observe.glance import Glancer
from .options import ReplayOptions
from .plan import Chunk, plan_chunks, rows_in, take
from .priority import give_way
from .rewrite import Rewriter
from .split import routes

if TYPE_CHECKING:
    from capture.tape import Tape

AHEAD = 6
MAX_BATCH_BYTES = 8 << 20
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
Emit = Callable[[tuple[str, Any]], None]


class Made:
    """A batch that the sender has: the chunk of the plan, the shared memory, hashes of requests."""

    def __init__(self, chunk: Chunk, requests: list[bytes | None], pieces: list[Pieces]) -> None:
        self.chunk = chunk
        self.digests = [xxhash.xxh3_64_intdigest(request or b"") for request in requests]
        planned = {**chunk, "method": method_codes(chunk["method"])}
        self.written = Written(planned, requests, pieces)

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
        chunk["request_digest"] = np.asarray(self.digests, np.uint64)
        chunk["request_bytes"] = np.maximum(column("size"), 0) + chunk["fill"]
        full = rows_in(chunk)
        chunk["worker"] = np.full(full, worker, np.uint16)
        chunk["flags"] = chunk["flags"] & ~np.uint32(Flag.CUT_BY_CAPTURE)
        chunk["pieces"] = np.zeros(full, np.int32)
        for name in _OF_PLAN:
            chunk.pop(name, None)
        return {name: _compact(values) for name, values in chunk.items()}


def _compact(column: Any) -> Any:
    """A text column whose dictionary holds only what it uses: the rest need not travel."""
    if not hasattr(column, "codes"):
        return column
    used, codes = np.unique(column.codes, return_inverse=True)
    values = [column.values[code] for code in used.tolist()]
    return type(column)(codes.astype(np.int32), values)


def batches(
    chunks: Iterator[Chunk], tape: Tape, rewrite: Rewriter, authorities: list[str], split: float = 0
) -> Iterator[Made]:
    """Chunks with their bytes; of several targets each gets each row, one after another.

    With a split, each row goes to one target alone: to that which its user has.
    """
    for whole in chunks:
        for chunk in _bounded(whole):
            payloads = list(tape.payloads(chunk["source"]))
            raw = _as_cloned(chunk, payloads, rewrite)
            kept = np.asarray([len(request or b"") for request in raw], np.int64)
            chunk["fill"] = np.where(kept > 0, np.maximum(chunk["request_bytes"] - kept, 0), 0)
            heads = chunk["head_bytes"].tolist()
            rows, to = routes(chunk, len(authorities), split)
            requests = [
                None if (request := raw[row]) is None
                else rewrite(request, heads[row], authorities[target])
                for row, target in zip(rows, to.tolist(), strict=True)
            ]  # fmt: skip
            if len(rows) > len(raw):
                chunk = take(chunk, np.asarray(rows))
                payloads = [payloads[row] for row in rows]
            chunk["target_index"] = to
            yield Made(chunk, requests, _pieces(chunk, payloads, requests))


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
    """A chunk cut so that what the tape holds of its requests fits the memory of a batch."""
    sums = np.cumsum(chunk["request_kept"])
    if sums[-1] <= MAX_BATCH_BYTES:
        yield chunk
        return
    parts = sums // MAX_BATCH_BYTES
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


class Feeder:
    """Feeds one sender through `end` and emits the rows of what it settles."""

    def __init__(
        self, end: socket.socket, source: Iterator[Made], emit: Emit, worker: int, watched: bool
    ) -> None:
        self._end = end
        self._source = source
        self._emit = emit
        self._worker = worker
        self._live: dict[int, Made] = {}
        self._number = self._ahead = 0
        self._fed = False
        self._wires: list[tuple[int, ...]] = []
        self._first: Made | None = None
        self._times = (0, 0)
        self._glancer = Glancer(emit, worker) if watched else None
        self.stopped_at = NEVER

    def prepare(self) -> None:
        """Make the first batch, which is what takes time before the first request."""
        self._first = next(self._source, None)

    def run(self, start: int, offset: int) -> None:
        """Feed until the sender has gone. `start` is due time 0 since the epoch."""
        self._times = (start, offset)
        offer_start(self._end, start - offset)
        if self._glancer is not None:
            self._glancer.start = start - offset
        if self._first is not None:
            self._hand_over(self._first)
        give_way()
        while True:
            if not self._fed and self._ahead < AHEAD:
                self._feed()
            wait: float | None = None if self._fed or self._ahead >= AHEAD else 0
            if self._glancer is not None:
                self._glancer.look(self._live)
                wait = self._glancer.patience_s if wait is None else wait
            if select.select([self._end], [], [], wait)[0]:
                told = heard(self._end)
                if told is None:
                    break
                self._take(*told)
        self._finish()

    def _feed(self) -> None:
        try:
            made = next(self._source)
        except StopIteration:
            self._fed = True
            self._offer(None)
            return
        self._hand_over(made)

    def _hand_over(self, made: Made) -> None:
        self._live[self._number] = made
        self._offer(made)
        self._number += 1
        self._ahead += 1

    def _offer(self, made: Made | None) -> None:
        try:
            if made is None:
                offer_end(self._end)
            else:
                offer(self._end, self._number, made.written)
        except (BrokenPipeError, ConnectionResetError):
            self._fed = True

    def _take(self, what: bytes, numbers: tuple[int, ...]) -> None:
        if what == BEGUN:
            self._ahead -= 1
        elif what == SETTLED:
            self._settle(numbers[0])
        elif what == COUNT:
            self._emit(("count", (self._worker, *numbers[:3])))
        elif what == CONNECTION:
            self._wires.append(numbers)
        elif what == STOPPED:
            self.stopped_at = numbers[0]
            self._fed = True

    def _settle(self, number: int) -> None:
        made = self._live.pop(number)
        if self._glancer is not None:
            self._glancer.settled(number, made, self.stopped_at)
        rows = made.rows(*self._times, self._worker)
        if self.stopped_at != NEVER:
            rows = take(rows, self._was_due(rows))
        if rows_in(rows):
            self._emit(("rows", (number, rows)))
        if self._wires:
            self._emit(("connections", self._connections()))

    def _was_due(self, rows: Chunk) -> Any:
        until = self.stopped_at + self._times[1]
        return (rows["due_ns"] < until) | (rows["request_first_ns"] != NEVER)

    def _connections(self) -> dict[str, Any]:
        table = np.asarray(self._wires, np.int64).T
        self._wires = []
        lane, client, opened, closed, close, sent, received, exchanges = table
        return {
            "connection": lane, "client": client.view(np.uint64),
            "opened_ns": opened + self._times[1],
            "closed_ns": np.where(closed == NEVER, NEVER, closed + self._times[1]),
            "open_seen": np.ones(len(lane), np.uint8), "close": close,
            "client_bytes": sent, "server_bytes": received, "exchanges": exchanges,
        }  # fmt: skip

    def _finish(self) -> None:
        """The sender has gone: what it had not settled, and what it never got, was not sent."""
        for number in list(self._live):
            _book_unsent(self._live[number])
            self._settle(number)
        if self.stopped_at == NEVER:
            for made in self._source:
                os.close(made.written.fd)
                _book_unsent(made)
                self._live[self._number] = made
                self._settle(self._number)
                self._number += 1
        if self._wires:
            self._emit(("connections", self._connections()))
        if self._glancer is not None:
            self._glancer.end()


def _book_unsent(made: Made) -> None:
    outcomes, sent = made.written.column("outcome"), made.written.column("request_first_ns")
    outcomes[(outcomes == 0) & (sent == NEVER)] = Outcome.UNSENT
    outcomes[outcomes == 0] = Outcome.ABANDONED


def unsent_rows(
    tape_path: str, options: ReplayOptions, shard: int, of: int, start: int
) -> Iterator[tuple[int, Chunk]]:
    """A whole shard as never sent, batch by batch: for a worker that died without a word."""
    from capture.tape import Tape

    from .targets import targets_of

    authorities = [target.authority for target in targets_of(options)]
    with Tape.open(tape_path) as tape:
        source = batches(
            plan_chunks(tape, options, shard, of),
            tape,
            Rewriter(options),
            authorities,
            options.split,
        )
        for number, made in enumerate(source):
            os.close(made.written.fd)
            _book_unsent(made)
            yield number, made.rows(start, 0, shard)
