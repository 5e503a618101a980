"""Sampling whole connections, so that recording never takes more of its host than it may.

A connection is kept if a hash of its two ends falls below the rate. So the packets of a connection
share one fate, in both directions, in every worker, and a lower rate keeps a subset of what a
higher one keeps. When the rate falls, connections above it are let go at once (the host comes
first). When it rises, a connection that was already running comes in with its next request: sooner
would be half a truth, and if it stayed out the rate would be none where connections live long.

The kernel's filter has the same hash and drops most of what is out before it is copied
(`filters.py`); what it cannot tell, and what is back in, is decided upon here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..packets.frames import Packet
from ..packets.tcp import SYN, SYN_OR_ACK
from ..recognise import REQUEST, recognise
from .hashing import WHOLE, connection_hash

LEAST_RATE = 1 / 1024
_MOST_HASHES = 1 << 14
_MOST_RISES = 16  # of the rate, that are remembered: each a second at least


def limit_of(rate: float) -> int:
    """The hash below which that share of all connections lies."""
    return int(rate * WHOLE)


def _unknown(packet: Packet) -> bool:
    del packet
    return False


@dataclass
class Sampler:
    """Which connections are kept at the current rate."""

    rate: float = 1.0
    let_go: int = 0  # connections whose opening was seen and not kept
    follows: Callable[[Packet], bool] = _unknown  # whether the packet's connection is followed
    limit: int = WHOLE  # hashes from here on are out
    _sure: int = WHOLE  # hashes below this were never let go
    _rises: list[tuple[int, int]] = field(default_factory=list)  # when, and the limit before
    _hashes: dict[tuple[bytes, bytes, int, int], int] = field(default_factory=dict)
    _opened: set[int] = field(default_factory=set)  # came in with this batch: not followed yet

    @property
    def whole(self) -> bool:
        """Whether every connection is kept."""
        return self._sure >= WHOLE

    def set_rate(self, rate: float, since_ns: int = 0) -> None:
        """Keep this share of the connections from now on, which is this time."""
        self.rate = rate
        before, self.limit = self.limit, limit_of(rate)
        self._sure = min(self._sure, self.limit)
        if self.limit > before:
            self._rises = [*self._rises[1 - _MOST_RISES :], (since_ns, before)]

    def keep(self, packets: list[Packet]) -> list[Packet]:
        """Those packets of a batch whose connection is in the sample."""
        self._opened.clear()
        return [packet for packet in packets if self._keeps(packet)]

    def out(self, ends: tuple[bytes, bytes, int, int]) -> bool:
        """Whether a connection is above the rate."""
        return connection_hash(*ends) >= self.limit

    def _hash(self, ends: tuple[bytes, bytes, int, int]) -> int:
        """The hash of a connection, worked out once for as long as it is remembered."""
        number = self._hashes.get(ends)
        if number is None:
            if len(self._hashes) >= _MOST_HASHES:
                self._hashes.clear()
            number = self._hashes[ends] = connection_hash(*ends)
        return number

    def _keeps(self, packet: Packet) -> bool:
        time_ns, src, dst, sport, dport, _, _, flags, payload, _ = packet
        number = self._hash((src, dst, sport, dport))
        if number < self._sure:
            return True
        opens = flags & SYN_OR_ACK == SYN
        if number >= self.limit:
            self.let_go += opens
            return False
        if not opens and (number in self._opened or self.follows(packet)):
            return True
        if not opens and recognise(payload) != REQUEST:
            return False
        if any(time_ns < since and number >= before for since, before in self._rises):
            # It is from before the rate rose: what followed in between is not here.
            self.let_go += opens
            return False
        self._opened.add(number)
        return True
