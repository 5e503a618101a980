"""The pictures of a report.

Every figure is binned here, so that a page of a million exchanges weighs what one of a thousand
does. Colours are named by their role (`recorded`, `replayed`, `bad` …); the page defines those of
its light and its dark theme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from capture.exchange import NEVER
from shapes.axes import Axis
from shapes.figures import Figure, Mark, Trace
from shapes.plots import Card

from .history import History
from .judge import MS, Verdict, human, recorded_ns
from .moments import Moment
from .rows import Array, Rows

POINTS = 400
NINES = np.concatenate([np.linspace(0, 0.9, 37), 1 - np.geomspace(0.1, 1e-5, 41)[1:]])
NINES_TICKS = ((0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"),
               (5.0, "99.999 %"))  # fmt: skip
TIME = Axis("s since the first request")
MARK_COLOURS = {"burst": "quiet", "slow": "unsure", "abort": "bad", "finding": "bad"}
MARKS_APART = 22  # of this many words side by side each can be read


def figures(
    rows: Rows,
    verdict: Verdict,
    moments: tuple[Moment, ...] = (),
    history: History | None = None,
    endpoints: int = 6,
) -> list[Card]:
    """Every picture of the page."""
    last_s = (rows.span_ns[1] - rows.span_ns[0]) / 1e9
    marks = _marks(moments, last_s)
    drawn = [_rate(rows, 1000, marks)] if rows.is_run else []
    drawn.append(_over_time(rows, marks))
    drawn += [_rate(rows, 10), _lateness(rows)] if rows.is_run else []
    drawn += [_percentiles(rows, row.endpoint) for row in verdict.endpoints[:endpoints]]
    drawn += [_little(rows, verdict), _statuses(rows)]
    return drawn + ([_history(history)] if history and len(history.runs) > 1 else [])


def _marks(moments: tuple[Moment, ...], last_s: float) -> tuple[Mark, ...]:
    """A line at each moment with its number in the timeline; near ones would hide each other."""
    told, shown_s = [], -last_s
    for number, moment in enumerate(moments, 1):
        apart = moment.at_s - shown_s > last_s / MARKS_APART
        shown_s = moment.at_s if apart else shown_s
        word = str(number) if apart else ""
        told.append(Mark(round(moment.at_s, 3), word, MARK_COLOURS[moment.kind]))
    return tuple(told)


def _history(history: History) -> Card:
    changed = [change.series for change in history.changes if change.series.startswith("p99")]
    counts = Counter(name for past in history.runs for name in past.figures if name[:3] == "p99")
    names = dict.fromkeys([*changed, *(name for name, _ in counts.most_common(3))])
    lines = []
    for name, colour in zip(list(names)[:3], ("replayed", "recorded", "quiet"), strict=False):
        at = [place for place, past in enumerate(history.runs) if name in past.figures]
        values = np.array([history.runs[place].figures[name] for place in at])
        lines.append(_line(name[4:-1], np.array(at) + 1.0, values, colour, kind="lines+markers"))
    return Card(
        "p99 over the runs", "The endpoints that changed, else those with most runs.",
        Figure(tuple(lines), Axis("runs, oldest first"), Axis("ms", log=True)),
    )  # fmt: skip


def _line(name: str, x: Iterable[float], y: Iterable[float], colour: str, **more: Any) -> Trace:
    # The recorded line is broad: where the replayed one lies on it, both are seen.
    wide = 4.0 if colour == "recorded" else 1.6
    xs = [round(float(value), 6) for value in x]
    ys = [None if not np.isfinite(value) else round(float(value), 4) for value in y]
    return Trace(name, xs, ys, colour, width=wide, **more)


def _rate(rows: Rows, width_ms: int, marks: tuple[Mark, ...] = ()) -> Card:
    """Planned against sent; of the fine bins, the stretch around the largest burst."""
    due = rows["due_ns"][rows["due_ns"] != NEVER]
    sent = rows["request_first_ns"][rows["request_first_ns"] != NEVER]
    start, width = int(due.min()), width_ms * MS
    bins = int(max(due.max(), sent.max() if len(sent) else 0) - start) // width + 1
    planned, gone = (np.bincount(np.maximum(0, t - start) // width, minlength=bins)
                     for t in (due, sent))  # fmt: skip
    first = max(0, int(np.argmax(planned)) - POINTS // 2) if bins > POINTS * 2 else 0
    last = min(bins, first + POINTS) if bins > POINTS * 2 else bins
    at = np.arange(first, last) * width_ms / 1000
    per_s = 1000 / width_ms
    lines = (
        _line("planned", at, planned[first:last] * per_s, "recorded", steps=True),
        _line("sent", at, gone[first:last] * per_s, "replayed", steps=True),
    )
    return Card(
        f"Planned and sent, in bins of {width_ms:,} ms",
        "The two lines lie on each other where the run followed its plan.",
        Figure(lines, TIME, Axis("requests/s", from_zero=True), marks),
    )


def _lateness(rows: Rows) -> Card:
    late = np.maximum(rows.late_ns, 1000) / MS
    lines = (_line("lateness", *_distribution(late), "replayed"),) if len(late) else ()
    return Card(
        "Lateness", "How long after it was due each request was sent: our own fault.",
        Figure(lines, Axis("share of requests", ticks=NINES_TICKS), Axis("ms", log=True)),
    )  # fmt: skip


def _distribution(values: Array) -> tuple[Array, Array]:
    """Quantiles over nines: x is −log10(1 − q), so 99 % stands at 2 and 99.9 % at 3."""
    nines = NINES[(1 - NINES) * len(values) >= 0.5]
    return -np.log10(1 - nines), np.quantile(values, nines)


def _percentiles(rows: Rows, endpoint: str) -> Card:
    mask = rows.of(endpoint)
    series = [("recorded", recorded_ns(rows)[mask], "recorded")]
    if rows.is_run:
        series += [
            ("replayed", rows.service_ns[mask], "replayed"),
            ("response time", rows.response_ns[mask], "quiet"),
        ]
    lines = []
    for name, times, colour in series:
        known = times[times > 0]
        if len(known):
            lines.append(_line(name, *_distribution(known / MS), colour))
    return Card(
        endpoint, "Service time by percentile; response time counts from when it was due.",
        Figure(tuple(lines), Axis("percentile", ticks=NINES_TICKS), Axis("ms", log=True)),
    )  # fmt: skip


def _over_time(rows: Rows, marks: tuple[Mark, ...]) -> Card:
    service, sent = rows.service_ns, rows["request_first_ns"]
    whole = rows.answered
    lines = []
    if whole.any():
        start, end = rows.span_ns
        width = max((end - start) // (POINTS // 2), MS)
        place = (sent[whole] - start) // width
        order = np.argsort(place, kind="stable")
        edges = np.flatnonzero(np.diff(place[order])) + 1
        groups = np.split(service[whole][order] / MS, edges)
        at = place[order][np.concatenate([[0], edges])] * width / 1e9
        for q, colour in ((0.5, "quiet"), (0.99, "replayed")):
            values = np.array([np.quantile(group, q) for group in groups])
            lines.append(_line(f"p{q * 100:g}", at, values, colour))
    return Card(
        "Latency over time", "p50 and p99 of service time; spikes are where it broke.",
        Figure(tuple(lines), TIME, Axis("ms", log=True), marks),
    )  # fmt: skip


def _little(rows: Rows, verdict: Verdict) -> Card:
    """Throughput against requests in flight: where it flattens, the target is full."""
    whole = rows.answered
    lines: tuple[Trace, ...] = ()
    see = "A line that rises is room; where it lies flat, more requests only wait."
    if whole.sum() >= 10:
        start = int(rows.span_ns[0])
        width = max(100 * MS, int(np.ptp(rows["response_last_ns"][whole])) // 1000)
        sent, ended = ((rows[name][whole] - start) // width
                       for name in ("request_first_ns", "response_last_ns"))  # fmt: skip
        served = np.bincount(ended)
        waiting = np.bincount(sent, verdict.in_flight[whole], len(served))[: len(served)]
        arrived = np.bincount(sent, minlength=len(served))[: len(served)]
        level = waiting / np.maximum(1, arrived)
        seen = (served > 0) & (arrived > 0)
        lines = (
            _line("one bin", level[seen], served[seen] * 1e9 / width, "replayed", kind="markers",
                  opacity=0.55),
        )  # fmt: skip
        see += f" A dot is {human(width / MS)}."
    axes = Axis("requests in flight", from_zero=True), Axis("answers/s", from_zero=True)
    return Card("In flight against throughput (Little's law)", see, Figure(lines, *axes))


def _statuses(rows: Rows) -> Card:
    pairs = [("recorded", "recorded_status", "recorded"), ("replayed", "status", "replayed")]
    bars = []
    for name, column, colour in pairs if rows.is_run else [("recorded", "status", "recorded")]:
        values, counts = np.unique(rows[column], return_counts=True)
        bars.append(Trace(name, [str(each) for each in values], counts.tolist(), colour, "columns"))
    names = tuple(sorted({name for bar in bars for name in bar.x}, key=int))
    return Card(
        "Statuses", "Recorded beside replayed; 0 is no answer.",
        Figure(tuple(bars), Axis("", names=names), Axis("exchanges", from_zero=True)),
    )  # fmt: skip
