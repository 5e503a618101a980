"""The pictures of a shape. Each title says what was found in this shape, not what is plotted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .detail_cards import detail_cards, short
from .plots import Card, Line, figure
from .screen import duration, of_sample, times

_FEWEST_POINTS = 2


def cards_of(shape: dict[str, Any]) -> list[Card]:
    """The pictures of a shape, the most telling first; without those it has no data for."""
    return [
        *rates(shape["arrivals"]["zooms"]),
        *_burstiness(shape["arrivals"]),
        *_gaps(shape["arrivals"]),
        *_concurrency(shape["in_flight"]),
        *_sessions(shape["sessions"]),
        *_endpoints(shape["mix"]),
        *_sizes(shape["mix"]),
        *detail_cards(shape),
    ]


def facts_of(shape: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures above the pictures: (name, value)."""
    arrivals = shape["arrivals"]
    return [
        ("exchanges", f"{arrivals['exchanges']:,}"),
        ("span", duration(arrivals["span_s"])),
        ("requests/s", f"{arrivals['rate_per_s']:,.1f}"),
        (f"SCV of gaps{of_sample(arrivals, 'gap_scv')} (Poisson: 1)", f"{arrivals['gap_scv']:.2f}"),
        ("sessions", f"{shape['sessions']['count']:,}"),
        ("most in flight", f"{shape['in_flight']['peak']:,.0f}"),
        ("malformed", f"{shape['mix']['malformed_share']:.2%}"),
        ("repeated requests", f"{shape['mix']['key_reuse']:.0%}"),
        ("Gini of clients", f"{shape['clients']['gini']:.2f}"),
    ]


def rates(
    zooms: Sequence[dict[str, Any]], span: str = "over the whole span", due: bool = False
) -> list[Card]:
    """The rate at each zoom of arrivals (`arrivals.zooms`): as seen, or as it is due."""
    cards = []
    places = (span, "in its busiest tenth", "in the busiest hundredth")
    line, word = ("due", " due") if due else ("rate", "")
    for where, zoom in zip(places, zooms, strict=False):
        per_s, step, start = zoom["per_s"], zoom["step_s"], zoom["start_s"]
        at = [start + i * step for i in range(len(per_s))]
        cards.append(Card(
            f"Up to {max(per_s):,.0f} requests/s{word} {where}",
            f"Requests{word} a second, in steps of {duration(step)}.",
            figure([(line, at, per_s)], "time since the first request (s)", "requests/s",
                   from_zero=True),
        ))  # fmt: skip
    return cards


def _burstiness(arrivals: dict[str, Any]) -> list[Card]:
    tau, idc = _columns(arrivals["idc"])
    if len(tau) < _FEWEST_POINTS:
        return []
    top = max(idc)
    said = "About as even as Poisson at every timescale"
    if top > 1.5:
        said = f"{times(top)} times as bursty as Poisson at {duration(tau[idc.index(top)])}"
    lines = [("IDC", tau, idc), ("Allan factor", *_columns(arrivals["allan"])),
             ("Poisson", tau, [1.0] * len(tau))]  # fmt: skip
    how = "Variance of the count over its mean; above 1 is burstiness."
    if arrivals["hurst"]:
        h = arrivals["hurst"]
        how += f" Hurst {h['value']:.2f} (95 %: {h['low']:.2f} to {h['high']:.2f})."
    return [Card(said, how,
                 figure(lines, "timescale (s)", "index of dispersion",
                        log_x=True, log_y=True))]  # fmt: skip


def _gaps(arrivals: dict[str, Any]) -> list[Card]:
    if arrivals["exchanges"] < _FEWEST_POINTS:
        return []
    q, gaps = _columns(arrivals["gap_quantiles_s"])
    points = [(gap, 100 * share) for gap, share in zip(gaps, q, strict=True) if gap > 0]
    if len(points) < _FEWEST_POINTS:
        return []
    xs, ys = map(list, zip(*points, strict=True))
    half = duration(gaps[q.index(0.5)])
    return [Card(f"Half of the gaps are below {half}", "Time between consecutive requests.",
                 figure([("gaps", xs, ys)], "gap (s)", "share below (%)", log_x=True,
                        kind="lines+markers"))]  # fmt: skip


