"""What the workers of a replay tell, taken together: the run is written, counted, and summed up."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from capture.columns import EXCHANGES
from capture.errors import ReplayError
from capture.exchange import Close, Outcome
from capture.ledger import Ledger
from capture.tape import Tape, TapeHeader, TapeWriter
from shapes.score import ALTERED, PAYLOADS

from .keeping import Cleaner
from .observe.glance import Glance
from .options import ReplayOptions
from .outcome import Summary, Tally
from .planning.bookmark import Bookmark
from .progress import TELL_EVERY_S, Pace, Progress
from .safety import damage
from .workers.feeder import unsent_rows

if TYPE_CHECKING:
    from capture.sanitize.sanitized import Sanitized

    from .abort import Watch

_MORE_DESCRIPTORS = (
    "raise the hard limit (ulimit -Hn), share the connections with --workers, or give --source-ip; "
    "`wiretape plan` says how many are needed."
)
_NAMES = frozenset(column.name for column in EXCHANGES)

OnProgress = Callable[[Progress], None]
OnGlance = Callable[[Glance], bool | None]
"""Called with each glance; what returns true has seen enough, and sending stops."""


class RunWriter(Protocol):
    """What a collector writes the rows of a run to."""

    def append_rows(
        self,
        rows: Mapping[str, Any],
        connections: Mapping[str, Any] | None = None,
        answers: Mapping[int, Sanitized] | None = None,
    ) -> None:
        """Write a block of rows."""

    def close(self, ledger: Ledger | None = None, summary: Mapping[str, Any] | None = None) -> None:
        """The run has ended, with this ledger and what it came to."""


class _Booked:
    """Which batches of one worker are in the run: all below a mark, and a few that settled early.

    So a run of days takes no more memory than one of minutes.
    """

    def __init__(self) -> None:
        self._below = 0
        self._early: set[int] = set()

    def add(self, number: int) -> None:
        self._early.add(number)
        while self._below in self._early:
            self._early.remove(self._below)
            self._below += 1

    def __contains__(self, number: int) -> bool:
        return number < self._below or number in self._early


class Collector:
    """Takes what workers send: writes rows to the run, keeps the tally, tells the progress."""

    def __init__(
        self, path: Path, header: TapeHeader, planned: int, on_progress: OnProgress | None
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.losses: dict[str, None] = {}  # of the tape, as far as anybody has met them
        self.tape_whole = True
        self.observers: list[OnGlance] = []
        self.bookmark: Bookmark | None = None
        self.watch: Watch | None = None
        self._writer = self.open(path, header)
        self.tally = Tally()
        self.pace = Pace(planned)
        self._ledger = Ledger()
        self._on_progress = on_progress
        self._told = 0.0
        self.workers, self.start = 1, 0
        self.stopped = False
        self.interrupted = False  # by a signal
        self.given_up = False  # on workers that do not end
        self._cut_short = 0  # connections that made room for others
        self.enough = False
        self.failures: list[str] = []
        self._booked: defaultdict[int, _Booked] = defaultdict(_Booked)
        self._ended: set[int] = set()
        self._header = header
        self._cleaner: Cleaner | None = None
        self._kept: dict[tuple[int, int], Mapping[int, Sanitized]] = {}

    def open(self, path: Path, header: TapeHeader) -> RunWriter:
        """What rows are written to."""
        return TapeWriter(path, header)

    def begin(self, start: int) -> None:
        """All workers are ready; `start` is due time 0, since the epoch."""
        self.start = start

    def take(self, shard: int, message: tuple[str, Any]) -> None:
        """One message of the worker that has this shard."""
        kind, value = message
        if kind == "rows":
            number, rows = value
            answers = self._kept.pop((shard, number), None)
            self._booked[shard].add(number)
            self.tally.add(rows)
            self._writer.append_rows(_storable(rows), None, answers)
            if self.bookmark is not None:
                self.bookmark.booked(int(rows["due_ns"].max()) - self.start)
        elif kind == "kept":
            number, kept = value
            if self._cleaner is None:
                self._cleaner = Cleaner(self._header.level, self._header.options["responses"])
            self._kept[shard, number] = self._cleaner.clean(kept)
        elif kind == "connections":
            self._cut_short += int(np.count_nonzero(value["close"] == Close.IDLE))
            self._writer.append_rows({}, _storable_connections(value))
        elif kind == "count":
            self.pace.count(*value)
            self._tell()
            if self.bookmark is not None:
                self.bookmark.sent_until(time.time_ns() - self.start)
        elif kind == "glance":
            for observe in self.observers:
                self.enough |= bool(observe(value))
            self.pace.glance(value)
            self._tell()
        elif kind == "done":
            self._ended.add(shard)
            self.stopped |= value[1]
            self.tally.rewritten.update(value[2])
            self.losses.update(dict.fromkeys(value[3]))
        elif kind == "altered":
            self._ledger.book(PAYLOADS, ALTERED, value)
        elif kind == "lost":
            self._lost(*value)
        else:
            self.failures.append(value)

    def _lost(self, shard: int, status: int) -> None:
        self.warnings.append(
            f"Worker {shard} died (exit {status}): what it had not sent, or not told of, is booked "
            "as unsent."
        )

    def gone(self, shard: int, status: int, tape_path: str, options: ReplayOptions) -> None:
        """A worker's process has ended; where it told no end, its rest is booked as unsent.

        A soak ends then, to be gone on with: days to come are none of its run.
        """
        if shard in self._ended or self.failures:
            return
        if self.given_up:
            self.stopped = True
            self.warnings.append(
                f"Worker {shard} did not end when asked, and was ended: what it had not told by "
                "then is not in the run."
            )
            return
        self._lost(shard, status)
        until = None
        if options.soak:
            until = time.time_ns()
            self.stopped = self.enough = True
        for number, rows in unsent_rows(tape_path, options, shard, self.workers, self.start):
            if until is not None and int(rows["due_ns"].min()) > until:
                break
            if number not in self._booked[shard]:
                self.take(shard, ("rows", (number, rows)))

    def _tell(self) -> None:
        now = time.monotonic()
        if self._on_progress is not None and now - self._told >= TELL_EVERY_S and self.pace.known:
            self._told = now
            self._on_progress(self.pace.progress(self.tally))

    def _book_outcomes(self) -> None:
        for outcome, count in self.tally.outcomes.items():
            self._ledger.book("planned requests", Outcome[outcome].words, count)
        # Requests are made ready ahead: where sending stopped, some of them were not sent.
        unit = "rewrites, also of what was not sent" if self.stopped else "rewrites"
        for name, count in self.tally.rewritten.items():
            self._ledger.book(unit, name, count)

    def end(self, options: ReplayOptions, floor: list[int]) -> Summary:
        """Close the run and sum it up."""
        self._book_outcomes()
        aborted = self.watch.reason if self.watch is not None else ""
        if aborted:
            self._ledger.book("ends of the run", f"aborted: {aborted}")
        elif self.stopped:
            self._ledger.book("ends of the run", "stopped before its end")
        noise = noise_of(floor)
        kept = None if options.at_max or self.failures else self._fidelity(noise)
        self._writer.close(self._ledger, {"noise_floor": noise, "fidelity": kept})
        if self.bookmark is not None and not self.failures:
            self.bookmark.end(self.stopped)
        if self.failures:
            raise ReplayError(self.failures[0])
        if self.stopped and not aborted:
            self.warnings.append("Stopped before its end: what was due later is not in the run.")
        if self._cut_short:
            self.warnings.append(
                f"{self._cut_short:,} connections that rested were closed early, since no "
                f"descriptor was left for others (the run calls them idle): {_MORE_DESCRIPTORS}"
            )
        if starved := self.tally.outcomes[Outcome.NO_RESOURCES.name]:
            self.warnings.append(
                f"{starved:,} requests found no descriptor or source port free: {_MORE_DESCRIPTORS}"
            )
        return self.tally.summary(
            noise_floor=noise,
            fidelity=kept,
            warnings=self._all_warnings(),
            run=str(self.path),
            aborted=aborted,
            interrupted=self.interrupted,
        )

    def _all_warnings(self) -> list[str]:
        """What is to be told of the run, with what was not to be read of its tape before it."""
        return [*damage(self.losses, self.tape_whole), *self.warnings]

    def _fidelity(self, noise: dict[str, int]) -> dict[str, Any]:
        """How close the run, whose rows are all written, came to its plan."""
        from shapes.fidelity import fidelity_of

        with Tape.open(self.path) as run:
            found = fidelity_of(run, ledger=self._ledger, noise_p99_ns=noise.get("p99"))
        return found.as_dict()


def noise_of(floor: list[int]) -> dict[str, int]:
    """What the summary tells of the machine's own noise, from sorted lateness in ns."""
    if not floor:
        return {}
    return {"p50": floor[len(floor) // 2], "p99": floor[len(floor) * 99 // 100]}


def _storable(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: column for name, column in rows.items() if name in _NAMES}


def _storable_connections(columns: dict[str, Any]) -> dict[str, Any]:
    return {**columns, "server": [""] * len(columns["connection"])}
