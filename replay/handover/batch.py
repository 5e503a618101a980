"""A batch: a part of the plan in memory that two processes share, with room for what becomes of it.

The feeder reads, rewrites and hashes; the sender only sends. Neither shares an interpreter with the
other, so nothing that is slow can hold up a due time. Between them a batch is one region of shared
memory: a table of int64 columns (the plan, then the results), a table of pieces, then the bytes.
Results are written in place, so what was sent is known even if the sender dies.

A result is written by as few stores as will do: `answer` holds status and size in one number, and a
row that has one and no outcome was answered; a time that was not written is that beside it; a row
that has no other word on it used its connection again; at full speed a row was due when it was
sent. `Written.column` gives the columns as they are meant.
"""

from __future__ import annotations

import mmap
from typing import Any, Final

import numpy as np

from capture.exchange import NEVER, Flag, Outcome, RequestEnd, Reuse
from shapes.chunks import Chunk

from ..planning.plan import rows_in
from .memory import Region

PLANNED = (
    "due_ns", "open_ns", "close_after", "close", "first", "lane", "client", "flags", "ended",
    "method", "target_index", "at", "size", "fill", "pieces_at", "pieces", "plain", "following",
    "led",
)  # fmt: skip
TIMES = ("request_first_ns", "request_last_ns", "response_first_ns", "response_last_ns")
STORED = (
    *TIMES, "connect_ns", "tls_ns", "answer", "outcome", "late_cause", "reuse", "response_digest",
)  # fmt: skip
RESULTS = (*(name for name in STORED if name != "answer"), "status", "response_bytes")
COLUMNS = (*PLANNED, *STORED)
STATUS_BITS: Final = 16
OTHER: Final = 0
HEAD: Final = 1
CONNECT: Final = 2
HALF_CLOSED: Final = 16
"""What `ended` says, beside the ends of `RequestEnd`, of a whole request after which the client
closed its side and waited for the answer."""
_METHODS = {"HEAD": HEAD, "CONNECT": CONNECT}
_PLACES = {name: place for place, name in enumerate(COLUMNS)}
_SAME = {"request_last_ns": "request_first_ns", "response_first_ns": "response_last_ns"}
NOT_DUE: Final = 1 << 61
Pieces = tuple[tuple[int, int], ...]


def method_codes(column: Any) -> Any:
    """HEAD and CONNECT as numbers: the two methods whose answers are framed differently."""
    codes = np.asarray([_METHODS.get(value, OTHER) for value in column.values] or [OTHER], np.int64)
    return codes[column.codes]


class Bytes:
    """The requests of a batch, one after another; `sizes` has -1 where there is none to send."""

    __slots__ = ("blob", "pieces", "sizes")

    def __init__(self, blob: bytes, sizes: Any, pieces: list[Pieces] | None = None) -> None:
        self.blob, self.sizes, self.pieces = blob, sizes, pieces

    @classmethod
    def of(cls, requests: list[bytes | None], pieces: list[Pieces]) -> Bytes:
        """From each request by itself."""
        sizes = np.asarray([-1 if each is None else len(each) for each in requests], np.int64)
        blob = b"".join(request or b"" for request in requests)
        return cls(blob, sizes, pieces if any(pieces) else None)

    @property
    def starts(self) -> Any:
        """Where each begins in `blob`."""
        ends = np.cumsum(np.maximum(self.sizes, 0))
        return np.concatenate(([0], ends[:-1]))


def _plain(planned: Chunk) -> Any:
    """Which requests are sent whole, in one piece, and answered as most are."""
    plain = (planned["size"] > 0) & (planned["pieces"] == 0) & (planned["fill"] == 0)
    return plain & (planned["method"] == OTHER) & (planned["ended"] == 0)


def _next_of_connection(chunk: Chunk, plain: Any) -> tuple[Any, Any]:
    """(`following`, `led`): for each row the next one of its connection, and whether it is such.

    Only rows that are plain (a whole request in one piece) follow and are followed; -1 for none.
    """
    rows = len(plain)
    after, led = np.full(rows, -1, np.int64), np.zeros(rows, np.int64)
    order = np.lexsort((np.arange(rows), chunk["target_index"], chunk["lane"]))
    first, second = order[:-1], order[1:]
    joined = plain[first] & plain[second]
    for name in ("lane", "target_index"):
        joined &= chunk[name][first] == chunk[name][second]
    after[first[joined]] = second[joined]
    led[second[joined]] = 1
    return after, led


