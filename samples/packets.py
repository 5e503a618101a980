"""Writes captures of conversations that never touched a network, packet by packet.

    python -m samples.packets -o big.pcap --connections 100000 --exchanges 60
    python -m samples.packets -o odd.pcapng --connections 20 --faults

Checksums are left zero, as a capture on a machine with offloading has them. `open_at_once`
connections are interleaved, which is what makes reassembly hold state. Everything is streamed:
a capture of 10 GB needs no more memory than one of 10 KB. With faults, connections take turns in
being retransmitted, reordered, overlapping, cut short, gapped, in mid-stream, reset or malformed.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MSS = 1460
START_NS = 1_700_000_000 * 10**9
ETHERNET = 1
SERVER = b"\x0a\x00\x00\x01"
FAULTS = (
    "none", "retransmitted", "reordered", "overlapping", "gap", "midstream", "reset", "malformed",
)  # fmt: skip


@dataclass(frozen=True)
class Conversations:
    """What is in a capture."""

    connections: int = 10
    exchanges: int = 10  # per connection
    open_at_once: int = 64
    response_bytes: int = 200
    upload_bytes: int = 0  # body of each tenth request, made a POST
    gap_ns: int = 20_000  # between packets
    port: int = 8080
    faults: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Packet:
    """One TCP segment; `upward` is from client to server."""

    upward: bool
    seq: int
    ack: int
    flags: int
    payload: bytes = b""


class Talker:
    """One connection: keeps both sequence numbers and makes packets of what is said."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number = number
        self.seq = [rng.getrandbits(32), rng.getrandbits(32)]  # server's, client's

    def say(self, upward: bool, data: bytes) -> list[Packet]:
        """Packets that carry the data, none larger than a segment."""
        parts = range(0, len(data), MSS)
        return [self._one(upward, ACK | PSH, data[at : at + MSS]) for at in parts]

    def _one(self, upward: bool, flags: int, payload: bytes = b"") -> Packet:
        seq, ack = self.seq[upward], self.seq[not upward]
        used = len(payload) + bool(flags & (SYN | FIN))
        self.seq[upward] = (seq + used) & 0xFFFFFFFF
        return Packet(upward, seq, ack if flags & ACK else 0, flags, payload)

    def open(self) -> list[Packet]:
        flags = ((True, SYN), (False, SYN | ACK), (True, ACK))
        return [self._one(upward, flag) for upward, flag in flags]

    def close(self) -> list[Packet]:
        return [self._one(*step) for step in ((True, FIN | ACK), (False, FIN | ACK), (True, ACK))]

    def reset(self) -> list[Packet]:
        return [self._one(True, RST | ACK)]


def _request_of(what: Conversations, connection: int, position: int) -> bytes:
    """The request at that place: a page of a shop, each tenth an upload if there are any."""
    head = f"Host: shop.example\r\nUser-Agent: sample\r\nCookie: session={connection:032x}\r\n"
    if what.upload_bytes and position % 10 == 9:
        length = f"Content-Length: {what.upload_bytes}\r\n\r\n"
        return (f"POST /uploads HTTP/1.1\r\n{head}{length}").encode() + b"u" * what.upload_bytes
    target = f"/products/{(connection * 31 + position) % 5000}"
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


def _response_of(what: Conversations) -> bytes:
    """An answer with a body of the size asked for."""
    head = f"HTTP/1.1 200 OK\r\nServer: sample\r\nContent-Length: {what.response_bytes}\r\n\r\n"
    return head.encode() + b"r" * what.response_bytes


def _talk(what: Conversations, number: int) -> Iterator[Packet]:
    """The packets of one connection, in the order in which they were seen."""
    rng = random.Random(what.seed * 1_000_003 + number)
    fault = FAULTS[number % len(FAULTS)] if what.faults else "none"
    talker = Talker(number, rng)
    opening = talker.open()
    if fault != "midstream":
        yield from opening
    answer = _response_of(what)
    for position in range(what.exchanges):
        request = _request_of(what, number, position)
        broken = fault == "malformed" and position == what.exchanges - 1
        if broken:
            request = b"GET /\x01 HTTP/1.1\r\nHost : a\r\n\r\n"
        yield from _disturbed(fault, talker.say(True, request))
        if fault == "reset" and position == what.exchanges - 1:
            yield from talker.reset()
            return
        yield from talker.say(False, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
                              if broken else answer)  # fmt: skip
    yield from talker.close()


