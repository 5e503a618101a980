"""The kernel's filter drops what is out of the sample and nothing else: the kernel itself is asked.

A socket's filter may be attached to any socket, so a pair of local ones tells what the kernel makes
of a program: the filter of the one sees what the other sends as it would see a packet.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from capture.live.bpf import Program
from capture.live.filters import compile_filter, port_filter, sampled
from capture.live.hashing import WHOLE, connection_hash
from capture.live.thinning import outside
from capture.packets.layers import Layers
from tests.capture.packet_helpers import frames_of

ATTACH_FILTER = 26
ETHERNET, RAW, PPP = 1, 101, 9
SYN, ACK = 0x02, 0x10

V4, V6 = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
PORTS = st.integers(0, 65535)
ENDS = st.one_of(st.tuples(V4, V4, PORTS, PORTS), st.tuples(V6, V6, PORTS, PORTS))
LIMITS = st.integers(0, WHOLE - 1)
FLAGS = st.integers(0, 255)
LINKS = st.sampled_from([ETHERNET, RAW])


def passes(program: Program, frame: bytes) -> bool:
    """Whether the kernel lets a frame through a filter, in full length."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        code = b"".join(struct.pack("HBBI", *one) for one in program)
        held = ctypes.create_string_buffer(code)
        where = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
        far.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, where)
        near.send(frame)
        try:
            return far.recv(1 << 17, socket.MSG_DONTWAIT) == frame
        except BlockingIOError:
            return False


def frame(
    link: int, ends: tuple[bytes, bytes, int, int], flags: int, *, options: bytes = b"",
    fragment: int = 0, protocol: int = 6, payload: bytes = b"GET",
) -> bytes:  # fmt: skip
    src, dst, sport, dport = ends
    tcp = struct.pack(">HHIIBBHHH", sport, dport, 1, 2, 0x50, flags, 512, 0, 0) + payload
    if len(src) == 4:
        size = 20 + len(options) + len(tcp)
        head = 0x45 + len(options) // 4
        ip = struct.pack(">BBHHHBBH", head, 0, size, 7, fragment, 64, protocol, 0) + src + dst
        return b"\0" * 12 * (link == 1) + b"\x08\0" * (link == 1) + ip + options + tcp
    ip = struct.pack(">IHBB", 6 << 28, len(tcp), protocol, 64) + src + dst
    return b"\0" * 12 * (link == 1) + b"\x86\xdd" * (link == 1) + ip + tcp


@given(LINKS, ENDS, FLAGS, LIMITS)
def test_a_plain_packet_passes_where_its_hash_is_below_the_limit_or_it_opens(
    link: int, ends: tuple[bytes, bytes, int, int], flags: int, limit: int
) -> None:
    inside = connection_hash(*ends) < limit
    opens = flags & (SYN | ACK) == SYN
    assert passes(sampled((), link, limit), frame(link, ends, flags)) == (inside or opens)


@given(LINKS, ENDS)
def test_the_kernel_has_the_hash_to_the_last_bit(
    link: int, ends: tuple[bytes, bytes, int, int]
) -> None:
    number = connection_hash(*ends)
    assert not passes(sampled((), link, number), frame(link, ends, ACK))
    if number + 1 < WHOLE:
        assert passes(sampled((), link, number + 1), frame(link, ends, ACK))


@given(LINKS, ENDS, st.integers(0, 1 << 16), st.binary(max_size=60), st.integers(0, 53))
def test_what_is_not_plain_passes_to_be_decided_upon_when_it_is_read(
    link: int, ends: tuple[bytes, bytes, int, int], odd: int, rest: bytes, cut: int
) -> None:
    nothing = sampled((), link, 0)
    protocol = odd % 256
    if protocol != 6:
        assert passes(nothing, frame(link, ends, ACK, protocol=protocol))
    whole = frame(link, ends, ACK, payload=b"")
    assert passes(nothing, whole[: min(cut, len(whole) - 1)] or b"\0")
    if len(ends[0]) == 4:
        if odd & 0x3FFF:
            assert passes(nothing, frame(link, ends, ACK, fragment=odd & 0xFFFF))
        assert passes(nothing, frame(link, ends, ACK, options=b"\1" * 4))
    if link == ETHERNET:
        tagged = whole[:12] + b"\x81\0\0\5" + whole[12:]
        assert passes(nothing, tagged)
    assert passes(sampled((), PPP, 0), whole)
    found = Layers().packet(link, rest, len(rest), 0)[1]
    assert found is not None or passes(nothing, rest or b"\0")


PACKETS = st.lists(
    st.tuples(ENDS, FLAGS, st.booleans(), st.integers(0, 60)), min_size=1, max_size=6
)


@given(LINKS, PACKETS, LIMITS)
def test_what_waits_to_be_read_is_thinned_as_the_kernel_would_have(
    link: int, packets: list[tuple[tuple[bytes, bytes, int, int], int, bool, int]], limit: int
) -> None:
    frames = [
        frame(link, ends, flags, options=b"\1" * 4 * odd)[: 90 - cut]
        for ends, flags, odd, cut in packets
    ]
    batch = frames_of(frames, link)
    out = outside(batch, limit)
    program = sampled((), link, limit)
    assert out.tolist() == [not passes(program, one) for one in frames]
    assert len(batch.only(~out)) == len(frames) - out.sum()


@given(ENDS, st.sampled_from([80, 8080]))
def test_the_sample_comes_before_the_ports_and_does_not_replace_them(
    ends: tuple[bytes, bytes, int, int], port: int
) -> None:
    wanted = compile_filter(port_filter((80, 8080), ETHERNET), ETHERNET)
    src, dst, sport, _ = ends
    asked = (src, dst, sport, port)
    number = connection_hash(*asked)
    assert not passes(sampled(wanted, ETHERNET, number), frame(ETHERNET, asked, ACK))
    assert passes(sampled(wanted, ETHERNET, WHOLE - 1), frame(ETHERNET, asked, SYN))
    other = (src, dst, 1, 2)
    assert not passes(sampled(wanted, ETHERNET, WHOLE - 1), frame(ETHERNET, other, ACK))


def test_connections_of_hosts_as_they_are_fall_evenly_into_the_sample() -> None:
    server = ipaddress.ip_address("10.0.0.80").packed
    clients = [ipaddress.ip_address(f"10.0.{one >> 8}.{one & 255}").packed for one in range(500)]
    ends = [(client, server, 32768 + port, 80) for client in clients for port in range(40)]
    numbers = [connection_hash(*one) for one in ends]
    assert len(set(numbers)) > 0.99 * len(numbers)
    for parts in (2, 16, 64):
        counts = [0] * parts
        for number in numbers:
            counts[number * parts // WHOLE] += 1
        even = len(numbers) / parts
        chi_square = sum((count - even) ** 2 / even for count in counts)
        assert chi_square < parts + 6 * (2 * parts) ** 0.5


def test_a_port_filter_lets_a_packet_through_in_full_length() -> None:
    wanted = compile_filter(port_filter((80,), ETHERNET), ETHERNET)
    ends = (b"\1\1\1\1", b"\2\2\2\2", 80, 9)
    assert passes(wanted, frame(ETHERNET, ends, ACK, payload=b"x" * 65_495))
