"""What chance alone does to the figures of a run, so that a short one is not judged by it.

Quantiles: of n requests of which a share 1 − q may be late, chance makes Bin(n, 1 − q) late. The
limit on a quantile is exceeded only where more are late than that is at 95 %; in other words, it is
held against the lower confidence bound of the quantile, an order statistic (David & Nagaraja, Order
Statistics, 7.1).

Dispersion: a request that goes out δ after it was due falls into another bin of width τ with
probability about δ/τ, even where the traffic is as bursty as before. Such a move changes Σ N² by
2 (N[k+1] − N[k] + 1). Around a request the rate is E N + IDC − 1 (where few are near each other and
that is hardly anything, E N · IDC), so the variance of the bracket is twice that. The moves of a
share p of n requests in m bins thus give ln IDC a standard deviation of
2 √(2 n p (E N + IDC − 1)) / (m Var N), and Var N = IDC · E N. Three of them are allowed for.
"""

from __future__ import annotations

import math

from .counts import Moments
from .sketch import Sketch

_ONE_SIDED_95 = 1.645
_SIGMAS = 3.0  # the worst of some twenty timescales is judged
_MANY = 25.0


def most_by_chance(n: int, share: float) -> int:
    """How many of n independent events of this probability there are at most, at 95 %."""
    spread = n * share * (1 - share)
    if spread > _MANY:
        return math.ceil(n * share + _ONE_SIDED_95 * math.sqrt(spread))
    term = below = (1 - share) ** n
    most = 0
    while below < 0.95 and most < n:
        most += 1
        term *= (n - most + 1) / most * share / (1 - share)
        below += term
    return most


def least_quantile(sketch: Sketch, q: float) -> float:
    """The lower confidence bound (95 %) of a quantile; that of few values may be far below it."""
    n = sketch.total()
    return sketch.quantile((n - most_by_chance(n, 1 - q)) / n) if n else 0.0


def chance_in_idc(moment: Moments, late_s: float) -> float:
    """How far ln IDC at this timescale may be off by requests being late by `late_s` on average."""
    around = max(moment.mean + moment.idc - 1, moment.mean * min(moment.idc, 1.0))
    variance = moment.bins * moment.idc * moment.mean
    if variance <= 0 or late_s <= 0:
        return 0.0
    moved = moment.bins * moment.mean * min(late_s / moment.tau_s, 1.0)
    return _SIGMAS * 2 * math.sqrt(2 * moved * around) / variance