class Written:
    """A batch as the feeder makes it, in a region of shared memory."""

    start = 0  # due time 0 on the monotonic clock, once it is known

    def __init__(self, chunk: Chunk, data: Bytes, region: Region, at_max: bool, led: bool) -> None:
        rows = rows_in(chunk)
        self.at_max = at_max
        pieces = data.pieces or ()
        flat = [number for each in pieces for piece in each for number in piece]
        ints = len(COLUMNS) * rows + len(flat)
        self.rows, self.pieces, self.region = rows, len(flat) // 2, region
        self.table = np.frombuffer(region.map, np.int64, len(COLUMNS) * rows).reshape(-1, rows)
        counts = np.asarray([len(each) for each in pieces], np.int64) if pieces else 0
        at = data.starts + 8 * ints
        planned: Chunk = {**chunk, "size": data.sizes, "at": at, "pieces": counts}
        planned["pieces_at"] = np.cumsum(counts) - counts if pieces else 0
        half = (chunk["ended"] == 0) & (chunk["flags"] & np.uint32(Flag.HALF_CLOSED) != 0)
        planned["ended"] = np.where(half, HALF_CLOSED, chunk["ended"])
        planned["plain"] = plain = _plain(planned)
        planned["following"], planned["led"] = NEVER, 0
        if led:
            planned["following"], planned["led"] = _next_of_connection(planned, plain)
        self.table[len(PLANNED) :] = 0
        for name in STORED:
            if name.endswith("_ns"):
                self.table[_PLACES[name]] = NEVER
        self.table[_PLACES["reuse"]] = Reuse.REUSED
        for place, name in enumerate(PLANNED):
            values = planned[name]
            unsigned = getattr(values, "dtype", None) == np.uint64
            self.table[place] = values.view(np.int64) if unsigned else values
        if at_max:
            self.table[_PLACES["open_ns"]] = self.table[_PLACES["due_ns"]]
            self.table[_PLACES["due_ns"]] = NOT_DUE
        np.frombuffer(region.map, np.int64, len(flat), len(COLUMNS) * rows * 8)[:] = flat
        self._blob = slice(ints * 8, ints * 8 + len(data.blob))
        region.map[self._blob] = data.blob

    @staticmethod
    def size(rows: int, data: Bytes) -> int:
        """The bytes that it takes."""
        pieces = sum(len(each) for each in data.pieces or ())
        return (len(COLUMNS) * rows + 2 * pieces) * 8 + len(data.blob)

    @property
    def blob(self) -> memoryview:
        """The bytes of all requests as they are in memory, whence they are sent."""
        return memoryview(self.region.map)[self._blob]

    def stored(self, name: str) -> Any:
        """One column as it is in memory, to be read or changed."""
        return self.table[_PLACES[name]]

    def column(self, name: str) -> Any:
        """One column as it is meant now. The outcome is written last by who writes all."""
        if name == "outcome":
            outcome, answered = self.stored("outcome"), self.stored("answer") != 0
            return np.where((outcome == 0) & answered, int(Outcome.ANSWERED), outcome)
        if name == "status":
            return self.stored("answer") & ((1 << STATUS_BITS) - 1)
        if name == "response_bytes":
            return self.stored("answer") >> STATUS_BITS
        if name in _SAME:
            times, other = self.stored(name), self.stored(_SAME[name])
            whole = (times == NEVER) & (self.stored("answer") != 0) & (self.stored("outcome") == 0)
            return np.where(whole, other, times)
        if name == "due_ns" and self.at_max:
            sent = self.stored("request_first_ns")
            return np.where(sent == NEVER, self.stored("due_ns"), sent - self.start)
        if name == "reuse":
            unsent = self.stored("request_first_ns") == NEVER
            reuse = self.stored("reuse")
            return np.where(unsent & (reuse == Reuse.REUSED), int(Reuse.FRESH), reuse)
        return self.stored(name)


