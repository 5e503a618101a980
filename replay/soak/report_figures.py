"""The pictures of a soak's report: latency, failures and rate by window; each watched metric."""

from __future__ import annotations

from typing import Any

from shapes.figures import Figure
from shapes.plots import Card, Line, figure

from .telling import of_metric

MOST_METRICS = 12
HOUR_S = 3600.0


def cards(content: dict[str, Any]) -> list[Card]:
    """Every picture, with what to see in it."""
    drawn: list[Card] = []
    windows = [each for each in content["windows"] if each["seconds"] > 0]
    # The last one may have ended with the soak; a moment says nothing beside an hour.
    longest = max((each["seconds"] for each in windows), default=0.0)
    windows = [each for each in windows if each["seconds"] >= longest / 10]
    if len(windows) > 1:
        drawn += _of_windows(windows)
    for each in content["watched"][:MOST_METRICS]:
        if len(each["at_s"]) > 1:
            drawn.append(_of_metric(each))
    return drawn


def _of_windows(windows: list[dict[str, Any]]) -> list[Card]:
    unit, scale = _unit(windows[-1]["start_s"] + windows[-1]["seconds"])
    at = [(each["start_s"] + each["seconds"]) / scale for each in windows]
    axis = f"time of the soak ({unit})"
    p50, p99 = ([each[name] for each in windows] for name in ("p50", "p99"))
    failed = [100 * each["failed"] / max(1, each["failed"] + each["answered"]) for each in windows]
    sent = [each["sent"] / each["seconds"] for each in windows]
    due = [each["due"] / each["seconds"] for each in windows]
    whole_s = sum(each["seconds"] for each in windows)
    worst = max(range(len(p99)), key=lambda n: p99[n])
    return [
        Card(
            f"p99 was at most {p99[worst]:,.1f} ms, {at[worst]:,.2g} {unit} into the soak",
            "Service time of all requests, each point one window of the summary.",
            _from_zero([("p99", at, p99), ("p50", at, p50)], axis, "service time (ms)"),
        ),
        Card(
            f"At most {max(failed):.2f} % of a window failed" if any(failed) else "Nothing failed",
            "No whole answer, or a status of 5xx.",
            _from_zero([("failed", at, failed)], axis, "failed (%)"),
        ),
        Card(
            f"{sum(each['sent'] for each in windows) / whole_s:,.1f} requests/s were sent",
            "The two lines lie on each other where the soak followed its plan.",
            _from_zero([("sent", at, sent), ("planned", at, due)], axis, "requests/s"),
        ),
    ]


def _of_metric(each: dict[str, Any]) -> Card:
    unit, scale = _unit(each["at_s"][-1])
    size, name = (1 << 20, "MB") if "bytes" in each["metric"] else (1, each["metric"])
    at = [seconds / scale for seconds in each["at_s"]]
    title = (
        f"{each['metric']} leaks: {each['per_hour']} an hour" if each["leaks"] else of_metric(each)
    )  # fmt: skip
    lines: list[Line] = [
        ("greatest", at, [value / size for value in each["greatest"]]),
        ("least", at, [value / size for value in each["least"]]),
    ]
    see = "A leak lifts the least value of each stretch; a collector's sawtooth does not."
    return Card(title, see, _from_zero(lines, f"time of the soak ({unit})", name))


def _from_zero(lines: list[Line], x: str, y: str) -> Figure:
    return figure(lines, x, y, from_zero=True)


def _unit(seconds: float) -> tuple[str, float]:
    return ("h", HOUR_S) if seconds > 2 * HOUR_S else ("min", 60.0)
