"""Values drawn from a distribution of which a shape tells some quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

_AHEAD = 256


class Quantiles:
    """Draws from a distribution of which some quantiles are known: {"p50": …, "p99": …}."""

    def __init__(self, known: dict[str, float], least: float = 0.0) -> None:
        pairs = sorted((float(name[1:]) / 100, value) for name, value in known.items())
        self._q = np.array([0.0, *(q for q, _ in pairs), 1.0])
        values = [value for _, value in pairs] or [least]
        self._values = np.maximum([values[0], *values, values[-1]], least)

    def at(self, shares: Any) -> Any:
        """The quantiles at these shares, on straight lines between those known."""
        return np.interp(shares, self._q, self._values)

    def draw(self, random: np.random.Generator, count: int) -> Any:
        """So many values."""
        return self.at(random.random(count))


class Drawn:
    """Values drawn ahead, many at once."""

    def __init__(self, quantiles: Quantiles, random: np.random.Generator) -> None:
        self._quantiles, self._random = quantiles, random
        self._values: list[float] = []

    def next(self) -> float:
        """The next of them."""
        if not self._values:
            self._values = self._quantiles.draw(self._random, _AHEAD).tolist()
        return self._values.pop()
