"""Judging a candidate by interleaved pairs of runs on one plan.

The unit is the run, not the request: requests of one run share its luck, so tests on raw requests
call A/A different half the time. Each pair gives one log ratio of a quantile; their mean has a
Student interval. FAIL where it lies above the margin, PASS where below, else INCONCLUSIVE. FAIL
is Holm-corrected over the endpoints. A single pair has no interval and says at most `suspect`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

MARGIN = 0.04
ALPHA = 0.05
FEWEST_PAIRS = 5
BUDGET = 0.005  # of all requests
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
NEEDED = {"p50": 20, "p90": 50, "p99": 100}  # answers, for the quantile to mean something


@dataclass(frozen=True)
class Decision:
    """What the pairs say of one subject: candidate against baseline, with its interval.

    A ratio for times, a difference for shares.
    """

    subject: str
    word: str  # PASS, FAIL, INCONCLUSIVE or suspect
    ratio: float
    low: float
    high: float
    pairs: int


def decide(
    pairs: Mapping[str, Sequence[tuple[float, float]]],
    margin: float = MARGIN,
    alpha: float = ALPHA,
    shares: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    budget: float = BUDGET,
) -> list[Decision]:
    """A decision for each subject from its (baseline, candidate) values, one pair of runs each.

    `pairs` are compared by ratio, with a margin; `shares` by difference, with a budget.
    """
    shares = shares or {}
    bounds = dict.fromkeys(pairs, math.log1p(margin)) | dict.fromkeys(shares, budget)
    values = {name: _logs(given) for name, given in pairs.items()}
    values |= {name: [b - a for a, b in given] for name, given in shares.items()}
    worse = _holm({name: _p_above(values[name], bounds[name]) for name in values}, alpha)
    told = [_decision(name, values[name], name in worse, bounds[name], alpha) for name in values]
    return [_as_ratios(each) if each.subject in pairs else each for each in told]


def _logs(values: Sequence[tuple[float, float]]) -> list[float]:
    usable = [(a, b) for a, b in values if a > 0 and b > 0 and math.isfinite(a * b)]
    return [math.log(b / a) for a, b in usable]


def _p_above(ratios: list[float], bound: float) -> float:
    """Probability of such a mean if the true ratio were only the margin."""
    if len(ratios) < FEWEST_PAIRS:
        return 1.0
    from scipy.stats import t

    error = float(np.std(ratios, ddof=1)) / math.sqrt(len(ratios))
    above = float(np.mean(ratios)) - bound
    if error == 0:
        return 0.0 if above > 0 else 1.0
    return float(t.sf(above / error, len(ratios) - 1))


def _holm(p_values: Mapping[str, float], alpha: float) -> set[str]:
    """The names whose hypothesis falls when all are tested together."""
    fallen: set[str] = set()
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > alpha / (len(p_values) - place):
            break
        fallen.add(name)
    return fallen


def _decision(name: str, values: list[float], worse: bool, bound: float, alpha: float) -> Decision:
    count = len(values)
    mean = float(np.mean(values)) if count else float("nan")
    if count < FEWEST_PAIRS:
        word = "suspect" if mean > bound else "INCONCLUSIVE"
        return Decision(name, word, mean, -math.inf, math.inf, count)
    from scipy.stats import t

    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(t.ppf(1 - alpha, count - 1)) * error
    low, high = mean - half, mean + half
    word = "FAIL" if worse else "PASS" if high < bound else "INCONCLUSIVE"
    return Decision(name, word, mean, low, high, count)


def _as_ratios(told: Decision) -> Decision:
    """A decision on logarithms of ratios, told as ratios."""
    low, high = math.exp(told.low), math.exp(told.high)
    return replace(told, ratio=math.exp(told.ratio), low=low, high=high)
