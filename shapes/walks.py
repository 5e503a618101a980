"""Users made from a shape: who asks at which arrival, and what, as the mix of sessions says.

Arrivals come first, since bursts are a matter of the whole stream. Whoever goes on takes a later
one that is a pause away (`pauses`); an arrival that nobody has taken is somebody new. So a burst
brings new users, as it does in truth, and pauses keep their quantiles. What users ask is a
Markov chain of endpoints: which begin sessions, which follow which, and after which sessions end. A
chain that did not end by itself would be caught where users leave: who has paid would pay again and
again.

How likely a session ends here is what its endpoint and its length so far say together: their odds
multiply, and each is counted against the odds of all (as two witnesses are joined who do not know
of each other). Each user has a number from 0 to 1 and leaves when the chance to have stayed so
long falls below it. Numbers are spread evenly over the users, a small one first: of the few who
stay very long, who make much of the load, there are as many as in the shape, and they have time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .counts import Ints
from .pauses import Pauses
from .quantiles import Drawn, Quantiles

_LONGEST = 10_000
_APART = (0.7548776662466927, 0.5698402909980532)  # pairs that are spread most evenly


@dataclass(slots=True)
class Step:
    """One request: when, by whom, after how many, whether the last, the number of its endpoint.

    `took_ns` is how long its answer takes, if it has one.
    """

    at_ns: int
    user: int
    turn: int
    last: bool
    endpoint: int
    took_ns: int


class Chain:
    """Which endpoint comes first, which next, and after which sessions end."""

    def __init__(self, mix: dict[str, Any], first: dict[str, int], sessions: int = 0) -> None:
        shares = {each["endpoint"]: each["share"] for each in mix["endpoints"]}
        self.names = [name for name in shares if _spoken(name)]
        number = {name: at for at, name in enumerate(self.names)}
        begins = {name: n for name, n in first.items() if name in number}
        self._first = _weights(begins or {name: shares[name] for name in self.names}, number)
        follows: dict[int, dict[str, int]] = {}
        for before, after, n in mix["bigrams"]:
            if before in number and after in number:
                follows.setdefault(number[before], {})[after] = n
        self._any = _weights({name: shares[name] for name in self.names}, number)
        self._next = {at: _weights(each, number) for at, each in follows.items()}
        asked = np.array(
            [each["exchanges"] for each in mix["endpoints"] if _spoken(each["endpoint"])]
        )
        followed = np.array([sum(follows.get(at, {}).values()) for at in number.values()])
        self.ends, self._unknown = _ends(asked.astype(float), followed.astype(float), sessions)

    def first(self, u: float) -> int:
        """The endpoint that a session begins with."""
        return _drawn(self._first, u)

    def after(self, endpoint: int, u: float) -> int:
        """The endpoint that follows; where the shape does not tell, one of the whole mix."""
        unknown = self._unknown[endpoint]
        if endpoint not in self._next or u < unknown:
            return _drawn(self._any, u / unknown if u < unknown else u)
        return _drawn(self._next[endpoint], (u - unknown) / (1 - unknown))


def walks(
    shape: dict[str, Any], chain: Chain, arrivals: Ints, random: np.random.Generator
) -> Iterator[Step]:
    """As many steps as arrivals, in order of time; where pauses ask for it, not quite at them."""
    users = shape["sessions"]
    ending = _Ending(users, chain, random)
    services = {each["endpoint"]: each["service_s"] for each in shape["mix"]["endpoints"]}
    took = [Drawn(Quantiles(services[name]), random) for name in chain.names]
    pauses = Pauses(Quantiles({"p0": 0.0, **users["think_s"]}), arrivals.tolist(), random)
    even = Drawn(Quantiles({"p0": 0.0, "p100": 1.0}), random)
    back: list[tuple[int, int, int, int, float]] = []  # when, user, turn, endpoint before, left

    def step(at: int, user: int, turn: int, endpoint: int, left: float) -> Step:
        took_ns = int(took[endpoint].next() * 1e9)
        stays = 1 - ending.chance(endpoint, turn + 1)
        last = left >= stays
        again = None if last else pauses.take(at, at + took_ns)
        if again is not None:
            heapq.heappush(back, (again, user, turn + 1, endpoint, left / stays))
        return Step(at, user, turn, last, endpoint, took_ns)

    user = 0
    lasting, first = random.random() / max(users["count"], 1), random.random()
    for number, at in enumerate(arrivals.tolist()):
        while back and back[0][0] <= at:
            when, who, turn, before, left = heapq.heappop(back)
            yield step(when, who, turn, chain.after(before, even.next()), left)
        if pauses.free(number):
            pauses.use(number)
            user += 1
            yield step(at, user, 0, chain.first(first), lasting)
            lasting, first = (lasting + _APART[0]) % 1, (first + _APART[1]) % 1
    while back:
        when, who, turn, before, left = heapq.heappop(back)
        yield step(when, who, turn, chain.after(before, even.next()), left)


class _Ending:
    """How likely a session ends with a request, by its endpoint and its number in the session."""

    def __init__(self, users: dict[str, Any], chain: Chain, random: np.random.Generator) -> None:
        lengths = _lengths(users, random)
        counts = np.bincount(np.minimum(lengths, _LONGEST), minlength=_LONGEST + 1)[1:]
        reached = np.cumsum(counts[::-1])[::-1]
        hazard = counts / np.maximum(reached, 1)
        mean = lengths.size / lengths.sum()
        hazard[np.flatnonzero(counts)[-1] :] = mean
        self._by_turn: list[float] = (_odds(hazard) / _odds(np.array(mean))).tolist()
        self._by_endpoint: list[float] = _odds(chain.ends).tolist()

    def chance(self, endpoint: int, requests: int) -> float:
        """The chance that so many requests are all, the last of them to this endpoint."""
        odds = self._by_endpoint[endpoint] * self._by_turn[min(requests, _LONGEST) - 1]
        return odds / (1 + odds)


def _odds(chance: Any) -> Any:
    return np.minimum(chance, 1 - 1e-9) / (1 - np.minimum(chance, 1 - 1e-9))


def _lengths(users: dict[str, Any], random: np.random.Generator) -> Ints:
    """How many requests users make, on average as many as in the shape."""
    drawn = Quantiles(users["requests"], 1.0).draw(random, 100_000)
    mean = max(users["mean_requests"], 1.0)
    # Quantiles say little of the largest; what they miss of the mean is theirs.
    top = drawn >= np.quantile(drawn, 0.9)
    over = (mean * drawn.size - drawn[~top].sum()) / max(drawn[top].sum(), 1e-9)
    drawn[top] *= max(over, 0.1)
    lengths: Ints = np.maximum(np.floor(drawn + random.random(drawn.size)), 1).astype(np.int64)
    return lengths


def _ends(asked: Any, followed: Any, sessions: int) -> tuple[Any, Any]:
    """By endpoint, the share of its requests that ended a session, and of unknown followers.

    Only so many bigrams are kept, so of what nothing followed not all need be ends: there are as
    many of those as sessions.
    """
    rest = np.maximum(asked - followed, 0)
    known = min(sessions / max(rest.sum(), 1), 1.0)
    ends = rest * known / np.maximum(asked, 1)
    going_on = np.maximum(asked * (1 - ends), 1e-9)
    return ends, np.clip(rest * (1 - known) / going_on, 0, 1 - 1e-9)


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
