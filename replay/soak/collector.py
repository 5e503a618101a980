"""Collecting the run of a soak: rows to segments, and a sum at the end that needs no file.

Differs from the collector of a replay in three things: rows go to many files; what a worker that
dies had not told is not booked; and a position that cannot be saved is counted, for the soak is
worth more than its bookmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capture.errors import ReplayError
from capture.log import Tell
from capture.tape import TapeHeader

from ..collector import Collector, RunWriter, noise_of
from ..options import ReplayOptions
from ..outcome import Summary
from ..planning.bookmark import Bookmark
from .segments import SegmentWriter

STOPPED = "Stopped before its end: go on with --resume."
OpenSegments = Callable[[TapeHeader], SegmentWriter]


class PatientBookmark(Bookmark):
    """A bookmark that is not worth a soak: `failures` counts what could not be saved."""

    def __init__(self, other: Bookmark, say: Tell) -> None:
        self.__dict__.update(other.__dict__)
        self._say = say
        self.failures = 0

    def _save(self, elapsed_ns: int) -> None:
        try:
            super()._save(elapsed_ns)
        except ReplayError as problem:
            self.failures += 1
            if self.failures == 1:
                self._say(f"Warning: {problem} The position is saved when that is possible again.")


class SoakCollector(Collector):
    """The collector of one soak. `begun` is called when all workers are ready."""

    def __init__(
        self, path: Path, header: TapeHeader, planned: int, on_progress: Any,
        segments: OpenSegments, begun: Callable[[int], None], say: Tell,
    ) -> None:  # fmt: skip
        self._open_segments, self._begun, self._say = segments, begun, say
        self.base_ns = int(header.options.get("position", 0))
        super().__init__(path, header, planned, on_progress)

    def open(self, path: Path, header: TapeHeader) -> RunWriter:
        """Rows go to segments."""
        del path
        return self._open_segments(header)

    def begin(self, start: int) -> None:
        """All workers are ready."""
        super().begin(start)
        if self.bookmark is not None:
            self.bookmark = PatientBookmark(self.bookmark, self._say)
        self._begun(self.base_ns)

    def take(self, shard: int, message: tuple[str, Any]) -> None:
        """One message of a worker; a glance tells how far it is."""
        super().take(shard, message)
        if message[0] == "glance" and self.bookmark is not None:
            self.bookmark.sent_until(time.time_ns() - self.start)

    def gone(self, shard: int, status: int, tape_path: str, options: ReplayOptions) -> None:
        """A worker's process has ended; where it told no end, the soak ends early."""
        del tape_path, options
        if self.given_up:
            self.stopped = True
        elif shard not in self._ended and not self.failures:
            self._lost(shard, status)
            self.stopped = self.enough = True

    def end(self, options: ReplayOptions, floor: list[int]) -> Summary:
        """Close the last segment and sum up; fidelity is judged segment by segment."""
        del options
        self._book_outcomes()
        noise = noise_of(floor)
        self._writer.close(self._ledger, {"noise_floor": noise})
        if self.bookmark is not None and not self.failures:
            self.bookmark.end(self.stopped)
        if self.failures:
            raise ReplayError(self.failures[0])
        if self.stopped:
            self.warnings.append(STOPPED)
        return self.tally.summary(
            noise_floor=noise, fidelity=None, warnings=self._all_warnings(), run=str(self.path)
        )
