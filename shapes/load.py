"""How much more of what: the factor on each request of a plan, by when its session begins.

A scale, spikes and the course of a day multiply, and speak of whole sessions. A factor on an
endpoint speaks of its requests alone: further clones of a session that asks for it bring only
these, so their bursts stay as those of their users; below 1 the requests of some sessions go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from capture.selector import named

from .counts import Ints

if TYPE_CHECKING:
    from .spike import Spike

Floats = NDArray[np.float64]


class Course(Protocol):
    """A factor over the time of the run."""

    most: float

    def factor(self, times: Ints) -> Floats:
        """The factor at each time."""
        ...


@dataclass(frozen=True)
class Load:
    """How many times a request is to be there."""

    scale: float = 1.0
    spikes: Sequence[Spike] = ()
    endpoints: Sequence[tuple[str, float]] = ()
    day: Course | None = None
    _known: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def plain(self) -> bool:
        """Whether everything is to be there once."""
        return self.scale == 1 and not (self.spikes or self.endpoints or self.day)

    @property
    def most(self) -> float:
        """No request is to be there more often than this."""
        found = float(self.scale)
        for spike in self.spikes:
            found *= max(1.0, spike.times)
        for _, factor in self.endpoints:
            found *= max(1.0, factor)
        return found * (max(1.0, self.day.most) if self.day is not None else 1.0)

    def idle_spike(self, starts: Ints) -> Spike | None:
        """A spike in which none of these sessions begins, so that it changes nothing."""
        for spike in self.spikes:
            later = starts - spike.at_ns
            if not bool(np.any((later >= 0) & (later < spike.for_ns))):
                return spike
        return None

    def of_starts(self, starts: Ints) -> Floats:
        """The factor on sessions that begin at these times of the run."""
        found = np.full(starts.size, float(self.scale))
        for spike in self.spikes:
            found *= spike.factor(starts)
        if self.day is not None:
            found *= self.day.factor(starts)
        return found

    def of_rows(self, starts: Ints, endpoint: Any) -> Floats:
        """The factor on requests of these endpoints, whose sessions begin at these times."""
        found = self.of_starts(starts)
        if self.endpoints and endpoint is not None:
            factors = np.array([self._of(name) for name in endpoint.values] or [1.0])
            found *= factors[endpoint.codes]
        return found

    def _of(self, name: str) -> float:
        if name not in self._known:
            factor = 1.0
            for pattern, each in self.endpoints:
                if named(name, pattern):
                    factor *= each
            self._known[name] = factor
        return self._known[name]
