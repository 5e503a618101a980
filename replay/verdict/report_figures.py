"""The pictures of a report, as plain Plotly figures: traces and layout, no colours.

Every figure is binned here, so that a page of a million exchanges weighs what one of a thousand
does. Colours are named by their role (`--recorded`, `--replayed`, `--bad` …); the page puts in
those of its light or dark theme.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from capture.exchange import NEVER

from .history import History
from .judge import MS, Verdict, human, recorded_ns
from .moments import Moment
from .rows import Array, Rows

POINTS = 400
NINES = np.concatenate([np.linspace(0, 0.9, 37), 1 - np.geomspace(0.1, 1e-5, 41)[1:]])
Figure = dict[str, Any]


def figures(
    rows: Rows,
    verdict: Verdict,
    moments: tuple[Moment, ...] = (),
    history: History | None = None,
    endpoints: int = 6,
) -> list[Figure]:
    """Every figure of the page: id, title, what to see in it, traces, axes."""
    drawn = [_rate(rows, 1000), _over_time(rows)] if rows.is_run else [_over_time(rows)]
    marks = [{"at": round(moment.at_s, 3), "kind": moment.kind} for moment in moments]
    for figure in drawn:
        figure["marks"] = marks
    drawn += [_rate(rows, 10), _lateness(rows)] if rows.is_run else []
    drawn += [_percentiles(rows, row.endpoint) for row in verdict.endpoints[:endpoints]]
    drawn += [_little(rows, verdict), _statuses(rows)]
    return drawn + ([_history(history)] if history and len(history.runs) > 1 else [])


def _history(history: History) -> Figure:
    figure = _figure(
        "history", "p99 over the runs", "The endpoints that changed, else those with most runs.",
        "runs, oldest first", "ms", log=True,
    )  # fmt: skip
    changed = [change.series for change in history.changes if change.series.startswith("p99")]
    counts = Counter(name for past in history.runs for name in past.figures if name[:3] == "p99")
    names = dict.fromkeys([*changed, *(name for name, _ in counts.most_common(3))])
    for name, colour in zip(list(names)[:3], ("replayed", "recorded", "quiet"), strict=False):
        at = [place for place, past in enumerate(history.runs) if name in past.figures]
        values = np.array([history.runs[place].figures[name] for place in at])
        line = _line(name[4:-1], np.array(at) + 1.0, values, colour, mode="lines+markers")
        figure["traces"].append(line)
    return figure


def _figure(name: str, title: str, see: str, x: str, y: str, **more: Any) -> Figure:
    return {"id": name, "title": title, "see": see, "x": x, "y": y, "traces": [], **more}


def _line(name: str, x: Array, y: Array, colour: str, **more: Any) -> Figure:
    xs = [round(float(value), 6) for value in x]
    ys = [None if not np.isfinite(value) else round(float(value), 4) for value in y]
    return {"name": name, "x": xs, "y": ys, "colour": colour, "mode": "lines", **more}


def _rate(rows: Rows, width_ms: int) -> Figure:
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
    figure = _figure(
        f"rate{width_ms}",
        f"Planned and sent, in bins of {width_ms:,} ms",
        "The two lines lie on each other where the run followed its plan.",
        "s since the first request", "requests/s",
    )  # fmt: skip
    figure["traces"] = [
        _line("planned", at, planned[first:last] * per_s, "recorded", shape="hv"),
        _line("sent", at, gone[first:last] * per_s, "replayed", shape="hv"),
    ]
    return figure


def _lateness(rows: Rows) -> Figure:
    late = np.maximum(rows.late_ns, 1000) / MS
    figure = _figure(
        "lateness", "Lateness", "How long after it was due each request was sent: our own fault.",
        "share of requests", "ms", log=True, nines=True,
    )  # fmt: skip
    if len(late):
        figure["traces"] = [_line("lateness", *_distribution(late), "replayed")]
    return figure


def _distribution(values: Array) -> tuple[Array, Array]:
    """Quantiles over nines: x is −log10(1 − q), so 99 % stands at 2 and 99.9 % at 3."""
    nines = NINES[(1 - NINES) * len(values) >= 0.5]
    return -np.log10(1 - nines), np.quantile(values, nines)


def _percentiles(rows: Rows, endpoint: str) -> Figure:
    mask = rows.of(endpoint)
    figure = _figure(
        f"hdr{rows.endpoints.index(endpoint)}", endpoint,
        "Service time by percentile; response time counts from when it was due.",
        "percentile", "ms", log=True, nines=True,
    )  # fmt: skip
    series = [("recorded", recorded_ns(rows)[mask], "recorded")]
    if rows.is_run:
        series += [
            ("replayed", rows.service_ns[mask], "replayed"),
            ("response time", rows.response_ns[mask], "quiet"),
        ]
    for name, times, colour in series:
        known = times[times > 0]
        if len(known):
            figure["traces"].append(_line(name, *_distribution(known / MS), colour))
    return figure


def _over_time(rows: Rows) -> Figure:
    service, sent = rows.service_ns, rows["request_first_ns"]
    whole = rows.answered
    figure = _figure(
        "latency", "Latency over time", "p50 and p99 of service time; spikes are where it broke.",
        "s since the first request", "ms", log=True,
    )  # fmt: skip
    if not whole.any():
        return figure
    start, end = rows.span_ns
    width = max((end - start) // (POINTS // 2), MS)
    place = (sent[whole] - start) // width
    order = np.argsort(place, kind="stable")
    edges = np.flatnonzero(np.diff(place[order])) + 1
    groups = np.split(service[whole][order] / MS, edges)
    at = place[order][np.concatenate([[0], edges])] * width / 1e9
    for q, colour in ((0.5, "quiet"), (0.99, "replayed")):
        values = np.array([np.quantile(group, q) for group in groups])
        figure["traces"].append(_line(f"p{q * 100:g}", at, values, colour))
    return figure


def _little(rows: Rows, verdict: Verdict) -> Figure:
    """Throughput against requests in flight: where it flattens, the target is full."""
    figure = _figure(
        "little", "In flight against throughput (Little's law)",
        "A line that rises is room; where it lies flat, more requests only wait.",
        "requests in flight", "answers/s",
    )  # fmt: skip
    whole = rows.answered
    if whole.sum() < 10:
        return figure
    start = int(rows.span_ns[0])
    width = max(100 * MS, int(np.ptp(rows["response_last_ns"][whole])) // 1000)
    sent, ended = ((rows[name][whole] - start) // width
                   for name in ("request_first_ns", "response_last_ns"))  # fmt: skip
    served = np.bincount(ended)
    waiting = np.bincount(sent, verdict.in_flight[whole], len(served))[: len(served)]
    arrived = np.bincount(sent, minlength=len(served))[: len(served)]
    level = waiting / np.maximum(1, arrived)
    seen = (served > 0) & (arrived > 0)
    figure["traces"] = [
        _line("one bin", level[seen], served[seen] * 1e9 / width, "replayed", mode="markers")
    ]
    figure["see"] += f" A dot is {human(width / MS)}."
    return figure


def _statuses(rows: Rows) -> Figure:
    figure = _figure(
        "status", "Statuses", "Recorded beside replayed; 0 is no answer.", "", "exchanges",
    )  # fmt: skip
    pairs = [("recorded", "recorded_status", "recorded"), ("replayed", "status", "replayed")]
    for name, column, colour in pairs if rows.is_run else [("recorded", "status", "recorded")]:
        values, counts = np.unique(rows[column], return_counts=True)
        figure["traces"].append(
            {"name": name, "type": "bar", "x": [str(value) for value in values],
             "y": counts.tolist(), "colour": colour}
        )  # fmt: skip
    return figure
