"""When something happened in a run: bursts of the plan, slow stretches, aborts, findings.

Moments are what the timeline of a report is annotated with. A burst is a stretch of the plan of
three times its median rate or more; a slow stretch one whose p99 is five times its median p99.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from capture.exchange import NEVER, Outcome

from .judge import Finding, human
from .rows import Array, Rows
from .silence import BROKEN

BINS = 200
BURST = 3.0
SLOW = 5.0
EACH = 4  # of a kind, the largest


@dataclass(frozen=True)
class Moment:
    """A time in a run, in s since its first request, and what happened then."""

    at_s: float
    kind: str  # burst, slow, abort, finding
    text: str


def moments_of(rows: Rows, findings: tuple[Finding, ...]) -> tuple[Moment, ...]:
    """What a timeline is to be annotated with, in order of time."""
    if not rows.is_run or not len(rows):
        return ()
    start = _start(rows)
    found = [*_bursts(rows, start), *_slow(rows, start), *_aborts(rows, start)]
    found += _findings(rows, findings, start)
    return tuple(sorted(found, key=lambda moment: moment.at_s))


def _start(rows: Rows) -> int:
    due = rows["due_ns"]
    return int(due[due != NEVER].min())


def _bins(times: Array, start: int) -> tuple[Array, int]:
    span = max(1, int(times.max()) - start)
    width = max(span // BINS, 100_000_000)
    return np.maximum(0, times - start) // width, width


def _stretches(high: Array, values: Array) -> Iterator[tuple[int, int, float]]:
    """(first, last, largest) of the runs of bins that are high, largest first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]])))
    found = [(int(a), int(b), float(values[a:b].max())) for a, b in edges.reshape(-1, 2).tolist()]
    yield from sorted(found, key=lambda stretch: -stretch[2])[:EACH]


def _bursts(rows: Rows, start: int) -> Iterator[Moment]:
    due = rows["due_ns"][rows["due_ns"] != NEVER]
    place, width = _bins(due, start)
    counts = np.bincount(place)
    usual = float(np.median(counts[counts > 0]))
    high = counts >= max(BURST * usual, 5)
    for first, last, most in _stretches(high, counts):
        for_s = (last - first) * width / 1e9
        text = f"burst of {most * 1e9 / width:,.0f} requests/s for {human(for_s * 1000)}"
        yield Moment(first * width / 1e9, "burst", text)


def _slow(rows: Rows, start: int) -> Iterator[Moment]:
    whole = np.flatnonzero(rows.answered)
    if len(whole) < BINS:
        return
    place, width = _bins(rows["request_first_ns"][whole], start)
    order = np.lexsort((rows.service_ns[whole], place))
    edges = np.flatnonzero(np.diff(place[order])) + 1
    worst = np.zeros(int(place.max()) + 1)
    for group in np.split(order, edges):
        worst[place[group[0]]] = rows.service_ns[whole[group[int(0.99 * (len(group) - 1))]]] / 1e6
    usual = float(np.median(worst[worst > 0]))
    high = worst >= max(SLOW * usual, 20)
    for first, _, most in _stretches(high, worst):
        yield Moment(
            first * width / 1e9,
            "slow",
            f"slow stretch: p99 of {human(most)}, usually {human(usual)}",
        )


def _aborts(rows: Rows, start: int) -> Iterator[Moment]:
    for outcome, text in BROKEN.items():
        places = np.flatnonzero(rows["outcome"] == outcome)
        if len(places):
            at = _time(rows, int(places[0]))
            yield Moment(max(0, at - start) / 1e9, "abort", f"{text}, {len(places):,} times")
    unsent = np.flatnonzero(rows["outcome"] == Outcome.UNSENT)
    if len(unsent):
        at = int(rows["due_ns"][unsent].min())
        yield Moment((at - start) / 1e9, "abort", f"the run ended: {len(unsent):,} never sent")


def _findings(rows: Rows, findings: tuple[Finding, ...], start: int) -> list[Moment]:
    found = []
    for finding in findings:
        if finding.rows:
            at = min(_time(rows, place) for place in finding.rows)
            found.append(Moment(max(0, at - start) / 1e9, "finding", finding.sentence))
    return found


def _time(rows: Rows, place: int) -> int:
    sent = int(rows["request_first_ns"][place])
    return sent if sent != NEVER else int(rows["due_ns"][place])
