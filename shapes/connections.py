"""Connections: how long they live, how many requests each carries, how they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from capture.exchange import Close

from .sketch import Sketch

COLUMNS = ("opened_ns", "closed_ns", "close", "exchanges")


class Connections:
    """Accumulates connections, in any order."""

    def __init__(self) -> None:
        self.life, self.requests = Sketch(), Sketch()
        self._count = self._exchanges = self._reused = 0
        self._closes = np.zeros(256, np.int64)

    def add(self, rows: Mapping[str, Any]) -> None:
        """Add rows of a tape's table of connections; a life is known where both ends were seen."""
        opened, closed = rows["opened_ns"], rows["closed_ns"]
        exchanges = np.asarray(rows["exchanges"])
        whole = (opened >= 0) & (closed >= opened)
        self.life.add(closed[whole] - opened[whole])
        self.requests.add(exchanges)
        self._count += len(exchanges)
        self._exchanges += int(exchanges.sum())
        self._reused += int(np.count_nonzero(exchanges > 1))
        self._closes += np.bincount(rows["close"], minlength=256)

    def merge(self, other: Connections) -> None:
        """Add what another saw."""
        self.life.merge(other.life)
        self.requests.merge(other.requests)
        self._count += other._count
        self._exchanges += other._exchanges
        self._reused += other._reused
        self._closes += other._closes

    def render(self) -> dict[str, Any]:
        """The statistics as plain values."""
        count = max(self._count, 1)
        return {
            "count": self._count,
            "life_s": self.life.named(unit=1e-9),
            "requests": self.requests.named(),
            "mean_requests": self._exchanges / count,
            "reused_share": self._reused / count,
            "closes": {_name(code): int(n) for code, n in enumerate(self._closes) if n},
        }


def _name(code: int) -> str:
    try:
        return Close(code).name.lower()
    except ValueError:
        return f"code {code}"
