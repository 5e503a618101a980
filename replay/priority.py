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

_BEHIND = 10
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


def go_first() -> None:
    """Raise the priority of this process where that is allowed: it sleeps most of the time."""
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
