"""The requests of a chunk as a whole: cut from the heaps of the tape, their hosts changed at once.

What this gives is, to the byte, what reading and rewriting each request by itself gives; where it
cannot be sure of that it gives nothing, and the caller does so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from capture.exchange import Flag
from shapes.chunks import Chunk

from ..handover.batch import Bytes
from ..planning.plan import rows_in
from ..rewrite import Rewriter

if TYPE_CHECKING:
    from capture.tape import Tape

_CACHED = 3
_HOST = b"\nHost: "
Heap = tuple[bytes, Any, Any]
"""The heap of a block, and where in it each request lies and how long it is."""


def fill(chunk: Chunk, kept: Any) -> Any:
    """How much of each body the capture cut, to be filled.

    One that sanitizing made shorter (a compressed body, closed again) is whole as it is.
    """
    cut = (kept > 0) & ((chunk["flags"] & np.uint32(Flag.RESIZED)) == 0)
    return np.where(cut, np.maximum(chunk["request_bytes"] - kept, 0), 0)


class Bulk:
    """Loads chunks for one target."""

    def __init__(self, tape: Tape, rewriter: Rewriter, authority: str) -> None:
        self._tape = tape
        self._rewriter = rewriter
        self._host = rewriter.host_alone(authority)
        self._blocks = [n for n, block in enumerate(tape.blocks) if block.rows]
        self._starts = np.array([tape.blocks[n].first_exchange for n in self._blocks], np.int64)
        self._heaps: dict[int, Heap | None] = {}

    def load(self, chunk: Chunk) -> Bytes | None:
        """The requests as they will be sent; None where each has to be looked at."""
        if self._host is None or chunk["pieces"].any():
            return None
        blob, sizes = self._raw(chunk["source"])
        chunk["fill"] = fill(chunk, sizes)
        chunk["target_index"] = np.zeros(rows_in(chunk), np.uint8)
        data = Bytes(blob, sizes)
        return self._with_host(data, chunk["head_bytes"], self._host) if self._host else data

    def _raw(self, exchanges: Any) -> tuple[bytes, Any]:
        """The bytes as recorded, and their sizes, -1 where they are damaged."""
        sizes = np.full(len(exchanges), -1, np.int64)
        found = np.searchsorted(self._starts, exchanges, side="right") - 1
        cuts = np.flatnonzero(np.diff(found)) + 1
        parts: list[bytes] = []
        for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(found)], strict=True):
            number = self._blocks[found[first]]
            heap = self._heap(number)
            if heap is None:
                continue
            data, at, kept = heap
            rows = exchanges[first:last] - self._tape.blocks[number].first_exchange
            starts, lengths = at[rows], kept[rows]
            sizes[first:last] = lengths
            ends = starts + lengths
            if (starts[1:] == ends[:-1]).all():
                parts.append(data[starts[0] : ends[-1]])
            else:
                pairs = zip(starts.tolist(), ends.tolist(), strict=True)
                parts += [data[start:end] for start, end in pairs]
        return b"".join(parts), sizes

    def _heap(self, number: int) -> Heap | None:
        if number not in self._heaps:
            while len(self._heaps) >= _CACHED:
                self._heaps.pop(next(iter(self._heaps)))
            self._heaps[number] = self._read(number)
        return self._heaps[number]

    def _read(self, number: int) -> Heap | None:
        stored = self._tape.block_heap(number)
        names = ["request_at", "request_kept"]
        for block in self._tape.columns(names, number, number + 1) if stored else ():
            assert stored is not None
            return stored[0], block["request_at"], block["request_kept"]
        return None

    def _with_host(self, data: Bytes, heads: Any, host: bytes) -> Bytes | None:
        """As they are with another Host; None where a host line is not where it usually is."""
        blob, places = data.blob, _host_lines(data.blob)
        if not len(places) or len(places) != len(heads):
            return None  # several hosts, or none, or a body that looks like a head
        first = int(places[0])
        line = blob[first : blob.find(b"\n", first + 1) + 1]
        if not line.endswith(b"\r\n") or line.count(b"\r") > 1:
            return None
        ends = places + len(line)
        heads_end = data.starts + np.minimum(heads, data.sizes)
        if (places < data.starts).any() or (ends > heads_end).any():
            return None
        text = np.frombuffer(blob, np.uint8)
        if any((text[places + at] != byte).any() for at, byte in enumerate(line)):
            return None
        old = line[len(_HOST) : -2]
        if old == host:
            return data
        self._rewriter.counts["host"] += len(heads)
        between = zip([0, *ends.tolist()], [*places.tolist(), len(blob)], strict=True)
        parts = [blob[start:end] for start, end in between]
        return Bytes((_HOST + host + b"\r\n").join(parts), data.sizes + len(host) - len(old))


def _host_lines(blob: bytes) -> Any:
    """Where in the bytes each `Host` that begins a line does so, its line feed included."""
    text = np.frombuffer(blob, np.uint8)
    places = np.flatnonzero(text[: len(text) - len(_HOST) + 1] == _HOST[0])
    for at, byte in enumerate(_HOST):
        places = places[text[places + at] == byte]
    return places
