"""The score of a run against its plan, as pure functions of the two curves of dispersion.

Both are counted over the same span, so that a run that stretched is not forgiven; τ runs up to a
thirtieth of it. A constant stream has an IDC of 0: it is held above a floor before the logarithm,
so that one clockwork is as good as another, and very different from anything else. What counts is
by how much they differ beyond what chance explains (chance.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .chance import FLOOR, Moves, chance_in_idc
from .counts import FEWEST_BINS, Counts

EXCELLENT, VALID, INVALID = "EXCELLENT", "VALID", "INVALID"

PAYLOADS, ALTERED = "payloads", "altered"
"""Where the ledger of a run counts requests that were not sent as they were planned."""

Curve = list[tuple[float, float, float, float]]
"""(τ in s, IDC of the plan, IDC of the run, ln of their ratio)"""
Beyond = list[tuple[float, float, float]]
"""(τ in s, IDC of the plan, |ln of the ratio| beyond chance), from 1 ms on"""

LIMITS: Mapping[str, tuple[float, float]] = {
    # measure: (excellent, acceptable)
    "lateness_p50_ns": (50e3, 1e6),
    "lateness_p99_ns": (500e3, 10e6),
    "lateness_p999_ns": (2e6, 50e6),
    "rate_error": (0.001, 0.01),
    "idc_error": (0.05, 0.25),
    "s": (98.0, 90.0),
}

_FEWEST_ARRIVALS = 30
_FROM_S = 0.000_999


@dataclass(frozen=True)
class Fidelity:
    """How close a run came to its plan. Times in ns, errors as fractions."""

    planned: int
    sent: int
    duplicated: int
    altered: int  # sent with other bytes than were planned
    inversions: int  # sent before a request that precedes it on its connection
    lateness_p50_ns: float
    lateness_p99_ns: float
    lateness_p999_ns: float
    lateness_max_ns: float
    rate_error: float
    drift_ppm: float
    idc_error: float  # the largest |Δ ln IDC| at τ ≥ 1 ms, beyond chance
    idc: list[tuple[float, float, float, float]]  # τ (s), plan, run, Δ ln
    mix_term: float
    session_term: float
    s: float
    horizon_s: float | None  # τ*
    noise_p99_ns: float | None  # lateness of sends that write nothing, on this machine
    verdict: str
    blame: str | None
    reasons: list[str] = field(default_factory=list)
    not_due: int = 0  # of the plan, due only after the run was stopped: not judged

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json` and for the report."""
        return asdict(self)

    @property
    def valid(self) -> bool:
        """Whether the run may be judged at all."""
        return self.verdict != INVALID


def idc_curve(
    plan: Counts, run: Counts, first_ns: int, last_ns: int, moves: Moves
) -> tuple[Curve, Beyond]:
    """IDC of both at each timescale of the plan's span; empty where too little was sent.

    And by how much they differ, less what requests that moved to other bins explain.
    """
    curve: Curve = []
    beyond: Beyond = []
    if plan.total < _FEWEST_ARRIVALS or run.total == 0:
        return curve, beyond
    theirs = {round(m.tau_s, 9): m.idc for m in run.cascade(first_ns, last_ns)}
    for moment in plan.cascade(first_ns, last_ns):
        tau = round(moment.tau_s, 9)
        if tau not in theirs or moment.bins < FEWEST_BINS:
            continue
        a, b = moment.idc, theirs[tau]
        apart = math.log(max(b, FLOOR) / max(a, FLOOR))
        curve.append((tau, a, b, apart))
        if tau >= _FROM_S:
            chance = chance_in_idc(moment, moves.share(tau))
            beyond.append((tau, a, max(0.0, abs(apart) - chance)))
    return curve, beyond


def shape_score(beyond: Beyond) -> float:
    """The worst agreement over the timescales, between 0 and 1."""
    worst = 1.0
    for _, plan, apart in beyond:
        scale = max(abs(math.log(max(plan, FLOOR))), math.log(1.5))
        worst = min(worst, 1 - apart / scale)
    return max(worst, 0.0)


def idc_error(beyond: Beyond) -> float:
    """The largest |Δ ln IDC| beyond chance."""
    return max((apart for _, _, apart in beyond), default=0.0)


def rate_error(planned: int, sent: int, span_ns: int, took_ns: int) -> float:
    """By what share the rate was off; spans are from the first to the last request."""
    if sent < 2 or span_ns <= 0:
        return 0.0 if sent == planned else 1.0
    if abs(took_ns - span_ns) < LIMITS["lateness_p99_ns"][0]:
        took_ns = span_ns  # the first or the last was late: that is lateness, and no rate
    return abs(sent / max(took_ns, 1) / (planned / span_ns) - 1)


def horizon(curve: Curve) -> float | None:
    """τ*: the smallest timescale from which on |Δ ln IDC| ≤ 0.05; None where there is none."""
    found = None
    for tau, _, _, apart in reversed(curve):
        if abs(apart) > LIMITS["idc_error"][0]:
            break
        found = tau
    return found


def gates(planned: int, sent: int, repeated: int, altered: int, inversions: int) -> list[str]:
    """The hard gates that were failed, each in a few words."""
    failed = []
    if planned == 0:
        failed.append("nothing was planned")
    if sent - repeated < planned:
        failed.append(
            f"{planned - sent + repeated:,} of {planned:,} planned requests were not sent"
        )
    if repeated:
        failed.append(f"{repeated:,} requests were sent more than once or unplanned")
    if altered:
        failed.append(f"{altered:,} requests were sent with other bytes than planned")
    if inversions:
        failed.append(f"{inversions:,} requests overtook another on their connection")
    return failed


def judge(
    measures: Mapping[str, float], failed_gates: Sequence[str], sure: Mapping[str, float]
) -> tuple[str, list[str]]:
    """The verdict, and what kept it from being better; of some measures, what they surely are."""
    broken, imperfect = list(failed_gates), []
    for name, (excellent, acceptable) in LIMITS.items():
        value = sure.get(name, measures[name])
        sign = -1 if name == "s" else 1
        if sign * value > sign * acceptable:
            broken.append(_say(name, measures[name], acceptable))
        elif sign * value > sign * excellent:
            imperfect.append(_say(name, measures[name], excellent))
    if broken:
        return INVALID, broken
    return (VALID, imperfect) if imperfect else (EXCELLENT, [])


def _say(name: str, value: float, limit: float) -> str:
    if name.startswith("lateness"):
        quantile = {"p50": "p50", "p99": "p99", "p999": "p99.9"}[name.split("_")[1]]
        return f"lateness {quantile} is {value / 1e6:.3g} ms (limit {limit / 1e6:.3g} ms)"
    if name == "rate_error":
        return f"the rate is off by {value:.2%} (limit {limit:.1%})"
    if name == "idc_error":
        return f"burstiness is off by {value:.2f} in ln IDC (limit {limit:.2f})"
    return f"S is {value:.1f} (limit {limit:.0f})"
