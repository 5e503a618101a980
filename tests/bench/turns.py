"""By how much a load on loopback slows while something is on: measured in turns of milliseconds.

Where a host shares its cores out, a load is a third faster or slower from second to second. From
one twentieth of a second to the next it is not, so what is to be measured is switched on and off
that often, and each turn with it compared to the turns without it just before and just after. The
load is told by the packets that loopback counts.

`Filter` switches a recorder: it reaches for the filter of the running recorder's socket and puts
one in its place that lets nothing through. What remains then is the socket itself.
"""

from __future__ import annotations

import ctypes
import math
import os
import socket
import statistics
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_OFF_S, _ON_S, _SETTLED_S = 0.05, 0.1, 0.005
_ATTACH, _GET = 26, 26
_MOST_INSTRUCTIONS = 4096
_NOTHING = struct.pack("HBBI", 6, 0, 0, 0)
_PIDFD_GETFD = 438
_LOOPBACK = Path("/sys/class/net/lo/statistics/rx_packets")


@dataclass(frozen=True)
class Slowing:
    """By which share a load slows, give or take."""

    share: float
    error: float

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} ± {100 * self.error:.1f} %"


def slowing(on: Callable[[], None], off: Callable[[], None], seconds: float) -> Slowing:
    """How a load that runs slows while something is on; the outermost tenths are left out."""
    ratios = []
    until = time.monotonic() + seconds
    before = _rate(off, _OFF_S)
    while time.monotonic() < until:
        during = _rate(on, _ON_S)
        after = _rate(off, _OFF_S)
        ratios.append(math.log(2 * during / (before + after)))
        before = after
    ratios.sort()
    few = len(ratios) // 10
    middle = ratios[few : len(ratios) - few]
    error = statistics.stdev(middle) / math.sqrt(len(middle))
    return Slowing(1 - math.exp(statistics.mean(middle)), error)


def _rate(switch: Callable[[], None], seconds: float) -> float:
    switch()
    time.sleep(_SETTLED_S)
    before, began = int(_LOOPBACK.read_text()), time.perf_counter()
    time.sleep(seconds)
    count = int(_LOOPBACK.read_text()) - before
    return max(count, 1) / (time.perf_counter() - began)


@dataclass
class Hook:
    """A socket on loopback whose filter lets nothing through: what listening costs by itself."""

    _socket: socket.socket | None = None

    def on(self) -> None:
        """Listen."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        _attach(self._socket, _NOTHING)
        self._socket.bind(("lo", 0x0003))

    def off(self) -> None:
        """Listen no longer."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass
class Filter:
    """The filter of a running recorder."""

    pid: int
    _socket: socket.socket = field(init=False)
    _program: bytes = b""

    def __post_init__(self) -> None:
        self._socket = _socket_of(self.pid)
        self._program = _attached(self._socket)

    def on(self) -> None:
        """Let through what the recorder wants now."""
        if len(now := _attached(self._socket)) > len(_NOTHING):
            self._program = now
        _attach(self._socket, self._program)

    def off(self) -> None:
        """Let nothing through."""
        if len(now := _attached(self._socket)) > len(_NOTHING):
            self._program = now
        _attach(self._socket, _NOTHING)

    def close(self) -> None:
        """Leave the recorder as it was."""
        self.on()
        self._socket.close()


def _socket_of(pid: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.readlink(entry.path).startswith("socket:"):
                number = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                found = socket.socket(fileno=number)
                if found.family == socket.AF_PACKET:
                    return found
                found.close()
    finally:
        os.close(process)
    raise ProcessLookupError(f"process {pid} listens to no interface")


def _attach(sock: socket.socket, code: bytes) -> None:
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // len(_NOTHING), ctypes.addressof(held))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


def _attached(sock: socket.socket) -> bytes:
    """The instructions of a socket's filter; its length is counted in instructions."""
    held = ctypes.create_string_buffer(_MOST_INSTRUCTIONS * len(_NOTHING))
    count = ctypes.c_int(_MOST_INSTRUCTIONS)
    ctypes.CDLL(None).getsockopt(
        sock.fileno(), socket.SOL_SOCKET, _GET, held, ctypes.byref(count)
    )  # fmt: skip
    return held.raw[: count.value * len(_NOTHING)]
