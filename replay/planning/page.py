"""The page of `wiretape plan --html`: what would be sent, beside what was recorded."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.written import write_text
from shapes.cards import rates
from shapes.detail_cards import short
from shapes.figures import Mark
from shapes.plots import Card, figure, page
from shapes.screen import duration, times

from ..options import PlanOptions
from .figures import Figures, figures_of

if TYPE_CHECKING:
    from capture.tape import Tape

_MORE = {
    "loop", "arrivals", "scale", "spike", "herd", "endpoint_scale", "diurnal", "soak", "position",
    "speed", "think",
}  # fmt: skip
_FEWEST_POINTS = 2


def write_page(path: str, tape: Tape, options: PlanOptions, figures: Figures) -> None:
    """Write the pictures of a plan as one file that works offline."""
    recorded = figures_of(tape, _as_recorded(options))
    title = f"The plan of {tape.files[0].path.name}"
    cards = cards_of(figures, recorded, _moments_of(options))
    facts = [*facts_of(figures, recorded), *asked_of(options)]
    write_text(path, page(title, cards, facts))


def _as_recorded(options: PlanOptions) -> PlanOptions:
    """The same part of the tape, as it was."""
    plain = PlanOptions()
    return dataclasses.replace(
        plain,
        **{
            field.name: getattr(options, field.name)
            for field in dataclasses.fields(PlanOptions)
            if field.name not in _MORE
        },
    )


def _moments_of(options: PlanOptions) -> list[tuple[int, str]]:
    """What is to happen at a time of its own: (ns of the run, what)."""
    spikes = [(each.at_ns, f"spike × {each.times:g}") for each in options.spike]
    return spikes + [(each.at_ns, f"herd of {each.users:,}") for each in options.herd]


def asked_of(options: PlanOptions) -> list[tuple[str, str]]:
    """What makes the plan another than the recording: (name, value), for the tiles of the page."""
    asked = [
        ("users", f"× {options.scale:g}", options.scale != 1),
        (
            "speed",
            f"{options.speed:g} ×" if options.speed < math.inf else "max",
            options.speed != 1,
        ),
        ("pauses", "as recorded", options.think == "keep" and options.speed != 1),
        ("laps", f"{options.loop}", options.loop > 1),
        ("soak", duration(options.soak / 1e9), options.soak > 0),
        ("times from", Path(options.arrivals).name, bool(options.arrivals)),
        ("day from", Path(options.diurnal).name, bool(options.diurnal)),
    ]
    asked += [(pattern, f"× {times:g}", True) for pattern, times in options.endpoint_scale]
    told = [(name, value) for name, value, given in asked if given]
    drawn = told or options.spike or options.herd
    return [*told, ("seed", f"{options.seed}")] if drawn else []


def facts_of(plan: Figures, recorded: Figures) -> list[tuple[str, str]]:
    """The figures above the pictures: (name, value)."""
    about = "≈ " if plan.about else ""
    span_s = plan.span_ns / 1e9
    facts = [
        ("requests", f"{about}{plan.requests:,}"),
        ("connections", f"{about}{plan.connections:,}"),
        ("bytes", f"{about}{plan.bytes:,}"),
        ("lasts", duration(span_s)),
        ("requests/s", f"{plan.requests / span_s:,.1f}" if span_s else "all at once"),
        ("most in a second", f"{plan.peak_per_s:,}"),
    ]
    if recorded.requests:
        facts.append(("times the recorded requests", f"{plan.requests / recorded.requests:.3g}"))
    return facts


def cards_of(
    plan: Figures, recorded: Figures, moments: Sequence[tuple[int, str]] = ()
) -> list[Card]:
    """The pictures of a plan; `moments` are marked in that of its rate."""
    return [
        *_marked(_rates(plan), plan, moments),
        *_burstiness(plan, recorded),
        *_endpoints(plan, recorded),
    ]


def _rates(plan: Figures) -> list[Card]:
    zooms = plan.seen.arrivals.zooms()
    if plan.whole:
        return rates(zooms, due=True)
    return rates(zooms, f"in the first {duration(plan.seen.last_ns / 1e9)}", due=True)


def _marked(cards: list[Card], plan: Figures, moments: Sequence[tuple[int, str]]) -> list[Card]:
    first = plan.seen.arrivals.first_ns
    marks = tuple(Mark((at - first) / 1e9, word, "c1") for at, word in moments)
    if not cards or not marks:
        return cards
    whole = dataclasses.replace(cards[0], figure=dataclasses.replace(cards[0].figure, marks=marks))
    return [whole, *cards[1:]]


def _burstiness(plan: Figures, recorded: Figures) -> list[Card]:
    ours, theirs = _idc(plan), _idc(recorded)
    if len(ours) < _FEWEST_POINTS:
        return []
    tau = list(ours)
    lines: list[Any] = [("plan", tau, list(ours.values()))]
    if len(theirs) >= _FEWEST_POINTS:
        lines.append(("recorded", list(theirs), list(theirs.values())))
    lines.append(("Poisson", tau, [1.0] * len(tau)))
    top = max(ours, key=lambda each: ours[each])
    said = "The plan is about as even as Poisson at every timescale"
    if ours[top] > 1.5:
        said = f"The plan is {times(ours[top])} times as bursty as Poisson at {duration(top)}"
    return [Card(said, "Variance of the count over its mean; more users make it higher.",
                 figure(lines, "timescale (s)", "index of dispersion",
                        log_x=True, log_y=True))]  # fmt: skip


def _idc(figures: Figures) -> dict[float, float]:
    return {m.tau_s: m.idc for m in figures.seen.arrivals.counts.cascade() if m.idc > 0}


def _endpoints(plan: Figures, recorded: Figures) -> list[Card]:
    top = Counter(plan.endpoints).most_common(12)[::-1]
    if not top:
        return []
    names = [short(name) for name, _ in top]
    shares = [100 * count / plan.requests for _, count in top]
    lines: list[Any] = [("plan", shares, names)]
    if recorded.requests:
        before = [100 * recorded.endpoints.get(name, 0) / recorded.requests for name, _ in top]
        lines.append(("recorded", before, names))
    return [Card(f"{names[-1]} is {shares[-1]:.0f} % of what would be asked",
                 "The endpoints that would be asked most.",
                 figure(lines, "share of the requests (%)", "", kind="bars"))]  # fmt: skip
