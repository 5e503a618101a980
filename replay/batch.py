"""A batch: a chunk of the plan with the bytes to send, and room for what becomes of them.

Results are written into preallocated arrays of the machine's own integers, so that the dispatch
path allocates nothing that lives on. Batches are made ahead by a thread, a bounded number of them,
so the loop never waits for the disk.
"""

from __future__ import annotations

import queue
import threading
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from capture.exchange import NEVER, Flag, Outcome

from .plan import Chunk, rows_in

if TYPE_CHECKING:
    from capture.tape import Tape

    from .rewrite import Rewriter

AHEAD = 8
FILLER = b"x" * 65536
RESULTS = (
    "request_first_ns", "request_last_ns", "response_first_ns", "response_last_ns", "status",
    "response_bytes", "outcome", "late_cause", "reuse", "connect_ns", "tls_ns",
)  # fmt: skip


class Batch:
    """Rows to send to one target. `open_rows` counts those whose fate is not known yet."""

    __slots__ = (
        "chunk", "digest", "due", "ended", "flags", "lane", "methods", "open_rows", "opened",
        "requests", "results", "sizes", "target",
    )  # fmt: skip

    def __init__(self, chunk: Chunk, requests: list[bytes | None], target: int = 0) -> None:
        rows = rows_in(chunk)
        self.chunk = chunk
        self.requests = requests
        self.target = target
        self.open_rows = rows
        self.due: list[int] = chunk["due_ns"].tolist()
        self.opened: list[int] = chunk["open_ns"].tolist()
        self.lane: list[int] = chunk["lane"].tolist()
        self.flags: list[int] = chunk["flags"].tolist()
        self.ended: list[int] = chunk["ended"].tolist()
        methods = chunk["method"].values
        self.methods: list[str] = [methods[code] for code in chunk["method"].codes.tolist()]
        never = array("q", [NEVER]) * rows
        zero = array("q", [0]) * rows
        self.results = {
            name: array("q", never if name.endswith("_ns") else zero) for name in RESULTS
        }
        self.digest = array("Q", [0]) * rows
        self.sizes = [len(request) if request is not None else 0 for request in requests]

    def rows(self, wall_start: int, offset: int, worker: int) -> dict[str, Any]:
        """The batch as columns of a run; monotonic times become times since the epoch."""
        chunk = dict(self.chunk)
        chunk["recorded_status"] = chunk["status"]
        answered = (chunk["response_last_ns"] != NEVER) & (chunk["request_first_ns"] != NEVER)
        chunk["recorded_service_ns"] = np.where(
            answered, chunk["response_last_ns"] - chunk["request_first_ns"], NEVER
        )
        for name, values in self.results.items():
            column = np.frombuffer(values, np.int64)
            if name.endswith("_ns") and name not in ("connect_ns", "tls_ns"):
                column = np.where(column == NEVER, NEVER, column + offset)
            chunk[name] = column
        chunk["response_digest"] = np.frombuffer(self.digest, np.uint64)
        chunk["due_ns"] = np.asarray(self.due, np.int64) + wall_start
        chunk["opened_ns"] = chunk.pop("open_ns") + wall_start
        chunk["request_digest"] = np.fromiter(
            (xxhash.xxh3_64_intdigest(request or b"") for request in self.requests),
            np.uint64, len(self.requests),
        )  # fmt: skip
        chunk["request_bytes"] = np.asarray(self.sizes, np.int64)
        full = len(self.due)
        chunk["target_index"] = np.full(full, self.target, np.uint8)
        chunk["worker"] = np.full(full, worker, np.uint16)
        for name in ("lane", "order_ns", "request_kept", "pieces", "flags"):
            chunk.pop(name, None)
        chunk["flags"] = np.asarray(self.flags, np.uint32) & ~np.uint32(Flag.CUT_BY_CAPTURE)
        chunk["pieces"] = np.zeros(full, np.int32)
        return chunk


def batches(
    chunks: Iterator[Chunk], tape: Tape, rewrite: Rewriter, authorities: list[str]
) -> Iterator[Batch]:
    """Chunks with their bytes, one batch a target, in order."""
    for chunk in chunks:
        heads = chunk["head_bytes"].tolist()
        sizes = chunk["request_bytes"].tolist()
        raw = [
            None if payload.damaged else payload.request
            for payload in tape.payloads(chunk["source"])
        ]
        whole = [
            _filled(request, size) if request is not None and size > len(request) else request
            for request, size in zip(raw, sizes, strict=True)
        ]
        for target, authority in enumerate(authorities):
            requests = [
                None if request is None else rewrite(request, head, authority)
                for request, head in zip(whole, heads, strict=True)
            ]
            yield Batch(chunk, requests, target)


def _filled(request: bytes, size: int) -> bytes:
    """A body that the capture cut, filled to its recorded length."""
    missing = size - len(request)
    return request + FILLER * (missing // len(FILLER)) + FILLER[: missing % len(FILLER)]


class Ahead:
    """Runs an iterator of batches in a thread, a bounded number ahead; its errors come out here."""

    def __init__(self, source: Iterator[Batch], ahead: int = AHEAD) -> None:
        self._queue: queue.Queue[Batch | BaseException | None] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(source,), daemon=True)
        self._thread.start()
        self.ended = False

    def _run(self, source: Iterator[Batch]) -> None:
        try:
            for batch in source:
                if not self._put(batch):
                    return
            self._put(None)
        except BaseException as failure:
            self._put(failure)

    def _put(self, item: Batch | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def next(self, wait: bool) -> Batch | None:
        """The next batch; None where there is none yet (or, with `ended`, none any more)."""
        if self.ended:
            return None
        try:
            item = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if item is None:
            self.ended = True
            return None
        if isinstance(item, BaseException):
            self.ended = True
            raise item
        return item

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5)


def unsent(batch: Batch) -> None:
    """Book what is still open in a batch as never sent."""
    outcomes = batch.results["outcome"]
    for row, outcome in enumerate(outcomes):
        if outcome == 0:
            outcomes[row] = Outcome.UNSENT
            batch.open_rows -= 1
