"""Arrival times from elsewhere, married to the requests of a tape: `--arrivals FILE`.

The file is a CSV: the first column that holds times says when a request is due (ISO 8601, or
numbers in seconds). The k-th request of the tape goes out at the k-th time; when the tape is used
up it begins again, with connections and identities of its own. What is kept of the tape is what is
asked and in which order on a connection; pauses and bursts are those of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from capture.errors import ReplayError
from shapes.chunks import Chunk, take
from shapes.counts import Ints

_LOOKED_AT = 2
_OFFSET = re.compile(r"(?<=:)(\d\d(?:\.\d+)?)(?:Z|([+-])(\d\d):?(\d\d)?)$")


def stamps_of(path: str, speed: float = 1.0) -> Ints:
    """The times in a file, in order, as ns from the first, on a clock `speed` times as fast."""
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        try:
            texts = _column(list(csv.reader(file)))
        except csv.Error as problem:
            raise ReplayError(f"{path}: is no CSV ({problem}).") from problem
    if not texts:
        raise ReplayError(f"{path}: has no column of times (ISO 8601 or seconds).")
    times = [_time(text) for text in texts]
    bad = next((number for number, time in enumerate(times) if time is None), None)
    if bad is not None:
        raise ReplayError(f"{path}: {texts[bad]!r} is no time (value {bad + 1} of its column).")
    stamps = np.sort(np.array(times, np.int64))
    return np.asarray(np.rint((stamps - stamps[0]) / speed), np.int64)


def _column(rows: list[list[str]]) -> list[str]:
    """The first column that holds a time, without its name; nothing where there is none."""
    for row in rows[:_LOOKED_AT]:  # a line of names may stand before the times
        for at, text in enumerate(row):
            if _time(text) is not None:
                texts = [each[at] for each in rows if len(each) > at]
                # A name is no number: what is one, and no time, is to be told.
                named = _time(texts[0]) is None and not texts[0].strip()[:1].isdigit()
                return texts[1:] if named else texts
    return []


def _time(text: str) -> int | None:
    try:
        return round(float(text) * 1e9) if abs(float(text)) < 9e9 else None
    except ValueError:
        pass
    try:
        plain = text.strip()
        away = _OFFSET.search(plain)
        if away is None:
            return int(np.datetime64(plain, "ns").astype(np.int64)) if ":" in plain else None
        minutes = int(away[3] or 0) * 60 + int(away[4] or 0)
        east = -1 if away[2] == "-" else 1
        at = np.datetime64(plain[: away.end(1)], "ns").astype(np.int64)
        return int(at) - east * minutes * 60 * 10**9
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
