"""What carrying out a plan takes: connections at once, descriptors, source ports, sends in a burst.

Concurrency is that of the recording: a request is in flight from when it is due for as long as its
answer took then. A connection is open from when it was opened to its recorded end, but not before
its last answer; one that nobody ended is open to the end of the run. Where the target is slower
there will be more of both, and spare connections beside.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.exchange import NEVER
from shapes.counts import Ints
from shapes.in_flight import InFlight
from shapes.tallies import grouped, places

RESERVED = 64
"""Descriptors that are kept for other things than connections: batches come as descriptors."""
TIME_WAIT_NS = 60_000_000_000
"""For so long the system keeps the port of a connection that this side closed."""
_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_PORTS = (32768, 60999)
_BATCH = 200_000
_TO_THE_END = 1 << 61


class NeedsMeter:
    """Accumulates what the chunks of a plan need, in due order."""

    def __init__(self) -> None:
        self.flying = InFlight()
        self._table = np.empty((3, 0), np.int64)  # lane, opened, ended
        self._fresh: list[Any] = []
        self._rows = 0

    def add(self, chunk: dict[str, Any]) -> None:
        """Count a chunk."""
        due, opened = chunk["due_ns"], chunk["open_ns"]
        first, last = chunk["request_first_ns"], chunk["response_last_ns"]
        answered = due + np.where((last == NEVER) | (first == NEVER), 0, last - first)
        self.flying.add(due, answered)
        after = chunk["close_after"]
        ended = np.maximum(answered, np.where(after == NEVER, _TO_THE_END, due + after))
        self._fresh.append(np.stack([chunk["lane"].astype(np.int64), opened, ended]))
        self._rows += len(due)
        if self._rows > max(_BATCH, self._table.shape[1] // 2):
            self._settle()

    @property
    def connections(self) -> int:
        """How many connections are opened."""
        self._settle()
        return int(self._table.shape[1])

    @property
    def in_flight(self) -> int:
        """The most requests without an answer."""
        return self.flying.peak

    @property
    def open(self) -> int:
        """The most connections at once."""
        self._settle()
        return _most(self._table[1], self._table[2])

    @property
    def ports(self) -> int:
        """The most source ports at once: those of connections just closed are kept, too."""
        self._settle()
        return _most(self._table[1], self._table[2] + TIME_WAIT_NS)

    def _settle(self) -> None:
        if not self._fresh:
            return
        rows = np.concatenate(self._fresh, axis=1)
        self._fresh, self._rows = [], 0
        rows = rows[:, grouped(rows[0].view(np.uint64))]
        starts = np.flatnonzero(np.append(True, rows[0, 1:] != rows[0, :-1]))
        lanes, opened = rows[0, starts], np.minimum.reduceat(rows[1], starts)
        found = np.stack([lanes, opened, np.maximum.reduceat(rows[2], starts)])
        found = found[:, np.argsort(lanes)]
        at, known = places(self._table[0], found[0])
        old = at[known]
        self._table[1, old] = np.minimum(self._table[1, old], found[1, known])
        self._table[2, old] = np.maximum(self._table[2, old], found[2, known])
        self._table = np.insert(self._table, at[~known], found[:, ~known], axis=1)


def _most(begins: Ints, ends: Ints) -> int:
    """The most that are there at once."""
    begun = np.sort(begins)
    gone = np.searchsorted(np.sort(ends), begun, "left")
    return int((np.arange(1, begun.size + 1) - gone).max(initial=0))


@dataclass(frozen=True)
class Limits:
    """What this machine allows one process, and one source address towards one target."""

    descriptors: int
    ports: int

    @classmethod
    def here(cls) -> Limits:
        """Of this machine: the hard limit of descriptors, to which a sender raises its own."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        low, high = _port_range()
        return cls((1 << 31) - 1 if hard == resource.RLIM_INFINITY else hard, high - low + 1)


def _port_range() -> tuple[int, int]:
    try:
        low, high = map(int, _PORTS.read_text().split())
    except (OSError, ValueError):
        return _USUAL_PORTS
    return low, high


def shortages(open_at_once: int, ports: int, limits: Limits) -> list[str]:
    """One sentence for each limit that the plan exceeds, with what to set."""
    told = []
    needed = open_at_once + RESERVED
    if needed > limits.descriptors:
        told.append(
            f"{needed:,} descriptors are needed and {limits.descriptors:,} allowed: raise the hard "
            f"limit (ulimit -Hn {needed}), or share the connections with --workers "
            f"{-(-open_at_once // max(1, limits.descriptors - RESERVED))}."
        )
    if open_at_once > limits.ports:
        told.append(
            f"{open_at_once:,} source ports are needed and {limits.ports:,} there: give "
            f"--source-ip with {-(-open_at_once // limits.ports)} addresses, or widen "
            "net.ipv4.ip_local_port_range."
        )
    elif ports > limits.ports:
        told.append(
            f"{ports:,} source ports are needed if the system keeps each for a minute after its "
            f"connection, and {limits.ports:,} are there: give --source-ip with "
            f"{-(-ports // limits.ports)} addresses, or set net.ipv4.tcp_tw_reuse=1."
        )
    return told
