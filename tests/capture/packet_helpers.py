"""Frames, packets and capture files built by hand, for the tests of reading and decapsulation."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from capture.ledger import Ledger
from capture.packets.decap import Decapsulator
from capture.packets.frames import Frames, Packet
from capture.packets.sources import open_capture

CORPUS = Path(
    os.environ.get("WIRETAPE_CORPUS", Path(__file__).parents[2] / ".." / "shared" / "corpus")
)
CLIENT, SERVER = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"
PSH_ACK = 0x18


def tcp(payload: bytes = b"", sport: int = 40000, dport: int = 80, flags: int = PSH_ACK,
        seq: int = 1, ack: int = 2, options: bytes = b"") -> bytes:  # fmt: skip
    offset = (5 + len(options) // 4) << 4
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, offset, flags, 1000, 0, 0)
    return head + options + payload


def ipv4(payload: bytes, protocol: int = 6, src: bytes = CLIENT, dst: bytes = SERVER,
         offset: int = 0, number: int = 7, options: bytes = b"") -> bytes:  # fmt: skip
    words = 5 + len(options) // 4
    size = words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, size, number, offset, 64, protocol, 0)
    return head + src + dst + options + payload


def ipv6(payload: bytes, following: int = 6, src: bytes = b"\x20" + bytes(15),
         dst: bytes = b"\x20" + bytes(14) + b"\1") -> bytes:  # fmt: skip
    return struct.pack(">IHBB", 0x60000000, len(payload), following, 64) + src + dst + payload


def udp(payload: bytes, dport: int, sport: int = 50000) -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + payload


def frames_of(frames: Sequence[bytes], link: int = 1, wires: Sequence[int] = ()) -> Frames:
    lengths = np.array([len(frame) for frame in frames], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    wire = np.array(wires, np.int64) if wires else lengths
    times = np.arange(1, len(frames) + 1, dtype=np.int64) * 1000
    return Frames(b"".join(frames), link, starts, lengths, wire, times)


def decoded(frames: Frames, ports: Sequence[int] = ()) -> tuple[list[Packet], Ledger]:
    ledger = Ledger()
    decapsulator = Decapsulator(ledger, ports)
    packets = decapsulator.packets(frames)
    decapsulator.close()
    assert ledger.imbalances() == []
    return packets, ledger


def pcap(frames: Sequence[bytes], order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    """A pcap file whose nth frame is captured at n s and n ticks."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
    for number, frame in enumerate(frames):
        out.append(struct.pack(order + "IIII", number, number, len(frame), len(frame)) + frame)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    padded = body + bytes(-len(body) & 3)
    size = struct.pack(order + "I", len(padded) + 12)
    return struct.pack(order + "I", kind) + size + padded + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, resolution: int = 6, offset_s: int = 0, order: str = "<") -> bytes:
    options = struct.pack(order + "HHB3x", 9, 1, resolution)
    options += struct.pack(order + "HHq", 14, 8, offset_s)
    options += struct.pack(order + "HH", 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)


def enhanced(frame: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)
    )
    return block(6, head + frame, order)


def read(path: Path | str) -> tuple[list[tuple[int, int, bytes]], str]:
    """All frames of a file as (time, link, bytes), and the damage."""
    source = open_capture(str(path))
    found = [
        (int(time), frames.link, frames.data[start : start + length])
        for frames in source.frames()
        for time, start, length in zip(
            frames.times.tolist(), frames.starts.tolist(), frames.lengths.tolist(), strict=True
        )
    ]
    return found, source.damage
