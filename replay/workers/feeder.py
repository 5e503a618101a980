"""The feeder: plans, reads and rewrites ahead of the sender, and books what became of each batch.

It keeps a bounded number of batches ahead, each bounded in bytes, and gives way to the sender where
they share a core. If the sender dies, what it had sent is still in the shared memory; the rest of
its share is booked as unsent.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from capture.exchange import NEVER
from shapes.chunks import Chunk, take

from ..handover.batch import NOT_DUE
from ..handover.channel import (
    BEGUN,
    CONNECTION,
    COUNT,
    SETTLED,
    STOPPED,
    heard,
    offer,
    offer_end,
    offer_less,
    offer_silent,
    offer_start,
)
from ..keeping import Kept, read_kept
from ..observe.glance import Glancer
from ..options import ReplayOptions
from ..planning.plan import plan_chunks, rows_in
from ..planning.silent import Silent
from .loading import Loader, Made
from .priority import give_way

LEAST_AHEAD, AHEAD = 3, 32
AHEAD_BYTES = 24 << 20
"""So much may be ready for the sender: enough for a burst during which nobody else gets a core."""
AHEAD_BYTES_AT_MAX = 12 << 20
"""Where answers set the pace there are no bursts."""
Emit = Callable[[tuple[str, Any]], None]


class Feeder:
    """Feeds one sender through `end` and emits the rows of what it settles."""

    def __init__(
        self,
        end: socket.socket,
        loader: Loader,
        chunks: Iterator[Chunk],
        emit: Emit,
        worker: int,
        options: ReplayOptions,
        silent: list[Silent],
    ) -> None:
        self._end = end
        self._loader = loader
        self._source = loader.batches(chunks)
        self._emit = emit
        self._worker = worker
        self._live: dict[int, Made] = {}
        self._number = 0
        self._ahead: deque[int] = deque()  # the sizes of what the sender has not begun
        self._most_ahead = AHEAD_BYTES_AT_MAX if options.at_max else AHEAD_BYTES
        self._fed = False
        self._silent = deque(silent)
        self._wires: list[tuple[int, ...]] = []
        self._first: Made | None = None
        self._times = (0, 0)
        self._soaks = bool(options.soak)
        self._gives_way = not options.realtime  # else the sender goes first in any case
        self._glancer = Glancer(emit, worker) if options.watched else None
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
        if self._gives_way:
            give_way()
        while True:
            hungry = not self._fed and self._has_room()
            if hungry:
                self._feed()
            wait: float | None = 0 if hungry and not self._fed else None
            if self._glancer is not None:
                self._glancer.look(self._live)
                wait = self._glancer.patience_s if wait is None else wait
            if select.select([self._end], [], [], wait)[0]:
                told = heard(self._end)
                if told is None:
                    break
                self._take(*told)
        self._finish()

    def _has_room(self) -> bool:
        few = len(self._ahead) < LEAST_AHEAD
        return few or (len(self._ahead) < AHEAD and sum(self._ahead) < self._most_ahead)

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
        made.written.start = self._times[0] - self._times[1]
        self._offer(made)
        self._number += 1
        self._ahead.append(made.written.region.size)

    def _offer(self, made: Made | None) -> None:
        try:
            until = NOT_DUE if made is None else int(made.chunk["due_ns"].max())
            while self._silent and self._silent[0].opened <= until:
                offer_silent(self._end, self._silent.popleft())
            if made is None:
                offer_end(self._end)
            else:
                offer(self._end, self._number, made.written)
        except (BrokenPipeError, ConnectionResetError):
            self._fed = True

    def _take(self, what: bytes, numbers: tuple[int, ...], fd: int) -> None:
        if what == BEGUN:
            self._ahead.popleft()
        elif what == SETTLED:
            self._settle(numbers[0], read_kept(fd) if fd >= 0 else [])
        elif what == COUNT:
            self._emit(("count", (self._worker, *numbers[:3])))
        elif what == CONNECTION:
            self._wires.append(numbers)
        elif what == STOPPED:
            self.stopped_at = numbers[0]
            self._fed = True

    def _settle(self, number: int, kept: list[Kept] | None = None) -> None:
        made = self._live.pop(number)
        if self._glancer is not None:
            self._glancer.settled(number, made, self.stopped_at)
        rows = made.rows(*self._times, self._worker)
        if made.altered:
            self._emit(("altered", made.altered))
        if self.stopped_at != NEVER:
            was_due = self._was_due(rows)
            rows, places = take(rows, was_due), np.cumsum(was_due) - 1
            kept = [(int(places[row]), head, data) for row, head, data in kept or ()]
        if kept:
            self._emit(("kept", (number, kept)))
        if rows_in(rows):
            self._emit(("rows", (number, rows)))
        if self._wires:
            self._emit(("connections", self._connections()))
        self._reuse(made)

    def _reuse(self, made: Made) -> None:
        unused = self._loader.give_back(made.written.region)
        if unused and self.stopped_at == NEVER and not self._fed:
            try:
                offer_less(self._end, unused)
            except (BrokenPipeError, ConnectionResetError):
                self._fed = True

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
        """The sender has gone: what it had not settled, and what it never got, was not sent.

        Of a soak only what was due by now is booked so: days to come are none of its run.
        """
        if self._soaks and self.stopped_at == NEVER and (self._live or not self._fed):
            self.stopped_at = time.monotonic_ns()
        now = time.monotonic_ns() - (self._times[0] - self._times[1])
        for number in list(self._live):
            self._live[number].book_unsent(now)
            self._settle(number)
        if self.stopped_at == NEVER:
            for made in self._source:
                made.book_unsent(now)
                self._live[self._number] = made
                self._settle(self._number)
                self._number += 1
        if self._wires:
            self._emit(("connections", self._connections()))
        if self._glancer is not None:
            self._glancer.end()


def unsent_rows(
    tape_path: str, options: ReplayOptions, shard: int, of: int, start: int
) -> Iterator[tuple[int, Chunk]]:
    """A whole shard as never sent, batch by batch: for a worker that died without a word."""
    from capture.tape import Tape

    from ..targets import targets_of

    authorities = [target.authority for target in targets_of(options)]
    with Tape.open(tape_path) as tape:
        loader = Loader(tape, options, authorities)
        for number, made in enumerate(loader.batches(plan_chunks(tape, options, shard, of))):
            made.book_unsent(time.time_ns() - start)
            yield number, made.rows(start, 0, shard)
            loader.give_back(made.written.region)