def _disturbed(fault: str, packets: list[Packet]) -> list[Packet]:
    """The same segments as a bad network delivers them."""
    first = packets[0]
    half = len(first.payload) // 2
    if fault == "retransmitted":
        return [first, *packets]
    if fault in ("none", "midstream", "reset", "malformed"):
        return packets
    left = Packet(True, first.seq, first.ack, first.flags, first.payload[:half])
    skip = half - 4 if fault == "overlapping" else half
    seq = (first.seq + skip) & 0xFFFFFFFF
    right = Packet(True, seq, first.ack, first.flags, first.payload[skip:])
    if fault == "reordered":
        return [right, left, *packets[1:]]
    if fault == "gap":
        seq = (seq + 3) & 0xFFFFFFFF
        return [left, Packet(True, seq, first.ack, first.flags, right.payload[3:]), *packets[1:]]
    return [left, right, *packets[1:]]


def interleaved(what: Conversations) -> Iterator[tuple[int, Packet]]:
    """The packets of all connections, so many open at once, in turns."""
    waiting = iter(range(what.connections))
    talking: list[tuple[int, Iterator[Packet]]] = []
    for number in waiting:
        talking.append((number, _talk(what, number)))
        if len(talking) >= what.open_at_once:
            break
    while talking:
        still = []
        for number, packets in talking:
            packet = next(packets, None)
            if packet is not None:
                yield number, packet
                still.append((number, packets))
            elif (following := next(waiting, None)) is not None:
                still.append((following, _talk(what, following)))
        talking = still


def frame_of(what: Conversations, number: int, packet: Packet) -> bytes:
    """Ethernet, IPv4 and TCP around a payload."""
    client = struct.pack("!BBH", 10, 1 + (number >> 16 & 0x3F), number & 0xFFFF)
    port = 1024 + number % 60_000
    ends = (client, SERVER) if packet.upward else (SERVER, client)
    ports = (port, what.port) if packet.upward else (what.port, port)
    ethernet = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(packet.payload), 0, 0x4000, 64, 6, 0, *ends)
    tcp = struct.pack("!HHIIBBHHH", *ports, packet.seq, packet.ack, 0x50, packet.flags, 65535, 0, 0)
    return ethernet + ip + tcp + packet.payload


def write(what: Conversations, out: BinaryIO, pcapng: bool = False) -> int:
    """Write the capture; returns the number of packets."""
    out.write(_pcapng_head() if pcapng else pcap_head())
    count = 0
    for count, (number, packet) in enumerate(interleaved(what), 1):
        frame = frame_of(what, number, packet)
        time_ns = START_NS + count * what.gap_ns
        out.write(_pcapng_record(time_ns, frame) if pcapng else pcap_record(time_ns, frame))
    return count


def pcap_head() -> bytes:
    """The header of a pcap file with nanoseconds."""
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, ETHERNET)


def pcap_record(time_ns: int, frame: bytes) -> bytes:
    """One packet of a pcap file."""
    seconds, ns = divmod(time_ns, 10**9)
    return struct.pack("<IIII", seconds, ns, len(frame), len(frame)) + frame


def _pcapng_head() -> bytes:
    """The section and the one interface of a pcapng file."""
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    resolution = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)  # if_tsresol: 10^-9 s
    length = 20 + len(resolution)
    interface = struct.pack("<IIHHI", 1, length, ETHERNET, 0, 1 << 18)
    return section + interface + resolution + struct.pack("<I", length)


def _pcapng_record(time_ns: int, frame: bytes) -> bytes:
    """One packet of a pcapng file."""
    padded = frame + bytes(-len(frame) % 4)
    length = 32 + len(padded)
    head = struct.pack(
        "<IIIIIII", 6, length, 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), len(frame)
    )
    return head + padded + struct.pack("<I", length)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--connections", default=10, show_default=True, type=click.IntRange(1))
@click.option("--exchanges", default=10, show_default=True, type=click.IntRange(1))
@click.option("--open-at-once", default=64, show_default=True, type=click.IntRange(1))
@click.option("--response-bytes", default=200, show_default=True, type=click.IntRange(0))
@click.option("--upload-bytes", default=0, show_default=True, type=click.IntRange(0))
@click.option("--faults", is_flag=True, help="Disturb connections, each kind in turn.")
def main(output: Path, faults: bool, **wanted: int) -> None:
    """Write a capture (pcapng where the name ends so, else pcap with nanoseconds).

    \b
    Example:
      python -m samples.packets -o busy.pcap --connections 1000 --exchanges 100
    """
    what = Conversations(faults=faults, **wanted)
    with output.open("wb") as out:
        packets = write(what, out, output.suffix == ".pcapng")
    said = f"{output}: {packets:,} packets, {what.connections * what.exchanges:,} exchanges"
    click.echo(said, err=True)


if __name__ == "__main__":
    main()
