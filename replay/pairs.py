"""Judging a candidate by interleaved pairs of runs on one plan.

The unit is the run, not the request: requests of one run share its luck, so tests on raw requests
call A/A different half the time. Each pair gives one log ratio of a quantile; their mean has a
Student interval. FAIL where it lies above the margin, PASS where below, else INCONCLUSIVE. FAIL
is Holm-corrected over the endpoints. A single pair has no interval and says at most `suspect`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MARGIN = 0.05
ALPHA = 0.05
FEWEST_PAIRS = 5


@dataclass(frozen=True)
class Decision:
    """What the pairs say of one subject: candidate over baseline, with its interval."""

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
) -> list[Decision]:
    """A decision for each subject from its (baseline, candidate) values, one pair of runs each."""
    logs = {name: _logs(values) for name, values in pairs.items()}
    bound = math.log1p(margin)
    slower = {name: _p_above(ratios, bound) for name, ratios in logs.items()}
    worse = _holm(slower, alpha)
    return [_decision(name, logs[name], name in worse, bound, alpha) for name in pairs]


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


def _decision(name: str, ratios: list[float], worse: bool, bound: float, alpha: float) -> Decision:
    count = len(ratios)
    mean = float(np.mean(ratios)) if count else float("nan")
    if count < FEWEST_PAIRS:
        word = "suspect" if mean > bound else "INCONCLUSIVE"
        return Decision(name, word, math.exp(mean), 0.0, math.inf, count)
    from scipy.stats import t

    error = float(np.std(ratios, ddof=1)) / math.sqrt(count)
    half = float(t.ppf(1 - alpha, count - 1)) * error
    low, high = mean - half, mean + half
    word = "FAIL" if worse else "PASS" if high < bound else "INCONCLUSIVE"
    return Decision(name, word, math.exp(mean), math.exp(low), math.exp(high), count)
