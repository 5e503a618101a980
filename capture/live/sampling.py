"""Sampling whole connections, so that recording never takes more of its host than it was granted.

A connection is kept if a hash of its two ends falls below the rate. So the packets of a connection
share one fate, in both directions, in every worker, and a lower rate keeps a subset of what a
higher one keeps. When the rate falls, connections above it are let go at once (the host comes
first). When it rises, a connection that was already running stays out until it is opened anew,
because a recording that begins in mid-stream would be half a truth.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field

from ..packets.frames import Packet

_SYN, _SYN_OR_ACK, _FIN_OR_RST = 0x02, 0x12, 0x05
_WHOLE = 1 << 32
_LEAST_RATE = 1 / 1024
_MOST_MEMBERS = 1 << 16
_RECOVERY = 1.2  # how quickly the rate rises again, per second


def connection_hash(src: bytes, dst: bytes, sport: int, dport: int) -> int:
    """32 bits that are the same for both directions of a connection."""
    a = int.from_bytes(src[-8:], "big") * 0x9E3779B97F4A7C15 + sport * 0xC2B2AE3D27D4EB4F
    b = int.from_bytes(dst[-8:], "big") * 0x9E3779B97F4A7C15 + dport * 0xC2B2AE3D27D4EB4F
    mixed = ((a ^ (a >> 31)) + (b ^ (b >> 31))) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return mixed >> 32


@dataclass
class Sampler:
    """Which connections are kept at the current rate."""

    rate: float = 1.0
    let_go: int = 0  # connections whose opening was seen and not kept
    _sure: int = _WHOLE  # hashes below this were never let go
    _limit: int = _WHOLE
    _members: set[int] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether every connection is kept."""
        return self._sure >= _WHOLE

    def set_rate(self, rate: float) -> None:
        """Keep this share of the connections from now on."""
        self.rate = max(_LEAST_RATE, min(1.0, rate))
        self._limit = int(self.rate * _WHOLE)
        self._sure = min(self._sure, self._limit)
        self._members = {one for one in self._members if one < self._limit}

    def keeps(self, packet: Packet) -> bool:
        """Whether the connection of a packet is in the sample."""
        _, src, dst, sport, dport, _, _, flags, _, _ = packet
        number = connection_hash(src, dst, sport, dport)
        if number < self._sure:
            return True
        if number >= self._limit:
            self.let_go += flags & _SYN_OR_ACK == _SYN
            return False
        if flags & _SYN and len(self._members) < _MOST_MEMBERS:
            self._members.add(number)
            return True
        member = number in self._members
        if member and flags & _FIN_OR_RST == 4:
            self._members.discard(number)
        return member


@dataclass
class Guard:
    """Keeps this process within its share of processor time and memory, by lowering the rate."""

    sampler: Sampler
    most_cpu: float = 0.0  # share of one core; 0 for no limit
    most_memory: int = 0  # bytes, the rings not counted; 0 for no limit
    ring_bytes: int = 0  # mapped, and so resident, from the beginning
    _wall: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=time.process_time)

    def check(self) -> bool:
        """Look at what was used since the last check, and set the rate; whether it has changed.

        Call it every second.
        """
        wall, cpu = time.monotonic(), time.process_time()
        used = (cpu - self._cpu) / max(wall - self._wall, 1e-3)
        self._wall, self._cpu = wall, cpu
        if not self.most_cpu and not self.most_memory:
            return False
        before = self.sampler.rate
        self.sampler.set_rate(self.decided(used, self.memory))
        return self.sampler.rate != before

    @property
    def memory(self) -> int:
        """What this process has now, without the rings."""
        return max(0, resident_bytes() - self.ring_bytes)

    @property
    def in_vain(self) -> bool:
        """It takes more memory than it may even where it keeps next to nothing."""
        least = self.sampler.rate <= _LEAST_RATE
        return bool(self.most_memory) and least and self.memory > self.most_memory

    def decided(self, cpu: float, memory: int) -> float:
        """The rate for the next second, after one with this use of processor and memory."""
        rate = self.sampler.rate
        fullness = max(
            cpu / self.most_cpu if self.most_cpu else 0.0,
            1 + 4 * (memory / self.most_memory - 1) if self.most_memory else 0.0,
        )
        if fullness > 1:
            return rate * max(0.1, 0.9 / fullness)
        if fullness < 0.7:
            return rate * _RECOVERY
        return rate


def resident_bytes() -> int:
    """How much memory this process has now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