def _concurrency(in_flight: dict[str, Any]) -> list[Card]:
    course = in_flight.get("series", {"values": []})
    values = course["values"]
    if len(values) < _FEWEST_POINTS or not in_flight["peak"]:
        return []
    at = [(i + 1) * course["step_s"] for i in range(len(values))]
    return [Card(f"Up to {in_flight['peak']:,.0f} requests were in flight at once",
                 f"Begun and not yet answered, every {duration(course['step_s'])}; "
                 "the peak may lie between.",
                 figure([("in flight", at, values)], "time since the first request (s)",
                        "requests in flight", from_zero=True))]  # fmt: skip


def _sessions(users: dict[str, Any]) -> list[Card]:
    cards = []
    lines: list[Line] = []
    for name, key in (("pause", "think_s"), ("whole session", "duration_s")):
        points = [(v, float(q.lstrip("p"))) for q, v in users[key].items() if v > 0]
        if len(points) >= _FEWEST_POINTS:
            lines.append((name, [v for v, _ in points], [q for _, q in points]))
    if lines:
        pause = duration(users["think_s"]["p50"])
        cards.append(Card(
            f"Users make {users['mean_requests']:.1f} requests, pausing {pause}",
            "How long pauses between the requests of a session, and sessions, last.",
            figure(lines, "duration (s)", "share below (%)", log_x=True, kind="lines+markers"),
        ))  # fmt: skip
    tau, idc = _columns(users["start_idc"])
    if len(tau) >= _FEWEST_POINTS and max(idc) > 0:
        top = max(idc)
        said = f"Users arrive {times(top)} times as burstily as Poisson" if top > 1.5 else (
            "Users arrive independently of each other")  # fmt: skip
        lines = [("session starts", tau, idc), ("Poisson", tau, [1.0] * len(tau))]
        cards.append(Card(said, "Dispersion of the starts of sessions.",
                          figure(lines, "timescale (s)", "index of dispersion",
                                 log_x=True, log_y=True)))  # fmt: skip
    return cards


def _endpoints(mix: dict[str, Any]) -> list[Card]:
    top = mix["endpoints"][:12]
    if not top:
        return []
    names = [short(entry["endpoint"]) for entry in top]
    shares = [100 * entry["share"] for entry in top]
    cards = [Card(f"{names[0]} is {shares[0]:.0f} % of the requests",
                  "The endpoints that are asked most.",
                  figure([("share", shares[::-1], names[::-1])], "share of the requests (%)", "",
                         kind="bars"))]  # fmt: skip
    answered = [(name, entry["service_s"]) for name, entry in zip(names, top, strict=True)
                if entry["service_s"]["p99"] > 0]  # fmt: skip
    if answered:
        slowest, worst = max(answered, key=lambda pair: pair[1]["p99"])
        shown = [name for name, _ in answered[::-1]]
        lines = [(q, [service[q] for _, service in answered[::-1]], shown) for q in ("p50", "p99")]
        cards.append(Card(
            f"{slowest} is the slowest: {duration(worst['p99'])} at p99",
            "Recorded time from request to answer, of the endpoints that are asked most.",
            figure(lines, "service time (s)", "", log_x=True, kind="markers"),
        ))  # fmt: skip
    return cards


def _sizes(mix: dict[str, Any]) -> list[Card]:
    lines = []
    for name, key in (("request", "request_bytes"), ("response", "response_bytes")):
        points = [(v, float(q.lstrip("p"))) for q, v in mix[key].items() if v > 0]
        if points:
            lines.append((name, [v for v, _ in points], [q for _, q in points]))
    if not lines:
        return []
    heavy = mix["response_bytes"]["p99"]
    return [Card(f"One response in a hundred exceeds {heavy:,.0f} bytes", "Sizes on the wire.",
                 figure(lines, "bytes", "share below (%)", log_x=True,
                        kind="lines+markers"))]  # fmt: skip


def _columns(pairs: list[list[float]]) -> tuple[list[float], list[float]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
