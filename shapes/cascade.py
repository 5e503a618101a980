"""Arrival times with a given dispersion at every timescale: a cascade from the whole down to 50 µs.

The number of requests is split in two halves, these again, and so on. If a bin of N requests is
split into N₁ and N₂, with D = N₁ − N₂, the squares of the children sum to (ΣN² + ΣD²)/2; so the
dispersion wanted at the children's timescale says what ΣD² has to be. D is drawn beta-binomial
(binomial splits alone give a Poisson stream, wider ones bursts) and then put right request by
request until ΣD² is what it has to be. What a coarse level missed, the next finer one makes up for.

Bins of the cascade are halves, those of statistics are 1, 2, 5 …: so the stream is measured as a
tape would be, and the wanted curve bent by what it was off, a few times over, the best one taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .counts import Counts, Ints

FINEST_NS = 50_000
_ROUNDS = 10
_NEAR = 0.09  # good enough: |Δ ln IDC| at all timescales
_LEAST = 1e-3
Curve = Sequence[Sequence[float]]
Moved = Callable[[Ints], Ints]


def arrivals(
    idc: Curve, total: int, span_ns: int, seed: int, from_s: float = 0.01, to_s: float = math.inf,
    moved: Moved | None = None,
) -> Ints:  # fmt: skip
    """So many arrival times within a span, whose IDC follows a curve [[tau_s, value], …].

    The curve is kept most closely between `from_s` and `to_s`. Where the times are moved somewhat
    before they are used, `moved` says to where: those are the ones that follow the curve.
    """
    if total < 2 or len(idc) < 2:
        random = np.random.default_rng(seed)
        return np.sort(random.integers(0, max(span_ns, 1), total))
    wanted = {round(tau, 9): max(value, _LEAST) for tau, value in idc}
    bent = dict(wanted)
    random = np.random.default_rng([seed & 0x7FFFFFFF, 0])

    def follow(rounds: int, moved: Moved | None) -> Ints:
        best, least = np.empty(0, np.int64), math.inf
        for _ in range(rounds):
            times = _cascade(bent, total, span_ns, random)
            off = _off(times if moved is None else moved(times), wanted, span_ns)
            worst = max((abs(e) for tau, e in off.items() if from_s <= tau <= to_s), default=0.0)
            if worst < least:
                best, least = times, worst
            if least < _NEAR:
                break
            for tau, error in off.items():
                bent[tau] = max(bent[tau] * math.exp(-0.5 * error), _LEAST)
        return best

    times = follow(_ROUNDS, None)
    return times if moved is None else follow(_ROUNDS, moved)


def _off(times: Ints, wanted: dict[float, float], span_ns: int) -> dict[float, float]:
    """By how much ln IDC is off at each timescale."""
    counts = Counts()
    counts.add(times)
    found = {round(m.tau_s, 9): m.idc for m in counts.cascade(0, span_ns - 1)}
    return {
        tau: math.log(max(found[tau], _LEAST) / value)
        for tau, value in wanted.items()
        if tau in found
    }


def _cascade(
    idc: dict[float, float], total: int, span_ns: int, random: np.random.Generator
) -> Ints:
    at, count = np.zeros(1, np.int64), np.array([total], np.int64)
    taus = np.array(sorted(idc))
    curve = np.log([idc[tau] for tau in taus])
    bins, width = 1, float(span_ns)
    while width > FINEST_NS:
        bins, width = 2 * bins, width / 2
        mean = total / bins
        wanted = bins * (_at(taus, curve, width / 1e9) * mean + mean * mean)
        squares = float(np.square(count, dtype=np.float64).sum())
        left = _split(count, 2 * wanted - squares, random)
        both = np.stack([left, count - left], axis=1).ravel()
        places = np.stack([2 * at, 2 * at + 1], axis=1).ravel()
        there = both > 0
        at, count = places[there], both[there]
    start = np.repeat(at, count) * width
    return np.sort((start + random.random(total) * width).astype(np.int64))


def _at(taus: NDArray[np.float64], curve: NDArray[np.float64], tau_s: float) -> float:
    """The IDC at a timescale, on straight lines between those known; beyond them as the last."""
    if tau_s > taus[-1]:
        back = max(0, len(taus) - 4)
        slope = (curve[-1] - curve[back]) / max(math.log(taus[-1] / taus[back]), 1e-9)
        return math.exp(float(curve[-1]) + min(max(slope, 0.0), 1.0) * math.log(tau_s / taus[-1]))
    if tau_s < taus[0]:
        # At the shortest timescales every stream is Poisson: a bin holds a request or none.
        return float(1 + (math.exp(curve[0]) - 1) * tau_s / taus[0])
    return math.exp(float(np.interp(math.log(tau_s), np.log(taus), curve)))


def _split(count: Ints, wanted: float, random: np.random.Generator) -> Ints:
    """How many of each bin go left, such that the squares of the differences sum to `wanted`."""
    pairs = float((count * (count - 1)).sum())
    even = float(count.sum())
    share = (wanted - even) / pairs if pairs else 0.0
    if share > 1e-9:
        wide = (1 / min(share, 0.999) - 1) / 2
        left = random.binomial(count, random.beta(wide, wide, count.size))
    else:
        left = random.binomial(count, 0.5)
    return _put_right(count, left, wanted, random)


def _put_right(count: Ints, left: Ints, wanted: float, random: np.random.Generator) -> Ints:
    """Move single requests between halves, in random bins, while that brings ΣD² nearer."""
    off = float(np.square(2 * left - count, dtype=np.float64).sum()) - wanted
    movable = np.flatnonzero(count > 1)
    for _ in range(40):
        if movable.size == 0 or abs(off) <= 0.002 * abs(wanted) + 4:
            break
        some = random.permutation(movable)
        apart = 2 * left[some] - count[some]
        # Towards the middle to make less of it, away from it to make more.
        step = np.where(apart > 0, 1, -1) * (-1 if off > 0 else 1)
        step[apart == 0] = 1
        moved = left[some] + step
        gain = np.square(apart + 2 * step) - np.square(apart)
        useful = (moved >= 0) & (moved <= count[some]) & (gain * off < 0)
        some, step, gain = some[useful], step[useful], gain[useful]
        upto = int(np.searchsorted(np.cumsum(np.abs(gain)), abs(off), "right"))
        if upto == 0:
            break
        left[some[:upto]] += step[:upto]
        off += float(gain[:upto].sum())
    return left
