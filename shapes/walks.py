"""Users made from a shape: who asks at which arrival, and what, as the mix of sessions says.

Arrivals come first, since bursts are a matter of the whole stream. Each goes to the user who has
waited for it the longest, past their pause; where nobody is ready, somebody new comes. So a burst
brings new users, as it does in truth, and a lull makes users wait a little longer. How many
requests a user makes and how long they pause is drawn from the quantiles of the shape; what they
ask is a Markov chain of endpoints: which begin sessions, and which follow which.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .counts import Ints

_AHEAD = 4096


@dataclass(slots=True)
class Step:
    """One request: when, by whom, the how manieth of how many, and the number of its endpoint."""

    at_ns: int
    user: int
    turn: int
    turns: int
    endpoint: int


class Quantiles:
    """Draws from a distribution of which some quantiles are known: {"p50": …, "p99": …}."""

    def __init__(self, known: dict[str, float], least: float = 0.0) -> None:
        pairs = sorted((float(name[1:]) / 100, value) for name, value in known.items())
        self._q = np.array([0.0, *(q for q, _ in pairs), 1.0])
        values = [value for _, value in pairs] or [least]
        self._values = np.maximum([values[0], *values, values[-1]], least)

    def draw(self, random: np.random.Generator, count: int) -> Any:
        """So many values, on straight lines between the quantiles."""
        return np.interp(random.random(count), self._q, self._values)


class Chain:
    """Which endpoint comes first, and which next."""

    def __init__(self, mix: dict[str, Any], first: dict[str, int]) -> None:
        shares = {each["endpoint"]: each["share"] for each in mix["endpoints"]}
        self.names = [name for name in shares if _spoken(name)]
        number = {name: at for at, name in enumerate(self.names)}
        begins = {name: n for name, n in first.items() if name in number}
        self._first = _weights(begins or {name: shares[name] for name in self.names}, number)
        follows: dict[int, dict[str, int]] = {}
        for before, after, n in mix["bigrams"]:
            if before in number and after in number:
                follows.setdefault(number[before], {})[after] = n
        self._next = {at: _weights(each, number) for at, each in follows.items()}

    def first(self, u: float) -> int:
        """The endpoint that a session begins with."""
        return _drawn(self._first, u)

    def after(self, endpoint: int, u: float) -> int:
        """The endpoint that follows."""
        return _drawn(self._next.get(endpoint, self._first), u)


def walks(
    shape: dict[str, Any], chain: Chain, arrivals: Ints, random: np.random.Generator
) -> Iterator[Step]:
    """A step for every arrival, in order of time."""
    users = shape["sessions"]
    pauses, lengths = Quantiles(users["think_s"]), _Lengths(users, arrivals.size, random)
    service = Quantiles(shape["mix"]["service_s"])
    ready: list[tuple[int, int, int, int, int]] = []  # when, user, turn, turns, endpoint
    user = 0
    for begin in range(0, arrivals.size, _AHEAD):
        part = arrivals[begin : begin + _AHEAD]
        waits = pauses.draw(random, part.size) + service.draw(random, part.size)
        drawn = random.random(part.size).tolist()
        for at, wait, u in zip(part.tolist(), (waits * 1e9).tolist(), drawn, strict=True):
            if ready and ready[0][0] <= at:
                _, who, turn, turns, endpoint = heapq.heappop(ready)
                endpoint = chain.after(endpoint, u)
            else:
                user += 1
                who, turn, turns, endpoint = user, 0, lengths.next(), chain.first(u)
            yield Step(at, who, turn, turns, endpoint)
            if turn + 1 < turns:
                heapq.heappush(ready, (at + int(wait), who, turn + 1, turns, endpoint))


class _Lengths:
    """How many requests users make, on average as many as in the shape."""

    def __init__(self, users: dict[str, Any], most: int, random: np.random.Generator) -> None:
        quantiles = Quantiles(users["requests"], 1.0)
        drawn = quantiles.draw(random, min(max(most, 1), 100_000))
        mean = max(users["mean_requests"], 1.0)
        # Quantiles say little of the largest; what they miss of the mean is theirs.
        top = drawn >= np.quantile(drawn, 0.9)
        over = (mean * drawn.size - drawn[~top].sum()) / max(drawn[top].sum(), 1e-9)
        drawn[top] *= max(over, 0.1)
        self._drawn = np.maximum(np.floor(drawn + random.random(drawn.size)), 1).astype(np.int64)
        self._at = 0

    def next(self) -> int:
        """The length of the next session."""
        self._at = (self._at + 1) % self._drawn.size
        return int(self._drawn[self._at])


def _spoken(endpoint: str) -> bool:
    method, space, path = endpoint.partition(" ")
    return bool(method and space and path.startswith("/"))


def _weights(shares: dict[str, Any], number: dict[str, int]) -> tuple[Any, Any]:
    places = np.array([number[name] for name in shares], np.int64)
    weights = np.array(list(shares.values()), float)
    return places, np.cumsum(weights) / weights.sum() if weights.size else weights


def _drawn(weights: tuple[Any, Any], u: float) -> int:
    places, share = weights
    return int(places[min(int(np.searchsorted(share, u, "right")), places.size - 1)])
