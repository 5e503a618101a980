"""Reading packets: frames of a pcap to TCP packets, beside tshark and a bare pcap reader.

Each reader gets the same file, made here: keep-alive connections of small exchanges, a bare
acknowledgement after every second packet. Medians of several runs on one core; read the ratios.
"""

from __future__ import annotations

import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_EXCHANGES = 200_000
_CONNECTIONS = 64
_RUNS = 5
_REQUEST = b"GET /orders/%06d?page=2 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n"
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nServer: bench\r\n\r\nhello world\n"


def _packet(number: int, port: int, outgoing: bool, seq: int, ack: int, payload: bytes) -> bytes:
    ends = (b"\x0a\0\0\1", b"\x0a\0\0\2") if outgoing else (b"\x0a\0\0\2", b"\x0a\0\0\1")
    ports = (port, 80) if outgoing else (80, port)
    flags = 0x18 if payload else 0x10
    tcp = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags,
                      1000, 0, 0)  # fmt: skip
    size = 40 + len(payload)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 6, 0) + ends[0] + ends[1]
    frame = bytes(12) + b"\x08\0" + ip + tcp + payload
    record = struct.pack("<IIII", number // 50_000, number % 50_000 * 20, len(frame), len(frame))
    return record + frame


def write_capture(path: Path, exchanges: int = _EXCHANGES) -> int:
    """Write the capture; the number of its packets."""
    seqs = [1] * _CONNECTIONS
    acks = [1] * _CONNECTIONS
    number = 0
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for count in range(exchanges):
            one = count % _CONNECTIONS
            request = _REQUEST % count
            for outgoing, payload in ((True, request), (False, _RESPONSE), (True, b"")):
                near, far = (seqs, acks) if outgoing else (acks, seqs)
                out.write(_packet(number, 20_000 + one, outgoing, near[one], far[one], payload))
                near[one] += len(payload)
                number += 1
    return number


def decapsulated(path: Path) -> None:
    """Our frames to packets."""
    from capture.decap import Decapsulator
    from capture.ledger import Ledger
    from capture.sources import open_capture

    ledger = Ledger()
    decapsulator = Decapsulator(ledger)
    for frames in open_capture(str(path)).frames():
        decapsulator.packets(frames)
    decapsulator.close()


def read_only(path: Path) -> None:
    """scapy's raw reader, which looks at no header but the record's."""
    from scapy.utils import RawPcapReader

    with RawPcapReader(str(path)) as reader:
        for _ in reader:
            pass


def tshark(path: Path) -> None:
    """tshark, listing the fields of every request."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "http.request", "-T", "fields",
               "-e", "http.request.method", "-e", "http.request.uri"]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds(work: Callable[[Path], None], path: Path, runs: int) -> float:
    """The median time of some runs."""
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        work(path)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.pcap"
        packets = write_capture(path)
        print(f"{packets} packets, {_EXCHANGES} exchanges, {path.stat().st_size >> 20} MB")
        rows = [("wiretape, frames to packets", decapsulated, _RUNS),
                ("scapy RawPcapReader, reading only", read_only, 3)]  # fmt: skip
        if shutil.which("tshark"):
            rows.append(("tshark, requests", tshark, 1))
        print(f"{'reader':36} {'packets/s':>12} {'exchanges/s':>12}")
        for name, work, runs in rows:
            took = seconds(work, path, runs)
            print(f"{name:36} {packets / took:12,.0f} {_EXCHANGES / took:12,.0f}")


if __name__ == "__main__":
    main()