class Batch:
    """A batch as the sender sees it. `open_rows` counts those whose fate is not known yet.

    Where answers set the pace, rows up to `reached` may be sent; a row that is `led` is sent when
    the one before it on its connection was answered, and `parked` has those whose turn came before
    they were reached.
    """

    __slots__ = (
        "_at", "_leading", "_led", "_memory", "_pieces", "answer", "answered_first",
        "answered_last", "client", "close", "close_after", "connect", "digest", "due", "ended",
        "fill", "first", "flags", "following", "lane", "late_cause", "methods", "number",
        "open_rows", "opened", "outcome", "outgoing", "parked", "piece_count", "pieces_at",
        "plain", "quick", "reached", "reuse", "rows", "sent_first", "sent_last", "sizes",
        "targets", "tls",
    )  # fmt: skip

    def __init__(self, memory: mmap.mmap, number: int, rows: int, pieces: int) -> None:
        self._memory = memory
        self.number, self.rows, self.open_rows = number, rows, rows
        ints = memoryview(memory)[: (len(COLUMNS) * rows + 2 * pieces) * 8].cast("q")
        by_name = {
            name: ints[place * rows : (place + 1) * rows] for place, name in enumerate(COLUMNS)
        }
        self.due = by_name["due_ns"]
        self.opened = by_name["open_ns"]
        self.close_after = by_name["close_after"]
        self.close = by_name["close"]
        self.first = by_name["first"]
        self.lane = by_name["lane"]
        self.client = by_name["client"]
        self.flags = by_name["flags"]
        self.ended = by_name["ended"]
        self.methods = by_name["method"]
        self.sizes = by_name["size"]
        self.targets = by_name["target_index"]
        self.fill = by_name["fill"]
        self.piece_count = by_name["pieces"]
        self.pieces_at = by_name["pieces_at"]
        self._pieces = ints[len(COLUMNS) * rows :]
        self._at = by_name["at"]
        self.sent_first = by_name["request_first_ns"]
        self.sent_last = by_name["request_last_ns"]
        self.answered_first = by_name["response_first_ns"]
        self.answered_last = by_name["response_last_ns"]
        self.connect = by_name["connect_ns"]
        self.tls = by_name["tls_ns"]
        self.answer = by_name["answer"]
        self.outcome = by_name["outcome"]
        self.late_cause = by_name["late_cause"]
        self.reuse = by_name["reuse"]
        self.digest = by_name["response_digest"].cast("B").cast("Q")
        self._led = by_name["led"]
        self._leading: list[int] = []
        self.reached = 0
        self.parked: set[int] = set()
        self.plain = by_name["plain"]
        self.following: Any = by_name["following"]
        self.outgoing: tuple[Any, ...] = (memory, self._at, self.sizes, self.sent_first)
        self.quick: tuple[Any, ...] = ()
        self._quicken()

    def _quicken(self) -> None:
        self.quick = (self.following, self.answered_last, self.answer, self.digest)

    def hasten(self) -> None:
        """Get ready for being sent as fast as answers come: lists are read faster than columns."""
        self._leading = np.flatnonzero(np.asarray(self._led) == 0)[::-1].tolist()
        self.following = self.following.tolist()
        at, sizes = self._at.tolist(), self.sizes.tolist()
        self.outgoing = (self._memory, at, sizes, self.sent_first)
        self._quicken()

    def cut_off(self, row: int) -> bool:
        """Whether the recorded request has no end."""
        return self.ended[row] not in (RequestEnd.COMPLETE, HALF_CLOSED)

    def turn(self) -> list[int]:
        """The rows before `reached` that no other row will lead to, each once."""
        rows, leading, reached = [], self._leading, self.reached
        while leading and leading[-1] < reached:
            rows.append(leading.pop())
        if parked := self.parked:
            mine = [row for row in parked if row < reached]
            parked.difference_update(mine)
            rows = sorted(rows + mine)
        return rows

    def request(self, row: int) -> bytes:
        """The bytes to send."""
        start = self._at[row]
        return self._memory[start : start + self.sizes[row]]

    def pieces(self, row: int) -> list[tuple[int, int]]:
        """(offset, ns after the first byte) of the pieces that follow a pause."""
        start = self.pieces_at[row] * 2
        numbers = self._pieces[start : start + self.piece_count[row] * 2].tolist()
        return list(zip(numbers[::2], numbers[1::2], strict=True))
