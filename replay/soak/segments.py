"""The run of a soak as many files: a segment begins where the last grew too old or too large.

Each is a run of its own that every command reads. The oldest are removed beyond the limit, those
that show a finding last; the newest always stays. What is removed is counted, and what it came to
stays in the summaries. A full disk costs rows of the files, counted, and never the soak.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.errors import TapeError
from capture.ledger import Ledger
from capture.log import Tell
from capture.rotation import Kept, Limit, expired, tapes_of
from capture.tape import TapeHeader, TapeWriter

if TYPE_CHECKING:
    from capture.sanitize.sanitized import Sanitized

NAME = "segment-{:06}.tape"
_MADE = re.compile(r"segment-\d{6,}\.tape")


@dataclass(frozen=True)
class Segment:
    """A closed segment."""

    path: Path
    rows: int
    number: int


class SegmentWriter:
    """Where the rows of a soak go. `closed` is called with each segment that has ended."""

    def __init__(
        self, folder: Path, header: TapeHeader, limit: Limit, number: int,
        closed: Callable[[Segment], None], say: Tell,
    ) -> None:  # fmt: skip
        self._folder, self._header, self._limit = folder, header, limit
        self._closed, self._say = closed, say
        self.number = number
        self.rows = self.lost_rows = 0
        self._writer: TapeWriter | None = None
        self._began = 0.0
        self._open_next()  # a folder that cannot be written is known before anything is sent

    def append_rows(
        self,
        rows: Mapping[str, Any],
        connections: Mapping[str, Any] | None = None,
        answers: Mapping[int, Sanitized] | None = None,
    ) -> None:
        """Write a block of rows to the segment of now."""
        count = len(next(iter(rows.values()), ()))
        try:
            if self._writer is None or self._is_full():
                self._end_segment()
                self._open_next()
            assert self._writer is not None
            self._writer.append_rows(rows, connections, answers)
            self.rows += count
        except TapeError as problem:
            if not self.lost_rows:
                self._say(f"Warning: {problem} The soak goes on; rows that are lost are counted.")
            self.lost_rows += count

    def close(self, ledger: Ledger | None = None, summary: Mapping[str, Any] | None = None) -> None:
        """The soak has ended."""
        self._end_segment(ledger, summary)

    def _is_full(self) -> bool:
        assert self._writer is not None
        age_ns = int((time.monotonic() - self._began) * 1e9)
        return self.rows > 0 and self._limit.reached(self._writer.bytes_written, age_ns)

    def _open_next(self) -> None:
        path = self._folder / NAME.format(self.number)
        header = replace(self._header, tape_id=f"{self._header.tape_id}-{self.number}")
        self._writer = TapeWriter(path, header)
        self._began, self.rows = time.monotonic(), 0

    def _end_segment(
        self, ledger: Ledger | None = None, summary: Mapping[str, Any] | None = None
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close(ledger, summary)
        except TapeError as problem:
            self._say(f"Warning: {problem} The segment is readable all the same.")
        if self.rows:
            self._closed(Segment(writer.path, self.rows, self.number))
            self.number += 1
        else:
            writer.path.unlink(missing_ok=True)


def prune(folder: Path, keep: Limit, pinned: set[str]) -> Iterator[Path]:
    """Remove what is beyond the limit, oldest first, pinned ones last; tells each that went."""
    ordered = sorted(_segments(folder), key=lambda tape: tape.path.name in pinned)
    for path in expired(ordered, keep, time.time_ns()):
        path.unlink(missing_ok=True)
        yield path


def last_number(folder: Path) -> int:
    """The number of the newest segment of a folder; 0 of none."""
    numbers = [int(tape.path.stem.rpartition("-")[2]) for tape in _segments(folder)]
    return max(numbers, default=0)


def unjudged(folder: Path, judged: set[str], before: int) -> list[Segment]:
    """Segments that a killed soak left behind: their rows are there, but nobody has looked."""
    left = sorted(tape.path for tape in _segments(folder) if tape.path.name not in judged)
    found = [Segment(path, 0, int(path.stem.rpartition("-")[2])) for path in left]
    return [segment for segment in found if segment.number < before]


def _segments(folder: Path) -> list[Kept]:
    return tapes_of(folder, _MADE)
