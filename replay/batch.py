"""A batch: a part of the plan in memory that two processes share, with room for what becomes of it.

The feeder reads, rewrites and hashes; the sender only sends. Neither shares an interpreter with the
other, so nothing that is slow can hold up a due time. Between them a batch is one piece of shared
memory: a table of int64 columns (the plan, then the results), a table of pieces, then the bytes.
Results are written in place, so what was sent is known even if the sender dies.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np

from capture.exchange import NEVER

from .plan import Chunk, rows_in

PLANNED = (
    "due_ns", "open_ns", "close_after", "close", "first", "lane", "client", "flags", "ended",
    "method", "target_index", "at", "size", "fill", "pieces_at", "pieces",
)  # fmt: skip
TIMES = ("request_first_ns", "request_last_ns", "response_first_ns", "response_last_ns")
RESULTS = (
    *TIMES, "connect_ns", "tls_ns", "status", "response_bytes", "outcome", "late_cause", "reuse",
    "response_digest",
)  # fmt: skip
COLUMNS = (*PLANNED, *RESULTS)
OTHER, HEAD, CONNECT = range(3)
_METHODS = {"HEAD": HEAD, "CONNECT": CONNECT}
Pieces = tuple[tuple[int, int], ...]


def method_codes(column: Any) -> Any:
    """HEAD and CONNECT as numbers: the two methods whose answers are framed differently."""
    codes = np.asarray([_METHODS.get(value, OTHER) for value in column.values] or [OTHER], np.int64)
    return codes[column.codes]


class Written:
    """A batch as the feeder makes it: `fd` is the memory, `table` its columns as one array."""

    def __init__(self, chunk: Chunk, requests: list[bytes | None], pieces: list[Pieces]) -> None:
        rows = rows_in(chunk)
        sizes = [-1 if request is None else len(request) for request in requests]
        blob = b"".join(request or b"" for request in requests)
        flat = [number for each in pieces for piece in each for number in piece]
        ints = len(COLUMNS) * rows + len(flat)
        self.rows, self.pieces = rows, len(flat) // 2
        self.fd = _memory(ints * 8 + len(blob))
        self._map = mmap.mmap(self.fd, ints * 8 + len(blob))
        self.table = np.frombuffer(self._map, np.int64, len(COLUMNS) * rows).reshape(-1, rows)
        planned = {**chunk, "size": sizes, "at": np.cumsum([0, *np.maximum(sizes, 0)[:-1]])}
        counts = [len(each) for each in pieces]
        planned["pieces"] = counts
        planned["pieces_at"] = np.cumsum([0, *counts[:-1]]) if rows else []
        for place, name in enumerate(COLUMNS):
            if name in PLANNED:
                values = np.asarray(planned[name])
                signed = values.view(np.int64) if values.dtype == np.uint64 else values
                self.table[place] = signed
            else:
                self.table[place] = NEVER if name.endswith("_ns") else 0
        np.frombuffer(self._map, np.int64, len(flat), len(COLUMNS) * rows * 8)[:] = flat
        self._map[ints * 8 :] = blob

    def column(self, name: str) -> Any:
        """One column, as it is now."""
        return self.table[COLUMNS.index(name)]


def _memory(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("wiretape-batch")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, max(8, size))
    return fd


class Batch:
    """A batch as the sender sees it. `open_rows` counts those whose fate is not known yet."""

    __slots__ = (
        "_at", "_bytes", "_memory", "_pieces", "client", "close", "close_after", "due", "ended",
        "fill", "first", "flags", "lane", "methods", "number", "open_rows", "opened", "piece_count",
        "pieces_at", "results", "rows", "sizes", "targets",
    )  # fmt: skip

    def __init__(self, fd: int, number: int, rows: int, pieces: int) -> None:
        populate = getattr(mmap, "MAP_POPULATE", 0)
        self._memory = mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | populate)
        self.number, self.rows, self.open_rows = number, rows, rows
        ints = memoryview(self._memory)[: (len(COLUMNS) * rows + 2 * pieces) * 8].cast("q")
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
        self._at = by_name["at"]
        self._pieces = ints[len(COLUMNS) * rows :]
        self._bytes = len(ints) * 8
        self.results = {name: by_name[name] for name in RESULTS}
        digest = by_name["response_digest"].cast("B").cast("Q")
        self.results["response_digest"] = digest

    def request(self, row: int) -> bytes:
        """The bytes to send."""
        start = self._bytes + self._at[row]
        return self._memory[start : start + self.sizes[row]]

    def pieces(self, row: int) -> list[tuple[int, int]]:
        """(offset, ns after the first byte) of the pieces that follow a pause."""
        start = self.pieces_at[row] * 2
        numbers = self._pieces[start : start + self.piece_count[row] * 2].tolist()
        return list(zip(numbers[::2], numbers[1::2], strict=True))
