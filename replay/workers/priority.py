"""Who goes first: what reads ahead and writes behind must not take the core from what sends.

Linux shares a core out between sessions first (autogroup) and only then by niceness, so a sender
gets a session of its own. A short slice makes it preempt others when its deadline wakes it. All of
it is asked for and none of it needed: where the system refuses, the lateness in the run tells.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import threading

from capture.errors import ReplayError

_BEHIND = 5
_AHEAD = -10
_SLICE_NS = 100_000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def give_way() -> None:
    """Lower the priority of this thread alone; nothing where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return
    thread = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, thread, _BEHIND)
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass


def go_first(realtime: bool = False) -> None:
    """Raise the priority of this process where that is allowed: it sleeps most of the time.

    One that was started with a real-time policy (`chrt`) has it already.
    """
    if sys.platform.startswith("linux") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    if realtime:
        _run_in_real_time()
        return
    nice = 0
    try:
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, _AHEAD)
        nice = _AHEAD
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(_AHEAD))
    except OSError:
        pass
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None and sys.platform.startswith("linux"):
        wanted = struct.pack("IIQiIQQQ", 48, 0, 0, nice, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)


def _run_in_real_time() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (OSError, AttributeError):
        raise ReplayError(
            "--realtime is not permitted here: run as root, grant CAP_SYS_NICE, or leave it out."
        ) from None
