"""The guard of a live recording: what it takes of its host, and the rate that this allows.

Each second it looks at the processor time and the memory that were used, and at whether the
recording keeps up: packets that the kernel dropped for want of room, and how long ago those had
been seen that were read last. What is too much lowers the rate in proportion, and does so again in
the next second; with room to spare it rises slowly. What was seen before the rate fell says nothing
of the rate since, so that is read first. So a recorder that cannot keep up loses whole connections,
which are told, and after the first moments no packets at random, limits or not.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field

from .sampling import LEAST_RATE, Sampler

_RECOVERY = 1.2  # how quickly the rate rises again, per second
_ROOM = 0.7  # below so much of a limit there is room to spare
_MOST_CUT = 0.1  # of the rate, at once
_LATE_S = 1.0  # who is later than this, and is getting later, does not keep up
_CATCH_UP = 1.2  # at least so much less has to come, for one who is late to be so no more
_CALM_S = 5.0  # so long after it did not keep up the rate stays where it is
_ALL = 1.0  # of a core: more than that no worker can take


@dataclass(frozen=True)
class Strain:
    """How a second went."""

    came: int = 0  # packets that the kernel handed over
    read: int = 0  # of them, and of those before
    dropped: int = 0  # that the kernel had no room for
    late_s: float = 0.0  # how long ago the last of them had been seen
    read_ns: int = 0  # up to when what was seen has been read


@dataclass
class Guard:
    """Keeps this process within its share of processor time and memory, by lowering the rate."""

    sampler: Sampler
    most_cpu: float = 0.0  # share of one core; 0 for no limit
    most_memory: int = 0  # bytes, the rings not counted; 0 for no limit
    ring_bytes: int = 0  # mapped, and so resident, from the beginning
    reason: str = ""  # why the rate was lowered last
    fell_ns: int = 0  # when that was, on the clock of the packets
    _wall: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=time.process_time)
    _late_s: float = 0.0
    _calm_s: float = _CALM_S  # for how long it has kept up

    def check(self, strain: Strain) -> float:
        """The rate for the next second, after what was used since the last check."""
        wall, cpu = time.monotonic(), time.process_time()
        passed = max(wall - self._wall, 1e-3)
        used = (cpu - self._cpu) / passed
        self._wall, self._cpu = wall, cpu
        overload = self.overload(strain)
        self._late_s = strain.late_s
        self._calm_s = self._calm_s + passed if overload <= 1 and strain.late_s < _LATE_S else 0.0
        if strain.read_ns < self.fell_ns:
            return self.decided(0.0, self.memory)
        return self.decided(used, self.memory, overload)

    def fell(self, now_ns: int) -> None:
        """The rate has fallen at this time."""
        self.fell_ns, self._calm_s = now_ns, 0.0

    @property
    def memory(self) -> int:
        """What this process has now, without the rings."""
        return max(0, resident_bytes() - self.ring_bytes)

    @property
    def in_vain(self) -> bool:
        """It takes more memory than it may even where it keeps next to nothing."""
        least = self.sampler.rate <= LEAST_RATE
        return bool(self.most_memory) and least and self.memory > self.most_memory

    def overload(self, strain: Strain) -> float:
        """How many times more came than was kept up with: 1 where nothing was left behind."""
        behind = strain.late_s >= _LATE_S and strain.late_s > self._late_s
        if behind:
            return max(_CATCH_UP, (strain.came + strain.dropped) / max(strain.read, 1))
        return (strain.came + strain.dropped) / max(strain.came, 1) if strain.dropped else 1.0

    def decided(self, cpu: float, memory: int, overload: float = 1.0) -> float:
        """The rate after a second with this use of processor and memory, and this overload."""
        rate = self.sampler.rate
        strains = {
            f"recording took {cpu:.0%} of a core": (
                cpu / self.most_cpu if self.most_cpu else min(cpu, _ALL)
            ),
            f"recording took {memory >> 20} MB": self._fullness(memory),
            "more came than could be recorded": overload if overload > 1 else 0.0,
        }
        reason = max(strains, key=lambda name: strains[name])
        if (fullness := strains[reason]) > 1:
            self.reason = reason
            return max(LEAST_RATE, rate * max(_MOST_CUT, 0.9 / fullness))
        if fullness < _ROOM and self._calm_s >= _CALM_S:
            return min(1.0, rate * _RECOVERY)
        return rate

    def _fullness(self, memory: int) -> float:
        return 1 + 4 * (memory / self.most_memory - 1) if self.most_memory else 0.0


def resident_bytes() -> int:
    """How much memory this process has now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
