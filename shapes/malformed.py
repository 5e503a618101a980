"""Malformed requests by class, and whether they come in runs.

A class is a defect (a bit of `capture.defects`). A run of a class is that many requests of one
client in a row that all have it: a scanner sends long runs, a faulty client single ones. Runs that
a merge of two spans divides count as two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.defects import Defect

from .counts import Ints
from .tallies import grouped

_BITS = 64


class Runs:
    """Accumulates the defects of each client's requests, in time order."""

    def __init__(self) -> None:
        self._requests = np.zeros(_BITS, np.int64)
        self._runs = np.zeros(_BITS, np.int64)
        self._longest = np.zeros(_BITS, np.int64)
        self._open: dict[int, dict[int, int]] = {}  # by class, clients in a run: how long it is

    def add(self, clients: NDArray[np.uint64], defects: NDArray[np.uint64]) -> None:
        """Add requests, in time order."""
        faulty = defects != 0
        if not bool(faulty.any()) and not any(self._open.values()):
            return
        going = np.array([c for each in self._open.values() for c in each], np.uint64)
        looked = np.flatnonzero(np.isin(clients, np.union1d(clients[faulty], going)))
        looked = looked[grouped(clients[looked])]
        clients, defects = clients[looked], defects[looked]
        present = int(np.bitwise_or.reduce(defects)) if defects.size else 0
        for bit in range(_BITS):
            if present >> bit & 1 or self._open.get(bit):
                self._add_class(bit, clients, (defects >> np.uint64(bit) & np.uint64(1)) == 1)

    def merge(self, other: Runs) -> None:
        """Add what another saw of other requests."""
        self._requests += other._requests
        self._runs += other._runs
        self._longest = np.maximum(self._longest, other._longest)

    def render(self, exchanges: int) -> dict[str, dict[str, Any]]:
        """By class: the share of all exchanges, how many runs, how long they are."""
        found = {}
        for bit in np.argsort(-self._requests, kind="stable").tolist():
            n, runs = int(self._requests[bit]), int(self._runs[bit])
            if n:
                found[_name(bit)] = {
                    "exchanges": n, "share": n / exchanges if exchanges else 0.0, "runs": runs,
                    "mean_run": n / runs if runs else float(n),
                    "longest_run": int(self._longest[bit]),
                }  # fmt: skip
        return found

    def _add_class(self, bit: int, clients: NDArray[np.uint64], has: NDArray[np.bool_]) -> None:
        """Add one class; rows stand by client, and of each client in time order."""
        going = self._open.setdefault(bit, {})
        if clients.size == 0:
            return
        fresh = np.append(True, clients[1:] != clients[:-1])
        at = np.flatnonzero(fresh | np.append(True, has[1:] != has[:-1]))
        lengths: Ints = np.diff(np.append(at, clients.size))
        self._requests[bit] += int(has.sum())
        ends = np.append(fresh[at[1:]], True)  # of the rows of a client
        for place in np.flatnonzero(fresh[at] | ends).tolist():
            client = int(clients[at[place]])
            before = going.pop(client, 0) if fresh[at[place]] else 0
            if has[at[place]]:
                if before:
                    self._runs[bit] -= 1  # it was counted when it began
                    lengths[place] += before
                if ends[place]:
                    going[client] = int(lengths[place])
        held = has[at]
        self._runs[bit] += int(np.count_nonzero(held))
        self._longest[bit] = max(int(self._longest[bit]), int(lengths[held].max(initial=0)))


def _name(bit: int) -> str:
    try:
        return str(Defect(1 << bit).name).lower()
    except ValueError:
        return f"bit {bit}"
