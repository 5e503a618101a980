"""Where a running replay is: rate against plan, in flight, lateness, errors, when it will end.

Told by the workers: where the plan has a clock, glances (twice a second, all that happened since);
at `--speed max` the sender's own counts, which cost nothing on the way.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from capture.exchange import Outcome

from .observe.glance import Glance
from .outcome import Histogram, Tally

TELL_EVERY_S = 0.5
_OVER_S = 2.0  # rates are of so much of the past


@dataclass(frozen=True)
class Progress:
    """Where a running replay is. Rates in requests/s; before its begin `elapsed_s` is negative."""

    elapsed_s: float
    sent: int
    answered: int
    in_flight: int
    planned: int
    errors: int
    lateness_p99_ns: int
    about: bool = False  # `planned` is an estimate
    rate: float = 0.0
    planned_rate: float | None = None  # none where answers set the pace
    eta_s: float | None = None


class Pace:
    """Takes what workers tell and says where the run is. `span_ns` is how long the plan lasts."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.about = False
        self.clocked = True
        self.span_ns = 0
        self._counts: dict[int, tuple[int, ...]] = {}
        self._flying: dict[int, int] = {}
        self._late = Histogram()
        self._due = self._gone = self._answered = self._failed = 0
        self._elapsed_ns: int | None = None
        self._began = time.monotonic()
        self._past: deque[tuple[float, int, int]] = deque()

    def count(self, worker: int, *counts: int) -> None:
        """How many a sender has sent, has answers of, and waits for."""
        self._counts[worker] = counts

    def glance(self, glance: Glance) -> None:
        """What happened at one worker since it was last looked at."""
        self._elapsed_ns = glance.elapsed_ns
        self._due += glance.due
        self._gone += glance.sent
        self._flying[glance.worker] = glance.in_flight
        for part in glance.parts:
            self._late.add(part.late_ns)
            self._failed += int(part.failed.sum())
            self._answered += int((part.outcome == Outcome.ANSWERED).sum())

    def progress(self, tally: Tally) -> Progress:
        """Where the run is now; `tally` has what is booked."""
        now = time.monotonic()
        if self._elapsed_ns is None:
            sent, answered, flying = (sum(n) for n in zip(*self._counts.values(), strict=True))
            elapsed, errors, late = now - self._began, tally.failed, tally.lateness
        else:
            sent, answered, flying = self._gone, self._answered, sum(self._flying.values())
            elapsed, errors, late = self._elapsed_ns / 1e9, self._failed, self._late
        rate, planned_rate = self._rates(elapsed, sent)
        return Progress(
            elapsed, sent, answered, flying, self.planned, errors, late.quantile(0.99), self.about,
            rate, planned_rate if self.clocked and self._elapsed_ns is not None else None,
            self._left(elapsed, sent, rate),
        )  # fmt: skip

    @property
    def known(self) -> bool:
        """Whether any worker has told anything."""
        return bool(self._counts) or self._elapsed_ns is not None

    def _rates(self, elapsed: float, sent: int) -> tuple[float, float]:
        self._past.append((elapsed, sent, self._due))
        while len(self._past) > 2 and self._past[1][0] <= elapsed - _OVER_S:
            self._past.popleft()
        was, was_sent, was_due = self._past[0]
        over = elapsed - max(was, 0.0)
        if over <= 0:
            return 0.0, 0.0
        return (sent - was_sent) / over, (self._due - was_due) / over

    def _left(self, elapsed: float, sent: int, rate: float) -> float | None:
        if self.span_ns and self._elapsed_ns is not None:
            return max(0.0, self.span_ns / 1e9 - elapsed)
        return max(0, self.planned - sent) / rate if rate else None
