"""Fuzzes decapsulation: python -m tests.fuzz.from_source decap -max_total_time=60

One invariant: nothing is raised, every frame has one fate, what is held of fragments is bounded,
and the quick way for plain frames finds just the packets that the general way finds.
"""

from __future__ import annotations

import sys

from capture.ledger import Ledger
from capture.packets.decap import Decapsulator
from capture.packets.frames import Packet
from capture.packets.layers import Layers
from capture.packets.links import LINKS
from tests.capture import packet_helpers as h
from tests.fuzz.instrument import Given, instrument

_LINKS = (*sorted(LINKS), 999)
_INNER = h.ipv4(h.tcp(b"GET / HTTP/1.1"))
_SIX = h.ipv6(h.tcp(b"x"))
_SEEDS = (
    h.ethernet(_INNER),
    h.ethernet(_SIX, 0x86DD),
    h.ethernet(b"\0\1\x08\0" + _INNER, 0x8100),
    h.ethernet(h.ipv4(_INNER, 4)),
    h.ethernet(h.ipv4(b"\0\0\x08\0" + _INNER, 47)),
    h.ethernet(h.ipv4(h.udp(b"\x08" + bytes(7) + h.ethernet(_INNER), 4789), 17)),
    h.ethernet(h.ipv4(h.udp(b"\0\0\x08\0" + bytes(4) + _INNER, 6081), 17)),
    h.ethernet(h.ipv4(h.udp(b"\x30\xff\0\x40\0\0\0\1" + _INNER, 2152), 17)),
    h.ethernet(h.ipv4(_INNER[20:28], offset=0x2000)),
    h.ethernet(h.ipv4(_INNER[28:], offset=1)),
    h.ethernet(h.ipv6(b"\6\0\0\1\0\0\0\7" + h.tcp(b"fragment"), 44), 0x86DD),
    h.ethernet(b"\0\0\1\x40" + _INNER, 0x8847),
    h.ethernet(b"\x11\0\0\1\0\x30\0\x21" + _INNER, 0x8864),
    b"\x88\x02" + bytes(24) + b"\xaa\xaa\3\0\0\0\x08\0" + _INNER,
    bytes(16) + _INNER,
    _INNER,
    _SIX,
    b"",
)
_MOST_HELD = 9 << 20


def one_input(data: bytes) -> None:
    """The invariant, for one input."""
    given = Given(data)
    link = _LINKS[given.number() % len(_LINKS)]
    frames: list[bytes] = []
    while given.left and len(frames) < 64:
        frame = bytearray(_SEEDS[given.number() % len(_SEEDS)])
        for _ in range(given.number() & 7):
            place = given.number()
            if place < len(frame):
                frame[place] = given.number()
        if given.number() & 1:
            frame += given.some(given.number())
        frames.append(bytes(frame[: given.number(2)] if given.number() & 1 else frame))
    wires = [len(frame) + (given.number() if given.number() & 1 else 0) for frame in frames]
    if not frames:
        return
    batch = h.frames_of(frames, link, wires)
    ledger = Ledger()
    decapsulator = Decapsulator(ledger)
    found = [packet for packet in decapsulator.packets(batch) if _carries(packet)]
    assert decapsulator.held_bytes <= _MOST_HELD
    decapsulator.close()
    assert ledger.imbalances() == []
    if link not in LINKS:
        assert not found
        return
    layers = Layers()
    slow = [
        layers.packet(link, frame, max(wire, len(frame)), 1000 * number)[1]
        for number, (frame, wire) in enumerate(zip(frames, wires, strict=True), 1)
    ]
    assert found == [packet for packet in slow if packet is not None and _carries(packet)]


def _carries(packet: Packet) -> bool:
    return bool(packet[8] or packet[9] or packet[7] & 7)


def main() -> None:
    """Let atheris search."""
    import atheris

    instrument(atheris, "packets.decap", "packets.layers", "packets.links", "packets.tunnels",
               "packets.fragments")  # fmt: skip
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
