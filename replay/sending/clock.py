"""Time for the engine: one monotonic clock, and a wait that ends at an absolute instant.

Due times are instants of `CLOCK_MONOTONIC` in ns. `Alarm` is a timerfd armed with an absolute
deadline, so a wait never sums up errors of earlier waits; the engine arms it a little early and
spins for the rest (`SPIN_NS`), which hides the latency of being woken. Where the system has no
timerfd (macOS), the poll's own timeout does, and the spin is as long as that is coarse.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time

now_ns = time.monotonic_ns
SPIN_NS = 60_000
COARSE_SPIN_NS = 1_500_000
NS = 1_000_000_000

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_ABSTIME = 1


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """A file descriptor that becomes readable at an absolute monotonic instant."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._reference = ctypes.byref(self._spec)
        self._settime = self._libc.timerfd_settime

    def arm(self, instant_ns: int) -> None:
        """Make the descriptor readable at `instant_ns`; one that is past fires at once."""
        self._spec.value_s, self._spec.value_ns = divmod(max(1, instant_ns), NS)
        self._settime(self.fd, _TFD_ABSTIME, self._reference, None)

    def clear(self) -> None:
        """Make it unreadable again."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


def alarm() -> Alarm | None:
    """An alarm, or None where this system has no timerfd."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return Alarm()
    except (OSError, AttributeError):
        return None


class WallClock:
    """Translates between the monotonic clock and ns since the epoch, by one fixed offset.

    The offset is taken once: a step of the wall clock in mid-run must not bend a run's times.
    """

    __slots__ = ("offset",)

    def __init__(self, offset: int | None = None) -> None:
        self.offset = time.time_ns() - now_ns() if offset is None else offset

    def wall(self, monotonic_ns: int) -> int:
        """The instant in ns since the epoch."""
        return monotonic_ns + self.offset

    def monotonic(self, wall_ns: int) -> int:
        """The instant on the monotonic clock."""
        return wall_ns - self.offset


def noise_floor(sends: int = 200, gap_ns: int = 500_000) -> list[int]:
    """How late this machine wakes us: latenesses in ns, sorted, of a plan of sends of nothing."""
    bell = alarm()
    late = []
    start = now_ns() + gap_ns
    poll = select.poll()
    if bell is not None:
        poll.register(bell.fd, select.POLLIN)
    for number in range(sends):
        due = start + number * gap_ns
        _wait(due, bell, poll)
        late.append(now_ns() - due)
    if bell is not None:
        bell.close()
    return sorted(late)


def _wait(due: int, bell: Alarm | None, poll: select.poll) -> None:
    early = due - SPIN_NS
    if bell is not None and now_ns() < early:
        bell.arm(early)
        poll.poll()
        bell.clear()
    elif bell is None and now_ns() < due - COARSE_SPIN_NS:
        time.sleep((due - COARSE_SPIN_NS - now_ns()) / NS)
    while now_ns() < due:
        pass
