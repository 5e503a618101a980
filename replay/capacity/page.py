"""The search as one offline page: what users waited, what came back, what was under way."""

from __future__ import annotations

from shapes.plots import Card, Line, figure, page

from .capacity import Capacity, Probe
from .search import BREAKS, HOLDS, INVALID

WORDS = (HOLDS, BREAKS, INVALID)


def as_html(name: str, told: Capacity) -> str:
    """The page, with the answer at its head."""
    probes = sorted(told.probes, key=lambda probe: probe.offered)
    knee = told.knee
    facts = [
        ("largest scale that holds", f"{told.scale:.3g}" if told.scale else "none"),
        ("requests/s there", f"{told.rate:,.1f}"),
        ("no more at scale", f"{told.above:.3g}" if told.above is not None else "not found"),
        ("knee, requests/s", f"{knee.offered:,.1f}" if knee else "none"),
        ("runs", str(len(probes))),
    ]
    at_knee = f" The knee is at {knee.offered:,.0f} requests/s." if knee else ""
    cards = [
        Card(
            f"Capacity of {name}",
            "p99 of response time of each run; where it turns upward the target is full."
            + at_knee,
            figure(_by_word(probes, knee), "offered (requests/s)", "p99 (ms)", log_y=True,
                   kind="markers"),
        ),
        Card(
            "What came back",
            "Answers follow the offered load until the target is full; from there on they do not.",
            figure(
                [("as offered", [p.offered for p in probes], [p.offered for p in probes]),
                 ("answered", [p.offered for p in _valid(probes)],
                  [p.answered for p in _valid(probes)])],
                "offered (requests/s)", "answered (requests/s)",
            ),
        ),
        Card(
            "What users waited",
            "Median and p99; the distance between them is the queue.",
            figure(
                [("p50", [p.offered for p in _valid(probes)], [p.p50 for p in _valid(probes)]),
                 ("p99", [p.offered for p in _valid(probes)], [p.p99 for p in _valid(probes)])],
                "offered (requests/s)", "response time (ms)", log_y=True,
            ),
        ),
        Card(
            "What was under way",
            "Requests in flight on average: answers a second times the time of each (Little).",
            figure([("in flight", [p.offered for p in _valid(probes)],
                     [p.in_flight for p in _valid(probes)])],
                   "offered (requests/s)", "in flight"),
        ),
    ]  # fmt: skip
    return page(told.sentence, cards, facts)


def _valid(probes: list[Probe]) -> list[Probe]:
    return [probe for probe in probes if probe.word != INVALID]


def _by_word(probes: list[Probe], knee: Probe | None) -> list[Line]:
    """p99 of what holds, of what breaks, of what says nothing, and at the knee."""
    lines: list[Line] = []
    for word in WORDS:
        here = [probe for probe in probes if probe.word == word]
        if here:
            lines.append((word, [p.offered for p in here], [p.p99 for p in here]))
    if knee is not None:
        lines.append(("knee", [knee.offered], [knee.p99]))
    return lines
