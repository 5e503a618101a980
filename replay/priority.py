"""Giving way: what reads ahead and writes behind must not take the core from what sends."""

from __future__ import annotations

import os
import sys
import threading

_NICE = 10


def give_way() -> None:
    """Lower the priority of this thread alone; nothing where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return
    thread = threading.get_native_id()
    try:
        os.setpriority(os.PRIO_PROCESS, thread, _NICE)
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass
