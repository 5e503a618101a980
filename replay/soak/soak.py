"""A soak from beginning to end: everything opened, the laps sent, what is found told, a report.

Who does what: workers send; the collector's thread books rows and takes glances; one thread keeps
time here (summaries, checkpoints, old segments); one samples the target; one judges segments, each
in a process of its own; one delivers alerts. None of them is near what sends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from capture.errors import ReplayError
from capture.log import Tell

from ..observe.glance import Glance
from ..observe.observers import Observers, observers
from ..observe.options import ObserveOptions
from ..outcome import Summary
from ..run import replay
from .alerts import Alerts
from .budget import budget_of, read_budget
from .checkpoint import Checkpoint, restore_series, saved_series
from .collector import STOPPED, SoakCollector
from .findings import Findings, Found
from .judging import Judged, Judging, Leaks
from .opening import make_folder, own_rss_mb, sources_of
from .options import NS, SoakOptions
from .segments import Segment, SegmentWriter, last_number, prune, unjudged
from .series import Series, Watched
from .telling import lasting, of_findings, of_window
from .watch import Watcher
from .watchlog import Watchlog
from .windows import Windows

TICK_S = 0.5
MOST_SEGMENTS = 1000
MOST_IN_WINDOW = 20
FEWEST_TO_FAIL = 20


class Soak:
    """One soak. `carry_out` sends; `state` is everything that is known of it."""

    def __init__(
        self, tape: Path, options: SoakOptions, folder: Path, gates: Sequence[str], say: Tell,
        steady: Callable[[], None],
    ) -> None:  # fmt: skip
        self.tape, self.options, self.folder, self.say = tape, options, folder, say
        self.gates = list(gates)
        self._steady = steady
        self.base_s = 0.0
        self.own = Series()  # our own resident memory
        self._began = self._ended = 0.0  # monotonic; 0 until it has
        self.stopped = False  # before its end
        self._counted = (0, 0)
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None
        self._enough = False
        self._lock = threading.Lock()
        self.restarts: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.removed = self.lost_rows = 0
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.live: Observers | None = None
        self.checkpoint = Checkpoint(folder, say)
        self.windows = Windows()
        self.alerts = Alerts(options.alert_webhook, options.alert_command, str(folder), say)
        self.findings = Findings(self._news)
        sources = sources_of(options)
        self.judging = Judging(self.gates, self._leaks, self._judged, bool(sources))
        self.watcher = Watcher(
            sources, [read_budget(text) for text in options.budget],
            options.horizon / NS, options.watch_every / NS, self.findings,
            Watchlog(folder / "watched.csv", say), self._rate,
        )  # fmt: skip
        self._writer: SegmentWriter | None = None

    def carry_out(self, observing: ObserveOptions) -> Summary:
        """Send until the end, or until it is stopped."""
        if self.options.resume:
            saved = self.checkpoint.read()
            try:
                self._restore(saved)
            except (KeyError, TypeError, ValueError, AttributeError) as wrong:
                raise ReplayError(
                    f"{self.checkpoint.path}: is no checkpoint of a soak ({wrong!r})."
                ) from None
        with ExitStack() as opened:
            opened.callback(self._forget_what_never_began, self.checkpoint.as_it_is())
            self.checkpoint.must_write(self.state())
            looking = observers(observing, f"soak of {self.tape.name}", self.say)
            self.live = opened.enter_context(looking)
            self.live.live.more["length_s"] = self.options.soak / NS
            collect = partial(
                SoakCollector, segments=self._open_segments, begun=self._begun, say=self.say
            )
            try:
                summary = replay(
                    self.tape, self.options, self.folder / "soak.tape", None, collect,
                    [self.windows, self._glance, *self.live.calls],
                )  # fmt: skip
            finally:
                self._end()
            self.stopped = STOPPED in summary.warnings
            return summary

    def _forget_what_never_began(self, before: bytes | None) -> None:
        if not self._began:
            self.checkpoint.put_back(before)

    def _begun(self, base_ns: int) -> None:
        self.base_s = base_ns / NS
        self._began = time.monotonic()
        if self.restarts and "resumed_s" not in self.restarts[-1]:
            self.restarts[-1]["resumed_s"] = round(self.base_s, 1)
        self.windows.begin(self.base_s)
        if self.live is not None:
            self.live.live.base_s = self.base_s
            self.live.live.findings = of_findings(self.findings)
        if self.options.resume and self._writer is not None:
            known = {each["segment"] for each in self.segments}
            for segment in unjudged(self.folder, known, self._writer.number):
                self.judging.add(segment)
        self.watcher.begin(self.elapsed_s)
        self._keeper = threading.Thread(target=self._keep_time, daemon=True)
        self._keeper.start()

    def elapsed_s(self) -> float:
        """The clock of the soak: seconds of the plan, those before a restart included."""
        if not self._began:
            return self.base_s
        return self.base_s + (self._ended or time.monotonic()) - self._began

    def _glance(self, _glance: Glance) -> bool:
        return self._enough

    def _rate(self) -> float:
        elapsed = self.elapsed_s()
        return self.windows.sent / elapsed if elapsed else 0.0

    def _open_segments(self, header: Any) -> SegmentWriter:
        number = last_number(self.folder) + 1
        self._writer = SegmentWriter(
            self.folder, header, self.options.segment, number, self._segment_closed, self.say
        )
        return self._writer

    def _segment_closed(self, segment: Segment) -> None:
        self.judging.add(segment)

    def _judged(self, judged: Judged) -> None:
        at_s = self.elapsed_s()
        with self._lock:
            told = asdict(judged) | {"at_s": round(at_s, 1), "findings": len(judged.findings)}
            del told["gates"]
            self.segments.append(told)
            del self.segments[:-MOST_SEGMENTS]
        if judged.problem:
            self.say(f"Warning: {judged.segment} was not judged ({judged.problem}).")
        for found in judged.findings:
            self.findings.see(
                found["kind"], found["subject"], found["sentence"], at_s, judged.segment
            )
        for checked in judged.gates:
            if checked["failed"]:
                why = checked["why"]
                self.findings.see("gate", checked["gate"], why, at_s, judged.segment)
                self._enough |= self.options.stop_on_gate

    def _leaks(self) -> Leaks:
        return [(f.subject, f.sentence) for f in self.findings.standing if f.kind == "leak"]

    def _news(self, found: Found) -> None:
        self.say(f"{lasting(found.last_s):>9}  {found.kind}: {found.sentence}")
        self.alerts(found)
        if self.live is not None:
            self.live.live.word = "FAIL" if self.findings.standing else ""
            self.live.live.findings = of_findings(self.findings)

    def _keep_time(self) -> None:
        step, saved = self.options.summary_every / NS, time.monotonic()
        self._counted = self.windows.ended
        following = (self.base_s // step + 1) * step
        while not self._stop.wait(TICK_S):
            if self.elapsed_s() >= following:
                following += step
                self._summarize()
            if time.monotonic() - saved >= self.options.checkpoint_every / NS:
                saved = time.monotonic()
                self._look_for_failure()
                self._tidy()
            self.own.add(self.elapsed_s(), own_rss_mb())
            if self.live is not None:
                self.live.live.more["watched"] = self.watcher.table()[:8]

    def _look_for_failure(self) -> None:
        """A target that has gone need not wait for its segment to be judged."""
        before, self._counted = self._counted, self.windows.ended
        ended, failed = (now - then for now, then in zip(self._counted, before, strict=True))
        if ended >= FEWEST_TO_FAIL and failed > ended / 2:
            told = f"most requests fail: {failed:,} of {ended:,} since the last checkpoint"
            self.findings.see("errors", "*", told, self.elapsed_s())

    def _summarize(self) -> None:
        with self.watcher.lock:
            each_one = list(self.watcher.watched.items())[:MOST_IN_WINDOW]
            watched = {name: each.series.last for name, each in each_one}
        standing = self.findings.standing
        word = f"{len(standing)} found" if standing else "nothing found"
        window = self.windows.end_window(self.elapsed_s(), watched, word)
        if window.due:
            self.say(of_window(window, self.watcher.table()))

    def _tidy(self) -> None:
        """Save the state; remove what is too old."""
        pinned = {found.segment for found in self.findings if found.segment}
        try:
            self.removed += len(list(prune(self.folder, self.options.keep, pinned)))
        except OSError as problem:
            self.say(f"Warning: {self.folder}: cannot be tidied ({problem.strerror}).")
        self.checkpoint.write(self.state())

    def _end(self) -> None:
        self._steady()
        self._ended = time.monotonic()
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join(10)
        self.watcher.close()
        self.judging.close()
        if self._began:
            self._summarize()
            self.alerts.close()
            self._tidy()

    def state(self) -> dict[str, Any]:
        """Everything that is known, as plain values."""
        with self.watcher.lock:
            series = saved_series(self.watcher.watched)
        with self._lock:
            segments = list(self.segments)
        return {
            "tape": str(self.tape), "target": list(self.options.target), "pid": os.getpid(),
            "started": self.started, "saved": datetime.now(UTC).isoformat(timespec="seconds"),
            "soak_s": self.options.soak / NS, "elapsed_s": round(self.elapsed_s(), 3),
            "windows": self.windows.save(), "findings": self.findings.as_list(),
            "segments": segments, "removed": self.removed, "restarts": self.restarts,
            "lost_rows": self.lost_rows + (self._writer.lost_rows if self._writer else 0),
            "series": series, "samples": self.watcher.samples,
            "sample_failures": self.watcher.failures, "more_metrics": self.watcher.ignored,
            "checkpoint_failures": self.checkpoint.failures,
            "alerts": {"delivered": self.alerts.delivered, "failed": self.alerts.failed},
        }  # fmt: skip

    def final_state(self) -> dict[str, Any]:
        """The state, and what a report needs beyond a restart."""
        own = self.own.rows or [[0.0, 0.0, 0.0, 0.0]]
        table = self.watcher.table()
        for each in table:
            rows = self.watcher.watched[each["metric"]].series.rows
            each["at_s"] = [row[0] for row in rows]
            each["least"], each["greatest"] = [r[1] for r in rows], [r[3] for r in rows]
        return self.state() | {
            "totals": self.windows.totals(),
            "watched": table,
            "own_rss_mb": {
                "first": own[0][1], "last": self.own.last, "most": max(row[3] for row in own)
            },
        }  # fmt: skip

    def _restore(self, saved: dict[str, Any]) -> None:
        self.started = saved["started"]
        self.windows.restore(saved["windows"])
        self.findings.restore(saved["findings"])
        self.segments, self.removed = saved["segments"], saved["removed"]
        self.lost_rows, self.restarts = saved["lost_rows"], saved["restarts"]
        self.restarts.append({"stopped_s": saved["elapsed_s"], "saved": saved["saved"]})
        self.watcher.samples = saved["samples"]
        self.watcher.failures = saved["sample_failures"]
        self.base_s = saved["elapsed_s"]
        budgets = [read_budget(text) for text in self.options.budget]
        for name, values in saved["series"].items():
            each = Watched(name, budget_of(name, budgets), self.options.horizon / NS)
            restore_series(each, values)
            self.watcher.watched[name] = each


def soak(
    tape: Path, options: SoakOptions, folder: Path, gates: Sequence[str], say: Tell,
    observing: ObserveOptions, steady: Callable[[], None],
) -> tuple[Soak, Summary]:  # fmt: skip
    """Carry out a soak whose files go to `folder`."""
    make_folder(folder, options.resume)
    one = Soak(tape, options, folder, gates, say, steady)
    return one, one.carry_out(observing)
