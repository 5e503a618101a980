"""More pictures of a shape: periods, what follows what, connections, malformed requests."""

from __future__ import annotations

from typing import Any

from .plots import Card, Line, figure
from .screen import duration, times

_MOST = 12
_FEWEST_POINTS = 2


def detail_cards(shape: dict[str, Any]) -> list[Card]:
    """The pictures, without those that the shape has no data for."""
    return [
        *_periods(shape["arrivals"]),
        *_following(shape["mix"].get("bigrams", [])),
        *_connections(shape.get("connections", {"count": 0})),
        *_malformed(shape["mix"].get("malformed", {})),
    ]


def short(name: str, most: int = 28) -> str:
    """A name that fits beside an axis."""
    name = name or "(no endpoint)"
    return name if len(name) <= most else name[: most - 1] + "…"


def _periods(arrivals: dict[str, Any]) -> list[Card]:
    found = arrivals["autocorrelation"]
    values, step, period = found["values"], found["step_s"], found["period_s"]
    if len(values) < 10:
        return []
    said = f"Traffic repeats every {duration(period)}" if period else "No period stands out"
    lags = [lag * step for lag in range(1, len(values))]
    return [Card(said, "How like the rate is to itself some time later; 1 is the same.",
                 figure([("autocorrelation", lags, values[1:])], "lag (s)",
                        "autocorrelation"))]  # fmt: skip


def _following(bigrams: list[list[Any]]) -> list[Card]:
    total = sum(count for _, _, count in bigrams)
    if not total:
        return []
    top = bigrams[:_MOST][::-1]
    names = [f"{short(a, 14)} → {short(b, 14)}" for a, b, _ in top]
    shares = [100 * count / total for _, _, count in top]
    before, after, most = bigrams[0]
    return [Card(f"After {before or '(no endpoint)'} comes {after or '(no endpoint)'} most often",
                 f"Pairs of consecutive requests of a user; it is {most / total:.0%} of them.",
                 figure([("share", shares, names)], "share (%)", "",
                        kind="bars"))]  # fmt: skip


def _connections(found: dict[str, Any]) -> list[Card]:
    if not found["count"]:
        return []
    lives = [(v, float(q.lstrip("p"))) for q, v in found["life_s"].items() if v > 0]
    said = f"A connection carries {times(found['mean_requests'])} requests"
    if len(lives) < _FEWEST_POINTS:
        return []
    lines: list[Line] = [("life", [v for v, _ in lives], [q for _, q in lives])]
    return [Card(f"{said}; half live below {duration(found['life_s']['p50'])}",
                 f"How long {found['count']:,} connections were open; "
                 f"{found['reused_share']:.0%} carried more than one request.",
                 figure(lines, "duration (s)", "share below (%)", log_x=True,
                        kind="lines+markers"))]  # fmt: skip


def _malformed(classes: dict[str, dict[str, Any]]) -> list[Card]:
    if not classes:
        return []
    top = list(classes.items())[:_MOST][::-1]
    name, most = top[-1]
    names = [short(each.replace("_", " ")) for each, _ in top]
    shares = [100 * found["share"] for _, found in top]
    return [Card(f"{name.replace('_', ' ')} is the commonest defect",
                 f"{most['exchanges']:,} requests in {most['runs']:,} runs of a client, the "
                 f"longest of {most['longest_run']:,}.",
                 figure([("share", shares, names)], "share of the requests (%)", "",
                        kind="bars"))]  # fmt: skip
