"""The state of a running replay for somebody who looks at it: the last seconds, and sums.

Figures are of the last ten seconds, for that is what "now" means to a reader; counts are of the
whole run. Each second leaves one point of history. Memory does not grow with the run.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capture.exchange import NEVER, Outcome
from shapes.tallies import tally

from .glance import Glance, Part, each_endpoint

NOW_S = 10
HISTORY_S = 300
MOST_ENDPOINTS = 200
LATE_NS = 10_000_000
SLOWER, SLOWER_MS, FEWEST = 2.0, 5.0, 8  # as much as makes an endpoint slow in a report
SHOWN = 6
NS = 1_000_000_000


@dataclass
class Second:
    """What one second of the run saw."""

    at: int
    due: int = 0
    sent: int = 0
    ended: int = 0
    failed: int = 0
    late_ns: list[Any] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    point: tuple[Any, ...] = ()

    def close(self) -> None:
        """Keep one point of history."""
        p50, p99 = _quantiles([part.service_ns for part in self.parts])
        self.point = (self.at, self.due, self.sent, self.failed, _ms(p50), _ms(p99))


class Live:
    """Takes glances from one thread, and is asked by others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.base_s = 0.0  # what a soak lasted before this run
        self.findings: list[dict[str, Any]] = []
        self.word = ""  # said of the whole so far; "" leaves it to the figures
        self.more: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._seconds: deque[Second] = deque([Second(0)], maxlen=NOW_S + 1)
        self._history: deque[tuple[Any, ...]] = deque(maxlen=HISTORY_S)
        self._flying: dict[int, int] = {}
        self._sums: Counter[str] = Counter()
        self._outcomes: Counter[int] = Counter()
        self._statuses: Counter[int] = Counter()

    def __call__(self, glance: Glance) -> None:
        """Take a glance."""
        with self._lock:
            second = self._second(glance.elapsed_ns // NS)
            self._flying[glance.worker] = glance.in_flight
            second.due += glance.due
            second.sent += glance.sent
            self._sums["due"] += glance.due
            self._sums["sent"] += glance.sent
            for part in glance.parts:
                self._take(second, part)

    def _take(self, second: Second, part: Part) -> None:
        second.late_ns.append(part.late_ns)
        second.parts.append(part)
        failed = int(part.failed.sum())
        second.ended += len(part.outcome)
        second.failed += failed
        self._sums["failed"] += failed
        self._sums["ended"] += len(part.outcome)
        _count(self._outcomes, part.outcome)
        _count(self._statuses, part.status[part.status > 0] // 100)

    def _second(self, at: int) -> Second:
        while self._seconds[-1].at < at:
            if at - self._seconds[-1].at > HISTORY_S:  # it slept; what lies between is not drawn
                self._seconds.append(Second(at))
                break
            self._seconds[-1].close()
            self._history.append(self._seconds[-1].point)
            self._seconds.append(Second(self._seconds[-1].at + 1))
        return self._seconds[-1]

    def state(self) -> dict[str, Any]:
        """Everything that is shown, as plain values. Times in ms, rates in requests/s."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, Any]:
        seconds = list(self._seconds)[:-1] or list(self._seconds)
        span = max(1, len(seconds))
        parts = [part for second in seconds for part in second.parts]
        late = _quantiles([values for second in seconds for values in second.late_ns])
        service = _quantiles([part.service_ns for part in parts])
        recorded = _quantiles([part.recorded_ns for part in parts])
        ended = sum(second.ended for second in seconds)
        failed = sum(second.failed for second in seconds)
        endpoints = _endpoints(parts)
        state: dict[str, Any] = {
            "name": self.name,
            "elapsed_s": self.base_s + self._seconds[-1].at,
            "rate": sum(second.sent for second in seconds) / span,
            "planned_rate": sum(second.due for second in seconds) / span,
            "late_ms": [_ms(ns) for ns in late],
            "service_ms": [_ms(ns) for ns in service],
            "recorded_ms": [_ms(ns) for ns in recorded],
            "failed_share": failed / ended if ended else 0.0,
            "in_flight": sum(self._flying.values()),
            "sums": dict(self._sums),
            "outcomes": {Outcome(code).name.lower(): n for code, n in self._outcomes.items()},
            "statuses": {f"{code}xx": n for code, n in sorted(self._statuses.items())},
            "endpoints": endpoints[:SHOWN],
            "history": [list(point) for point in self._history],
            "findings": self.findings[:20],
            **self.more,
        }
        state["word"], state["sentence"] = self._verdict(state, late[1], endpoints)
        return state

    def _verdict(
        self, state: dict[str, Any], late_ns: float, endpoints: list[dict[str, Any]]
    ) -> tuple[str, str]:
        """The verdict so far, in a word and a sentence."""
        if self.word:
            return self.word, "; ".join(finding["sentence"] for finding in self.findings[:2])
        sums = state["sums"]
        if not sums.get("sent"):
            return "WAITING", "Nothing has been sent yet."
        if late_ns > LATE_NS:
            return "LATE", f"Requests leave {late_ns / 1e6:,.0f} ms late (p99): not yet judged."
        share = sums["failed"] / max(1, sums["ended"])
        failed = f"{sums['failed']:,} of {sums['ended']:,} requests failed ({share:.2%})."
        if share > 0.005:
            return "FAILING", failed
        if slow := _slow(endpoints):
            return "SLOW", slow
        return "ON PLAN", failed if share else "Sent on time, and every request was answered."


def _slow(endpoints: list[dict[str, Any]]) -> str:
    """Which endpoint now takes much more than recorded, by its median; nothing where none does."""
    found = [
        row for row in endpoints
        if row["requests"] >= FEWEST and row["p50_ms"] and row["recorded_p50_ms"]
        and row["p50_ms"] >= SLOWER * row["recorded_p50_ms"]
        and row["p50_ms"] >= row["recorded_p50_ms"] + SLOWER_MS
    ]  # fmt: skip
    if not found:
        return ""
    worst = max(found, key=lambda row: float(row["p50_ms"] - row["recorded_p50_ms"]))
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    took, was = worst["p50_ms"], worst["recorded_p50_ms"]
    return f"{worst['endpoint']} takes {took:,.0f} ms now, recorded {was:,.1f} ms{more}."


def _endpoints(parts: list[Part]) -> list[dict[str, Any]]:
    """The endpoints of the last seconds, slowest first, recorded beside replayed."""
    found: dict[str, tuple[list[Any], list[Any], int]] = {}
    for name, part, rows in each_endpoint(parts):
        if name not in found and len(found) >= MOST_ENDPOINTS:
            name = "(other)"
        service, recorded, failed = found.get(name, ([], [], 0))
        service.append(part.service_ns[rows])
        recorded.append(part.recorded_ns[rows])
        found[name] = service, recorded, failed + int(part.failed[rows].sum())
    told: list[dict[str, Any]] = [
        {"endpoint": name, "p50_ms": _ms(p50), "p99_ms": _ms(p99), "failed": failed,
         "recorded_p50_ms": _ms(was_p50), "recorded_ms": _ms(was_p99),
         "requests": sum(map(len, service))}
        for name, (service, recorded, failed) in found.items()
        for (p50, p99), (was_p50, was_p99) in [(_quantiles(service), _quantiles(recorded))]
    ]  # fmt: skip
    return sorted(told, key=lambda row: -(row["p99_ms"] or 0.0))


def _count(counter: Counter[int], values: Any) -> None:
    for code, count in tally(values):
        counter[code] += count


def _quantiles(arrays: list[Any]) -> tuple[float, float]:
    """p50 and p99 in ns; nan of nothing."""
    known = np.concatenate(arrays) if arrays else np.zeros(0)
    known = known[known != NEVER]
    if not len(known):
        return float("nan"), float("nan")
    p50, p99 = np.quantile(known, (0.5, 0.99))
    return float(p50), float(p99)


def _ms(ns: float) -> float | None:
    return None if np.isnan(ns) else round(ns / 1e6, 3)
