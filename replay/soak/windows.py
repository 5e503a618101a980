"""What a soak came to, hour by hour and in all: counts and quantiles, in bounded memory.

Everything is counted from glances, so it is of this very second and does not wait for files. A
window that has ended is a row of figures; the whole keeps histograms, which survive a restart.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from capture.exchange import NEVER, Outcome
from shapes.tallies import tally

from ..observe.glance import Glance, each_endpoint
from ..outcome import Histogram

MOST_ENDPOINTS = 100
MOST_WINDOWS = 2000


@dataclass
class Window:
    """One stretch of the soak. Times in ms, `start_s` and `seconds` in s."""

    start_s: float
    seconds: float
    due: int
    sent: int
    answered: int
    failed: int
    p50: float
    p99: float
    late_p99: float
    watched: dict[str, float] = field(default_factory=dict)
    word: str = ""

    @property
    def rate(self) -> float:
        """Requests/s."""
        return self.sent / self.seconds if self.seconds else 0.0


def _as_one(a: Window, b: Window) -> Window:
    """Two neighbours as one: counts are sums, of the quantiles the worse is kept."""
    return Window(
        a.start_s, b.start_s + b.seconds - a.start_s, a.due + b.due, a.sent + b.sent,
        a.answered + b.answered, a.failed + b.failed, max(a.p50, b.p50), max(a.p99, b.p99),
        max(a.late_p99, b.late_p99), b.watched, b.word,
    )  # fmt: skip


class _Counting:
    def __init__(self) -> None:
        self.due = self.sent = self.ended = self.failed = 0
        self.service, self.late = Histogram(), Histogram()

    def take(self, glance: Glance) -> None:
        self.due += glance.due
        self.sent += glance.sent
        for part in glance.parts:
            self.late.add(part.late_ns)
            self.service.add(part.service_ns[part.service_ns != NEVER])
            self.ended += len(part.outcome)
            self.failed += int(part.failed.sum())


class Windows:
    """An observer of glances. `base_s` is where in the soak this run began."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.closed: list[Window] = []
        self.outcomes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.endpoints: dict[str, tuple[Histogram, Histogram, list[int]]] = {}
        self._whole, self._now = _Counting(), _Counting()
        self._began_s = 0.0

    def __call__(self, glance: Glance) -> None:
        """Take a glance."""
        with self.lock:
            self._whole.take(glance)
            self._now.take(glance)
            for part in glance.parts:
                _count(self.outcomes, part.outcome, lambda code: Outcome(code).words)
                _count(self.statuses, part.status[part.status > 0], str)
            for name, part, rows in each_endpoint(glance.parts):
                if name not in self.endpoints and len(self.endpoints) >= MOST_ENDPOINTS:
                    name = "(other)"
                service, recorded, counts = self.endpoints.setdefault(
                    name, (Histogram(), Histogram(), [0, 0])
                )
                times, was = part.service_ns[rows], part.recorded_ns[rows]
                service.add(times[times != NEVER])
                recorded.add(was[was != NEVER])
                counts[0] += int(rows.sum())
                counts[1] += int(part.failed[rows].sum())

    @property
    def sent(self) -> int:
        """Requests sent in all."""
        return self._whole.sent

    @property
    def ended(self) -> tuple[int, int]:
        """Requests whose fate is known in all, and how many of them failed."""
        with self.lock:
            return self._whole.ended, self._whole.failed

    def begin(self, at_s: float) -> None:
        """A window begins: the first, or the first after a restart."""
        self._began_s = at_s

    def end_window(self, at_s: float, watched: dict[str, float], word: str) -> Window:
        """The window of now has ended."""
        with self.lock:
            now, self._now = self._now, _Counting()
            window = Window(
                self._began_s, at_s - self._began_s, now.due, now.sent, now.ended - now.failed,
                now.failed, _ms(now.service, 0.5), _ms(now.service, 0.99), _ms(now.late, 0.99),
                watched, word,
            )  # fmt: skip
            self._began_s = at_s
            self.closed.append(window)
            if len(self.closed) > MOST_WINDOWS:
                pairs = zip(self.closed[::2], self.closed[1::2], strict=False)
                rest = self.closed[-1:] if len(self.closed) % 2 else []
                self.closed = [*(_as_one(a, b) for a, b in pairs), *rest]
        return window

    def totals(self) -> dict[str, Any]:
        """The whole so far."""
        with self.lock:
            whole = self._whole
            return {
                "due": whole.due, "sent": whole.sent, "ended": whole.ended, "failed": whole.failed,
                "service_ms": {n: _ms(whole.service, q) for n, q in _QUANTILES},
                "late_ms": {n: _ms(whole.late, q) for n, q in _QUANTILES},
                "outcomes": dict(self.outcomes.most_common()),
                "statuses": dict(self.statuses.most_common()),
                "endpoints": [self._row(name) for name in self._busiest()],
            }  # fmt: skip

    def _busiest(self) -> list[str]:
        return sorted(self.endpoints, key=lambda name: -self.endpoints[name][2][0])

    def _row(self, name: str) -> dict[str, Any]:
        service, recorded, (requests, failed) = self.endpoints[name]
        return {
            "endpoint": name, "requests": requests, "failed": failed,
            "recorded_ms": {n: _ms(recorded, q) for n, q in _QUANTILES},
            "service_ms": {n: _ms(service, q) for n, q in _QUANTILES},
        }  # fmt: skip

    def save(self) -> dict[str, Any]:
        """Everything that a restart needs, as plain values."""
        with self.lock:
            return {
                "closed": [asdict(window) for window in self.closed],
                "whole": _saved(self._whole), "now": _saved(self._now), "began_s": self._began_s,
                "outcomes": dict(self.outcomes), "statuses": dict(self.statuses),
                "endpoints": {
                    name: [_sparse(service), _sparse(recorded), counts]
                    for name, (service, recorded, counts) in self.endpoints.items()
                },
            }  # fmt: skip

    def restore(self, saved: dict[str, Any]) -> None:
        """The state that was saved."""
        self.closed = [Window(**values) for values in saved["closed"]]
        self._whole, self._now = _restored(saved["whole"]), _restored(saved["now"])
        self._began_s = saved["began_s"]
        self.outcomes, self.statuses = Counter(saved["outcomes"]), Counter(saved["statuses"])
        self.endpoints = {
            name: (_full(service), _full(recorded), counts)
            for name, (service, recorded, counts) in saved["endpoints"].items()
        }


