"""What chance alone does to the figures of a run, so that a short one is not judged by it.

Quantiles: of n requests of which a share 1 − q may be late, chance makes Bin(n, 1 − q) late. The
limit on a quantile is exceeded only where more are late than that is at 95 %; in other words, it is
held against the lower confidence bound of the quantile, an order statistic (David & Nagaraja, Order
Statistics, 7.1).

Dispersion: a request that goes out a little late (1 ms) may fall into another bin, even where the
traffic is as bursty as before. A share p of n requests that moved so, by chance, makes IDC
    IDC' = IDC + 2 p (1 − p) (1 − IDC)
of independent counts. That is allowed for below 1: on time to the microsecond, a clockwork still
has an edge somewhere. (Above 1 it is bursts that were smoothed, and is not.) And it is noise: a
move changes Σ N² by 2 (N[k+1] − N[k] + 1); around a request the rate is E N + IDC − 1 (where few
are near each other and that is hardly anything, E N · IDC), so the variance of the bracket is twice
that, and over m bins ln IDC has a standard deviation of 2 √(2 n p (E N + IDC − 1)) / (m Var N).
Three of them are allowed for, too.
"""

from __future__ import annotations

import math

import numpy as np

from .counts import Ints, Moments
from .sketch import Sketch

_ONE_SIDED_95 = 1.645
_SIGMAS = 3.0  # the worst of some twenty timescales is judged
_MANY = 25.0
_ENOUGH = 1_000_000
_TAUS_NS = [step * 10**power for power in range(6, 12) for step in (1, 2, 5)]
A_LITTLE_NS = 1_000_000
FLOOR = 0.1
"""A constant stream has an IDC of 0: it is held above this before the logarithm. Waits in a queue
go with c² of arrivals + c² of service (Kingman), so below it hardly anybody waits differently."""


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


class Moves:
    """Counts requests that were a little late, and so in another bin, at each timescale."""

    def __init__(self) -> None:
        self._rows = 0
        self._moved = np.zeros(len(_TAUS_NS), np.int64)

    def add(self, due: Ints, sent: Ints) -> None:
        """Look at requests that were sent; a million of them tell the share well enough."""
        if self._rows < _ENOUGH:
            self._rows += due.size
            little = np.abs(sent - due) <= A_LITTLE_NS
            due, sent = due[little], sent[little]
            self._moved += [np.count_nonzero(due // tau != sent // tau) for tau in _TAUS_NS]

    def merge(self, other: Moves) -> None:
        """Add what another one counted."""
        self._rows += other._rows
        self._moved += other._moved

    def share(self, tau_s: float) -> float:
        """The share of requests that moved at this timescale."""
        place = int(np.searchsorted(_TAUS_NS, round(tau_s * 1e9)))
        return float(self._moved[min(place, len(_TAUS_NS) - 1)]) / max(self._rows, 1)


def chance_in_idc(moment: Moments, moved: float) -> float:
    """How far ln IDC may be off at this timescale where so many requests are in other bins."""
    p, idc = min(moved, 0.5), max(moment.idc, FLOOR)
    moved_idc = idc + 2 * p * (1 - p) * max(1 - idc, 0.0)
    around = max(moment.mean + moved_idc - 1, moment.mean * min(moved_idc, 1.0))
    variance = moment.bins * moment.mean * moved_idc
    if variance <= 0:
        return 0.0
    noise = 2 * math.sqrt(2 * moment.bins * moment.mean * moved * around) / variance
    return math.log(moved_idc / idc) + _SIGMAS * noise
