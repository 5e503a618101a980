"""Watching the target: sources are sampled, metrics tested, what is lost is told.

Samples are taken at random moments of each interval: taken evenly, a quick sawtooth would look like
a slow one. A source that fails is counted and asked again; failing three times in a row is told as
a finding, and so is a process that has ended. What was sampled also goes to `watched.csv`, which
`wiretape report --watched` reads, in bounded size.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from capture.when import size

from .budget import Budget, budget_of
from .findings import Findings
from .series import Watched
from .sources import Source, SourceLost
from .watchlog import Watchlog

FAILURES = 3
MOST_METRICS = 500
TOO_EARLY = "too early"  # to say whether it grows


class Watcher:
    """Samples the sources on a thread of its own, from `begin` to `close`."""

    def __init__(
        self, sources: Sequence[Source], budgets: list[Budget], horizon_s: float, every_s: float,
        findings: Findings, log: Watchlog, rate: Callable[[], float],
    ) -> None:  # fmt: skip
        self._sources = list(sources)
        self._budgets, self._horizon_s, self._every_s = budgets, horizon_s, every_s
        self._findings, self._log, self._rate = findings, log, rate
        self._failing: Counter[str] = Counter()
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.watched: dict[str, Watched] = {}
        self.samples = self.failures = 0
        self.ignored = False  # whether there were more metrics than are watched

    def begin(self, elapsed_s: Callable[[], float]) -> None:
        """Start; `elapsed_s` is the clock of the soak."""
        if self._sources:
            self._thread = threading.Thread(target=self._work, args=(elapsed_s,), daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Sample no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(15)
        self._log.close()

    def _work(self, elapsed_s: Callable[[], float]) -> None:
        turn = time.monotonic()
        while not self._stop.is_set():
            self.sample(elapsed_s())
            turn += self._every_s
            moment = turn + random.uniform(0, 0.8 * self._every_s)
            self._stop.wait(max(0.0, moment - time.monotonic()))

    def sample(self, at_s: float) -> None:
        """Sample all sources and look."""
        found: dict[str, float] = {}
        for source in self._sources:
            if source.name not in self._ended:
                found |= self._ask(source, at_s)
        with self.lock:
            for metric, value in found.items():
                known = self.watched.get(metric)
                if known is None and len(self.watched) >= MOST_METRICS:
                    self.ignored = True
                    continue
                if known is None:
                    budget = budget_of(metric, self._budgets)
                    known = self.watched[metric] = Watched(metric, budget, self._horizon_s)
                known.add(at_s, value)
            news = [each for each in self.watched.values() if each.look(at_s, len(self.watched))]
        if found:
            self.samples += 1
            self._log.add(at_s, {name: found[name] for name in found if name in self.watched})
        for each in news:
            self._tell(each, at_s)

    def _ask(self, source: Source, at_s: float) -> dict[str, float]:
        try:
            found = source.sample()
        except SourceLost as lost:
            self.failures += 1
            self._failing[source.name] += 1
            if lost.final:
                self._ended.add(source.name)
                self._findings.see("ended", source.name, str(lost), at_s)
            elif self._failing[source.name] == FAILURES:
                self._findings.see("watch", source.name, f"Not watched: {lost}", at_s)
            return {}
        if self._failing[source.name] >= FAILURES:
            self._findings.withdraw("watch", source.name, f"{source.name} is watched again.", at_s)
        self._failing[source.name] = 0
        return found

    def _tell(self, each: Watched, at_s: float) -> None:
        if not each.leaks or each.growth is None:
            sentence = f"{each.metric} has stopped growing: what was told as a leak is withdrawn"
            self._findings.withdraw("leak", each.metric, sentence, at_s)
            return
        growth = each.growth
        rate = self._rate()
        request = f", {amount(each.metric, growth.slope / rate)} a request" if rate > 0 else ""
        sentence = (
            f"{each.metric} grows by {amount(each.metric, growth.slope * 3600)} an hour{request}, "
            f"from {amount(each.metric, growth.begin)} to {amount(each.metric, each.series.last)}"
        )
        self._findings.see("leak", each.metric, sentence, at_s)

    def table(self) -> list[dict[str, Any]]:
        """Each metric now, for people: those that grow first."""
        with self.lock:
            each_one = sorted(self.watched.values(), key=lambda each: not each.leaks)
            return [
                {
                    "metric": each.metric,
                    "now": amount(each.metric, each.series.last),
                    "per_hour": _signed(each),
                    "leaks": each.leaks,
                }
                for each in each_one
            ]


def _signed(each: Watched) -> str:
    if each.growth is None:
        return TOO_EARLY
    slope = each.growth.slope * 3600
    return ("+" if slope >= 0 else "−") + amount(each.metric, abs(slope))


def amount(metric: str, value: float) -> str:
    """A value of a metric in words: bytes as sizes."""
    if "bytes" in metric:
        return size(value)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
