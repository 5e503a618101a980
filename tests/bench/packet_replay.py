"""tcpreplay as a peer for timing: the same arrivals as packets on a veth pair, timed at its end.

The pair lives in a network namespace of its own, so this needs root. Nobody knows when tcpreplay
meant to send its first packet, so its lateness is told beyond that of its most punctual packet,
which favours it. The receiver notes the time at which the system call gave it each packet.

    late = lateness_of_tcpreplay(due_ns)       # ns, sorted; None where it cannot be measured here
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.common import ROOT, SENDER_CORE, TARGET_CORE, stay_on_core

_KIND = 0x88B5  # an EtherType for local experiments
_FRAME = struct.Struct("!6s6sHQ")
_SIZE = 400
_QUIET_S = 1.0
Times = NDArray[np.int64]


def lateness_of_tcpreplay(due_ns: Times, realtime: bool = False) -> Times | None:
    """Lateness of each packet at the receiver, in ns and in order of size."""
    if os.geteuid() or not all(map(shutil.which, ("tcpreplay", "unshare", "ip"))):
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "due.npy", due_ns)
        _write_packets(folder / "packets.pcap", due_ns)
        script = [sys.executable, "-m", "tests.bench.packet_replay", name, *["rt"] * realtime]
        subprocess.run(["unshare", "-n", *script], cwd=ROOT, check=True, timeout=120)
        numbers, arrivals = np.load(folder / "seen.npy")
    if len(numbers) < len(due_ns):
        raise RuntimeError(f"only {len(numbers)} of {len(due_ns)} packets arrived")
    late = arrivals - due_ns[numbers]
    return np.asarray(np.sort(late - late.min()), np.int64)


def _write_packets(path: Path, due_ns: Times) -> None:
    filler = bytes(_SIZE - _FRAME.size)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for number, at in enumerate((due_ns - due_ns[0]).tolist()):
            file.write(struct.pack("<IIII", 1 + at // 10**9, at % 10**9, _SIZE, _SIZE))
            file.write(_FRAME.pack(b"\xff" * 6, b"\2wire\1", _KIND, number) + filler)


def _receive(end: socket.socket, seen: list[tuple[int, int]], sent: threading.Event) -> None:
    os.sched_setaffinity(0, {TARGET_CORE})
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass
    while True:
        try:
            data = end.recv(2048)
        except TimeoutError:
            if sent.is_set():
                return
            continue
        seen.append((_FRAME.unpack_from(data)[3], time.time_ns()))


def main(folder: Path, realtime: bool) -> None:
    """Within the namespace: send and receive, and leave number and arrival of each packet."""
    subprocess.run(["ip", "link", "add", "out0", "type", "veth", "peer", "name", "in0"], check=True)
    for name in ("out0", "in0"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    seen: list[tuple[int, int]] = []
    sent = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_KIND)) as end:
        end.bind(("in0", _KIND))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        end.settimeout(_QUIET_S)
        packets = str(folder / "packets.pcap")
        command = ["chrt", "-r", "1"] if realtime else []
        command += ["tcpreplay", "--intf1=out0", "--preload-pcap", "--timer=nano", packets]
        receiver = threading.Thread(target=_receive, args=(end, seen, sent))
        receiver.start()
        stay_on_core(SENDER_CORE)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        sent.set()
        receiver.join()
    np.save(folder / "seen.npy", np.asarray(seen, np.int64).T)


if __name__ == "__main__":
    main(Path(sys.argv[1]), len(sys.argv) > 2)
