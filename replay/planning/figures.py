"""The figures of a plan: counts by method, host and endpoint, the rate, its dispersion.

Plans are lazy and may be endless for all we care (a loop of a billion laps, a soak of weeks): at
most `MOST` requests are looked at one by one. The laps of a loop beyond them are as many times the
first one; the rest of a soak is taken to be like its begin, and its figures are called `about`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shapes.arrivals import Arrivals
from shapes.chunks import Chunk
from shapes.screen import at_decades, duration, sparkline

from ..options import PlanOptions
from .more import expected
from .needs import NeedsMeter
from .plan import rows_in, uncut

if TYPE_CHECKING:
    from capture.tape import Tape

MOST = 2_000_000
_LOOKED_AT = (
    "kind", "connection", "position", "session", "method", "endpoint", "host", "request_bytes",
    "opened_ns", "request_first_ns", "response_last_ns",
)  # fmt: skip


class PlanMeter:
    """Counts the requests of a plan, chunk by chunk in due order."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.needs = NeedsMeter()
        self.requests = self.bytes = self.last_ns = 0
        self.methods: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.needs.add(chunk)
        self.requests += rows_in(chunk)
        self.bytes += int(chunk["request_bytes"].sum())
        self.last_ns = max(self.last_ns, int(chunk["due_ns"][-1]))
        for counter, name in (
            (self.methods, "method"), (self.hosts, "host"), (self.endpoints, "endpoint"),
        ):  # fmt: skip
            _count(counter, chunk[name])
        self.arrivals.add(chunk["due_ns"])

    @property
    def connections(self) -> int:
        """How many connections the plan opens."""
        return self.needs.connections


@dataclass(frozen=True)
class Figures:
    """What a plan holds; `seen` is what was looked at of it one by one."""

    seen: PlanMeter
    requests: int
    connections: int
    bytes: int
    span_ns: int
    methods: dict[str, int]
    hosts: dict[str, int]
    endpoints: dict[str, int]
    about: bool  # taken to go on as it begins

    @property
    def whole(self) -> bool:
        """Whether all of the plan was looked at."""
        return self.seen.requests == self.requests

    def peak(self, span_ns: int) -> int:
        """The most requests in any such span of the run, of those that were looked at."""
        _, counts = self.per(span_ns)
        return int(counts.max(initial=0))

    @property
    def peak_per_s(self) -> int:
        """The most requests in any second of the run, of those that were looked at."""
        return self.peak(10**9)

    def per(self, span_ns: int) -> tuple[Any, Any]:
        """The spans of the run that hold a request, by number, and how many they hold."""
        bins, counts = self.seen.arrivals.counts.occupied()
        spans = bins * self.seen.arrivals.counts.width_ns // span_ns
        found, at = np.unique(spans, return_index=True)
        return found, np.add.reduceat(counts, at) if found.size else counts

    def pictures(self) -> list[str]:
        """The rate over time and the dispersion over timescales, a line each."""
        return list(_pictures(self))


def figures_of(tape: Tape, options: PlanOptions, most: int = MOST) -> Figures:
    """The figures of the plan that a tape and options make."""
    lap = expected(tape, replace(options, loop=1))
    laps = options.loop if lap * options.loop <= most else max(1, min(options.loop, most // lap))
    seen, whole = _look(tape, replace(options, loop=laps), most)
    if laps < options.loop:
        return _with_more_laps(tape, options, seen, options.loop - laps)
    if whole:
        return _figures(seen)
    ahead = options.soak - options.position
    return _times(seen, ahead / max(seen.last_ns, 1), ahead)


def _look(tape: Tape, options: PlanOptions, most: int) -> tuple[PlanMeter, bool]:
    meter = PlanMeter()
    told = ("target",) if options.only or options.drop else ()
    for chunk in uncut(tape, options, (*_LOOKED_AT, *told)):
        if options.soak and meter.requests >= most:
            return meter, False
        meter.add(chunk)
    return meter, True


def _figures(seen: PlanMeter) -> Figures:
    return Figures(
        seen, seen.requests, seen.connections, seen.bytes, seen.last_ns,
        dict(seen.methods), dict(seen.hosts), dict(seen.endpoints), False,
    )  # fmt: skip


def _with_more_laps(tape: Tape, options: PlanOptions, seen: PlanMeter, laps: int) -> Figures:
    lap, _ = _look(tape, replace(options, loop=1, herd=()), MOST)

    def sums(first: Counter[str], each: Counter[str]) -> dict[str, int]:
        return {name: count + laps * each[name] for name, count in first.items()}

    return Figures(
        seen, seen.requests + laps * lap.requests, seen.connections + laps * lap.connections,
        seen.bytes + laps * lap.bytes, seen.last_ns + laps * lap.last_ns,
        sums(seen.methods, lap.methods), sums(seen.hosts, lap.hosts),
        sums(seen.endpoints, lap.endpoints), False,
    )  # fmt: skip


def _times(seen: PlanMeter, factor: float, span_ns: int) -> Figures:
    def more(counter: Counter[str]) -> dict[str, int]:
        return {name: round(count * factor) for name, count in counter.items()}

    return Figures(
        seen, round(seen.requests * factor), round(seen.connections * factor),
        round(seen.bytes * factor), span_ns,
        more(seen.methods), more(seen.hosts), more(seen.endpoints), True,
    )  # fmt: skip


def _pictures(figures: Figures) -> Iterator[str]:
    arrivals = figures.seen.arrivals
    if arrivals.last_ns <= arrivals.first_ns:
        return
    step_s, rates = arrivals.series(60)
    part = "" if figures.whole else f" of its first {duration(figures.seen.last_ns / 1e9)}"
    peak = f"a mark is {duration(step_s)}, the highest {max(rates):,.0f}/s{part}"
    yield f"rate        {sparkline(rates)}  {peak}"
    idc = [[moment.tau_s, moment.idc] for moment in arrivals.counts.cascade()]
    if idc:
        drawn = sparkline([value for _, value in idc])
        yield f"burstiness  {drawn}  {at_decades(idc)} (IDC; Poisson: 1)"


def _count(counter: Counter[str], column: Any) -> None:
    counts = np.bincount(column.codes)
    for code in np.flatnonzero(counts).tolist():
        counter[column.values[code]] += int(counts[code])