_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))


def _ms(histogram: Histogram, share: float) -> float:
    return round(histogram.quantile(share) / 1e6, 4)


def _count(counter: Counter[str], values: Any, name: Any) -> None:
    for code, count in tally(values):
        counter[name(code)] += count


def _sparse(histogram: Histogram) -> list[Any]:
    places = np.flatnonzero(histogram.counts)
    return [histogram.largest, places.tolist(), histogram.counts[places].tolist()]


def _full(saved: list[Any]) -> Histogram:
    histogram = Histogram()
    histogram.largest, places, counts = saved
    if places:
        histogram.counts = np.zeros(max(len(histogram.counts), places[-1] + 1), np.int64)
        histogram.counts[places] = counts
    return histogram


def _saved(counting: _Counting) -> dict[str, Any]:
    return {
        "due": counting.due, "sent": counting.sent, "ended": counting.ended,
        "failed": counting.failed, "service": _sparse(counting.service),
        "late": _sparse(counting.late),
    }  # fmt: skip


def _restored(saved: dict[str, Any]) -> _Counting:
    counting = _Counting()
    counting.due, counting.sent = saved["due"], saved["sent"]
    counting.ended, counting.failed = saved["ended"], saved["failed"]
    counting.service, counting.late = _full(saved["service"]), _full(saved["late"])
    return counting
