"""Arrival times from elsewhere, married to the requests of a tape: `--arrivals FILE`.

The file is a CSV: the first column that holds times says when a request is due (ISO 8601, or
numbers in seconds). The k-th request of the tape goes out at the k-th time; when the tape is used
up it begins again, with connections and identities of its own. What is kept of the tape is what is
asked and in which order on a connection; pauses and bursts are those of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from capture.errors import ReplayError
from shapes.chunks import Chunk, take

Ints = NDArray[np.int64]
_LOOKED_AT = 2


def stamps_of(path: str, speed: float = 1.0) -> Ints:
    """The times in a file, in order, as ns from the first, on a clock `speed` times as fast."""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        found = None
        for row in islice(rows, _LOOKED_AT):  # a line of names may stand before the times
            found = next((at for at, text in enumerate(row) if _time(text) is not None), None)
            if found is not None:
                break
        if found is None:
            raise ReplayError(f"{path}: has no column of times (ISO 8601 or seconds).")
        texts = [row[found], *(row[found] for row in rows if len(row) > found)]
    times = [_time(text) for text in texts]
    bad = next((number for number, time in enumerate(times) if time is None), None)
    if bad is not None:
        raise ReplayError(f"{path}: {texts[bad]!r} is no time (value {bad + 1} of its column).")
    stamps = np.sort(np.array(times, np.int64))
    return np.asarray(np.rint((stamps - stamps[0]) / speed), np.int64)


def _time(text: str) -> int | None:
    try:
        return round(float(text) * 1e9) if abs(float(text)) < 9e9 else None
    except ValueError:
        pass
    try:
        plain = text.strip().removesuffix("Z").removesuffix("+00:00")
        return int(np.datetime64(plain, "ns").astype(np.int64)) if ":" in plain else None
    except ValueError:
        return None


def married(recorded: Callable[[], Iterator[Chunk]], stamps: Ints) -> Iterator[Chunk]:
    """The requests of a plan, again and again, due at the stamps."""
    at = 0
    for lap in count():
        before = at
        for chunk in recorded():
            size = min(len(chunk["due_ns"]), stamps.size - at)
            if size <= 0:
                return
            fresh = take(chunk, slice(size))
            head_start = fresh["due_ns"] - fresh["open_ns"]
            fresh["due_ns"] = stamps[at : at + size]
            fresh["open_ns"] = np.maximum(fresh["due_ns"] - head_start, 0)
            fresh["clone"] = fresh["clone"] + np.int32(lap)
            at += size
            yield fresh
        if at == before:
            return
