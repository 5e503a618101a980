"""When a user asks next: an arrival that nobody has taken, about as far off as users pause.

Arrivals are given, since bursts are a matter of the whole stream. Pauses are drawn from the shape
and lie in bars of equal shares; a user takes a free arrival of the bar, any of them alike, so that
bursts are as much of those who come back as of those who are new. Of a few draws, taken is that
whose bar has had the least so far by what it should have. A bar with too little and no free arrival
in it moves the nearest one to where the pause ends: that happens where pauses are shorter than
the gaps of the stream, and changes the counts only at timescales as short as that. From far it is
moved only where the user would else wait for longer than enough users do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from .quantiles import Drawn, Quantiles

_TRIES = 10
_SHARES = np.concatenate([np.arange(1, 20) / 20, [0.98, 0.99, 0.999]])
_TOO_LITTLE = 0.99
_FARTHEST = 10  # mean gaps that an arrival is moved at most


class Pauses:
    """Takes arrivals (sorted, ns) for users who come back, each once."""

    def __init__(self, pauses: Quantiles, arrivals: list[int], random: np.random.Generator) -> None:
        self._arrivals = arrivals
        self._drawn = Drawn(pauses, random)
        self._even = Drawn(Quantiles({"p0": 0.0, "p100": 1.0}), random)
        self._later = list(range(len(arrivals) + 1))  # the first free one from here on, or nearer
        self._earlier = list(range(len(arrivals) + 1))  # the same towards the begin, one higher
        self._farthest = _FARTHEST * (arrivals[-1] - arrivals[0]) // len(arrivals)
        self._edges, self._shares = _bars(pauses)
        self._had = [0] * len(self._shares)
        self._sum = 0

    def free(self, at: int) -> bool:
        """Whether nobody has taken this arrival."""
        return self._later[at] == at

    def use(self, at: int) -> None:
        """Take an arrival."""
        self._later[at] = at + 1
        self._earlier[at + 1] = at

    def take(self, now_ns: int, ready_ns: int) -> int | None:
        """When a user asks next who asked at `now_ns` and was answered at `ready_ns`.

        None where whatever they were to wait for lies beyond the last arrival.
        """
        now = bisect_right(self._arrivals, now_ns)
        wanted, scarce, found, often = 0, 2.0, -1, 2.0
        for _ in range(_TRIES):
            pause = int(self._drawn.next() * 1e9)
            bar = bisect_right(self._edges, pause)
            when = ready_ns + pause
            if when > self._arrivals[-1]:
                continue
            rate = self._had[bar] / self._shares[bar] / (self._sum + 1)
            if rate < scarce and self._had[bar] < self._shares[bar] * self._sum:
                wanted, scarce = when, rate
            elif not wanted:
                wanted = when
            if rate < often and (at := self._within(bar, now, ready_ns)) >= 0:
                found, often = at, rate
        if not wanted:
            return None
        if found < 0 or (often > scarce and scarce < _TOO_LITTLE):
            near = self._nearest(now, wanted)
            if near >= 0 and (
                abs(self._arrivals[near] - wanted) <= self._farthest
                or (found < 0 and self._had_enough(self._arrivals[near] - ready_ns))
            ):
                return self._taken(near, wanted, ready_ns)
            found = found if found >= 0 else near
        return None if found < 0 else self._taken(found, self._arrivals[found], ready_ns)

    def _had_enough(self, pause: int) -> bool:
        """Whether there are as many pauses about as long as this one as there should be."""
        bar = bisect_right(self._edges, max(pause, 0))
        return self._had[bar] >= self._shares[bar] * (self._sum + 1)

    def _taken(self, at: int, when: int, ready_ns: int) -> int:
        self.use(at)
        self._had[bisect_right(self._edges, max(when - ready_ns, 0))] += 1
        self._sum += 1
        return when

    def _within(self, bar: int, now: int, ready_ns: int) -> int:
        """A free arrival such that the pause lies in a bar; -1 where there is none."""
        arrivals, edges = self._arrivals, self._edges
        low, high = now, len(arrivals)
        if bar:
            low = bisect_left(arrivals, ready_ns + edges[bar - 1], now)
        if bar < len(edges):
            high = bisect_left(arrivals, ready_ns + edges[bar], low)
        if low >= high:
            return -1
        at = low + int(self._even.next() * (high - low))
        later = _find(self._later, at)
        if later < high:
            return later
        earlier = _find(self._earlier, at) - 1
        return earlier if earlier >= low else -1

    def _nearest(self, now: int, wanted_ns: int) -> int:
        """The free arrival from number `now` on that is nearest to a time; -1 where none is."""
        arrivals = self._arrivals
        at = bisect_left(arrivals, wanted_ns, now)
        later, earlier = _find(self._later, at), _find(self._earlier, at) - 1
        if earlier < now:
            return later if later < len(arrivals) else -1
        if later == len(arrivals):
            return earlier
        near = wanted_ns - arrivals[earlier] < arrivals[later] - wanted_ns
        return earlier if near else later


def _find(parents: list[int], at: int) -> int:
    """The end of a chain of used ones, which is made shorter on the way."""
    while (up := parents[at]) != at:
        parents[at] = parents[up]
        at = up
    return at


def _bars(pauses: Quantiles) -> tuple[list[int], list[float]]:
    """Edges between bars of pauses (ns), and the share that each bar should have."""
    edges, first = np.unique((pauses.at(_SHARES) * 1e9).astype(np.int64), return_index=True)
    # Equal pauses are of one bar, which begins with the first of them.
    shares = np.diff(np.concatenate([[0.0], _SHARES[first], [1.0, 1.0]]))
    return [*edges.tolist(), int(1.25 * edges[-1]) + 1], np.maximum(shares, 1e-6).tolist()
