"""Decapsulation: the batch path and the general path arrive at the same packets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.packets.fragments import Fragments
from capture.packets.layers import Layers
from capture.packets.links import LINKS
from tests.capture import packet_helpers as h

HELLO = b"GET / HTTP/1.1\r\n\r\n"
PLAIN = h.ipv4(h.tcp(HELLO))
EXPECTED = (1000, h.CLIENT, h.SERVER, 40000, 80, 1, 2, h.PSH_ACK, HELLO, 0)
VLAN = struct.pack(">HH", 5, 0x0800)
LABEL = b"\x00\x01\x01\x40"
WIRELESS = b"\x08\1" + bytes(22) + b"\xaa\xaa\3\0\0\0\x08\0" + PLAIN


def in_udp(port: int, header: bytes, inner: bytes) -> bytes:
    return h.ethernet(h.ipv4(h.udp(header + inner, port), 17, b"\1\1\1\1", b"\2\2\2\2"))


def in_gre(header: bytes, inner: bytes) -> bytes:
    return h.ethernet(h.ipv4(header + inner, 47, b"\1\1\1\1", b"\2\2\2\2"))


WRAPPED = {
    "ethernet": (1, h.ethernet(PLAIN)),
    "ethernet padding": (1, h.ethernet(PLAIN) + bytes(20)),
    "vlan": (1, h.ethernet(VLAN + PLAIN, 0x8100)),
    "qinq": (1, h.ethernet(struct.pack(">HH", 9, 0x8100) + VLAN + PLAIN, 0x88A8)),
    "mpls": (1, h.ethernet(LABEL + PLAIN, 0x8847)),
    "pppoe": (1, h.ethernet(b"\x11\0\0\1\0\0\0\x21" + PLAIN, 0x8864)),
    "snap": (1, h.ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + PLAIN, 0x0100)),
    "backbone": (1, h.ethernet(bytes(4) + h.ethernet(PLAIN), 0x88E7)),
    "null": (0, b"\2\0\0\0" + PLAIN),
    "loop": (108, b"\0\0\0\2" + PLAIN),
    "raw": (101, PLAIN),
    "ipv4 link": (228, PLAIN),
    "cooked": (113, bytes(14) + b"\x08\0" + PLAIN),
    "cooked 2": (276, b"\x08\0" + bytes(18) + PLAIN),
    "ppp": (9, b"\xff\3\0\x21" + PLAIN),
    "pppoe link": (51, b"\x11\0\0\1\0\0\0\x21" + PLAIN),
    "ppp with direction": (166, b"\0\0\0\0\xff\3\0\x21" + PLAIN),
    "ppp with a byte of direction": (204, b"\1\xff\3\0\x21" + PLAIN),
    "mpls in udp": (1, in_udp(6635, LABEL, PLAIN)),
    "hdlc": (104, b"\x0f\0\x08\0" + PLAIN),
    "802.11": (105, WIRELESS),
    "802.11 qos": (105, b"\x88\1" + bytes(24) + b"\xaa\xaa\3\0\0\0\x08\0" + PLAIN),
    "nflog": (239, bytes(4) + struct.pack("<HH", 4 + len(PLAIN), 9) + PLAIN),
    "enc": (109, bytes(12) + PLAIN),
    "pflog": (117, b"\x3d" + bytes(63) + PLAIN),
    "pflog of a hundred bytes": (117, b"\x64" + bytes(99) + PLAIN),
    "prism": (119, struct.pack("<II136x", 0x44, 144) + WIRELESS),
    "avs": (163, struct.pack(">II56x", 0x80211001, 64) + WIRELESS),
    "ppi": (192, struct.pack("<BBHI", 0, 0, 8, 1) + h.ethernet(PLAIN)),
    "ppi 802.11": (192, struct.pack("<BBHI24x", 0, 0, 32, 105) + WIRELESS),
    "pktap": (258, struct.pack("<III96x", 108, 1, 1) + h.ethernet(PLAIN)),
    "pktap loopback": (258, struct.pack("<III96x", 108, 1, 0) + b"\2\0\0\0" + PLAIN),
    "authenticated": (1, h.ethernet(h.ipv4(b"\6\4" + bytes(22) + h.tcp(HELLO), 51))),
    "authenticated tunnel": (1, h.ethernet(h.ipv4(b"\4\4" + bytes(22) + PLAIN, 51))),
    "ip in ip": (1, h.ethernet(h.ipv4(PLAIN, 4))),
    "radiotap": (127, b"\0\0\x08\0" + bytes(4) + WIRELESS),
    "radiotap whose flags pad the header": (
        127,
        b"\0\0\x09\0\2\0\0\0\x20\x88\1" + bytes(26) + b"\xaa\xaa\3\0\0\0\x08\0" + PLAIN,
    ),
    "802.11 between access points": (
        105,
        b"\x08\3" + bytes(28) + b"\xaa\xaa\3\0\0\0\x08\0" + PLAIN,
    ),
    "raw of BSD": (12, PLAIN),
    "raw of OpenBSD": (14, PLAIN),
    "ppp without address": (9, b"\0\x21" + PLAIN),
    "ppp in hdlc": (50, b"\xff\3\0\x21" + PLAIN),
    "loopback of the other byte order": (0, b"\0\0\0\2" + PLAIN),
    "nflog with other values before": (
        239,
        bytes(4) + struct.pack("<HHHxx", 6, 10, 7) + struct.pack("<HH", 4 + len(PLAIN), 9) + PLAIN,
    ),
    "two labels": (1, h.ethernet(b"\0\1\0\x40" + LABEL + PLAIN, 0x8847)),
    "pseudowire": (1, h.ethernet(LABEL + bytes(4) + h.ethernet(PLAIN), 0x8847)),
    "vlan and mpls": (1, h.ethernet(struct.pack(">HH", 5, 0x8847) + LABEL + PLAIN, 0x8100)),
    "vlan and pppoe": (
        1,
        h.ethernet(struct.pack(">HH", 5, 0x8864) + b"\x11\0\0\1\0\0\0\x21" + PLAIN, 0x8100),
    ),
    "4 in 6": (1, h.ethernet(h.ipv6(PLAIN, 4), 0x86DD)),
    "gre over 6": (1, h.ethernet(h.ipv6(b"\0\0\x08\0" + PLAIN, 47), 0x86DD)),
    "gre with a checksum": (1, in_gre(b"\x80\0\x08\0" + bytes(4), PLAIN)),
    "ethernet in gre": (1, in_gre(b"\x20\0\x65\x58" + bytes(4), h.ethernet(PLAIN))),
    "mpls in gre": (1, in_gre(b"\0\0\x88\x47" + LABEL, PLAIN)),
    "pptp": (1, in_gre(b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\3\0\x21", PLAIN)),
    "erspan 3 with a subheader": (
        1,
        in_gre(b"\x10\0\x22\xeb" + bytes(15) + b"\1" + bytes(8), h.ethernet(PLAIN)),
    ),
    "vxlan gpe": (1, in_udp(4790, b"\x0c\0\0\1" + bytes(4), PLAIN)),
    "ip in geneve": (1, in_udp(6081, b"\0\0\x08\0" + bytes(4), PLAIN)),
    "gtp with a sequence": (1, in_udp(2152, b"\x32\xff\0\0\0\0\0\1\0\1\0\0", PLAIN)),
    "gre": (1, in_gre(b"\0\0\x08\0", PLAIN)),
    "gre key and sequence": (1, in_gre(b"\x30\0\x08\0" + bytes(8), PLAIN)),
    "erspan 1": (1, in_gre(b"\0\0\x88\xbe", h.ethernet(PLAIN))),
    "erspan 2": (1, in_gre(b"\x10\0\x88\xbe" + bytes(12), h.ethernet(PLAIN))),
    "erspan 3": (1, in_gre(b"\x10\0\x22\xeb" + bytes(16), h.ethernet(PLAIN))),
    "vxlan": (1, in_udp(4789, b"\x08" + bytes(7), h.ethernet(PLAIN))),
    "vxlan in vxlan": (
        1,
        in_udp(4789, b"\x08" + bytes(7), in_udp(8472, b"\x08" + bytes(7), h.ethernet(PLAIN))),
    ),
    "geneve": (1, in_udp(6081, b"\1\0\x65\x58" + bytes(8), h.ethernet(PLAIN))),
    "gtp": (1, in_udp(2152, b"\x30\xff\0\0\0\0\0\1", PLAIN)),
    "gtp with extension": (1, in_udp(2152, b"\x34\xff\0\0\0\0\0\1\0\0\0\x85\1\0\0\0", PLAIN)),
    "l2tp": (1, in_udp(1701, b"\0\2\0\1\0\1\xff\3\0\x21", PLAIN)),
}


SIX = h.ipv6(h.tcp(HELLO))
WRAPPED_SIX = {
    "ethernet": (1, h.ethernet(SIX, 0x86DD)),
    "vlan": (1, h.ethernet(struct.pack(">HH", 5, 0x86DD) + SIX, 0x8100)),
    "mpls": (1, h.ethernet(LABEL + SIX, 0x8847)),
    "pppoe": (1, h.ethernet(b"\x11\0\0\1\0\0\0\x57" + SIX, 0x8864)),
    "null of FreeBSD": (0, b"\x1c\0\0\0" + SIX),
    "null of macOS": (0, b"\x1e\0\0\0" + SIX),
    "loop of OpenBSD": (108, b"\0\0\0\x18" + SIX),
    "raw": (101, SIX),
    "ipv6 link": (229, SIX),
    "cooked": (113, bytes(14) + b"\x86\xdd" + SIX),
    "cooked 2": (276, b"\x86\xdd" + bytes(18) + SIX),
    "ppp": (9, b"\xff\3\0\x57" + SIX),
    "nflog": (239, b"\x0a\0\0\1" + struct.pack("<HH", 4 + len(SIX), 9) + SIX),
    "6 in 4": (1, h.ethernet(h.ipv4(SIX, 41))),
    "6 in 6": (1, h.ethernet(h.ipv6(SIX, 41), 0x86DD)),
    "gre": (1, in_gre(b"\0\0\x86\xdd", SIX)),
    "gtp": (1, in_udp(2152, b"\x30\xff\0\0\0\0\0\1", SIX)),
    "teredo": (1, in_udp(3544, b"", SIX)),
    "teredo with authentication": (1, in_udp(3544, b"\0\1\0\0" + bytes(9), SIX)),
    "teredo with its origin": (1, in_udp(3544, b"\0\0" + bytes(6), SIX)),
    "teredo with both": (1, in_udp(3544, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6), SIX)),
    "ayiya": (1, in_udp(5072, b"\x45\x52\x11\x29" + bytes(40), SIX)),
}


@pytest.mark.parametrize("name", WRAPPED_SIX)
def test_a_packet_of_version_6_is_found_in_every_wrapping(name: str) -> None:
    link, frame = WRAPPED_SIX[name]
    packets, ledger = h.decoded(h.frames_of([frame], link))
    assert [(p[1], p[2], p[3:5], p[8]) for p in packets] == [
        (SIX[8:24], SIX[24:40], (40000, 80), HELLO)
    ]
    assert ledger.fates("packets") == {"kept": 1}


@pytest.mark.parametrize("name", WRAPPED)
def test_the_same_packet_is_found_in_every_wrapping(name: str) -> None:
    link, frame = WRAPPED[name]
    packets, ledger = h.decoded(h.frames_of([frame], link))
    assert packets == [EXPECTED]
    assert ledger.fates("packets") == {"kept": 1}


def test_options_and_extension_headers_are_stepped_over() -> None:
    extended = h.ipv6(b"\x06\0" + bytes(6) + h.tcp(HELLO, options=bytes(8)), 0)
    frames = [
        h.ethernet(h.ipv4(h.tcp(HELLO, options=bytes(12)), options=bytes(8))),
        h.ethernet(h.ipv6(h.tcp(HELLO)), 0x86DD),
        h.ethernet(extended, 0x86DD),
    ]
    packets, _ = h.decoded(h.frames_of(frames))
    assert [(p[0], len(p[1]), p[8]) for p in packets] == [
        (1000, 4, HELLO), (2000, 16, HELLO), (3000, 16, HELLO),
    ]  # fmt: skip


def test_packets_of_both_paths_and_versions_stay_in_the_order_of_their_frames() -> None:
    frames = [
        h.ethernet(h.ipv6(h.tcp(b"0")), 0x86DD),
        WRAPPED["gre"][1],
        h.ethernet(PLAIN),
        WRAPPED["vxlan"][1],
        h.ethernet(h.ipv6(h.tcp(b"4")), 0x86DD),
    ]
    packets, _ = h.decoded(h.frames_of(frames))
    assert [p[0] for p in packets] == [1000, 2000, 3000, 4000, 5000]


@pytest.mark.parametrize(
    ("most", "wrap"),
    [
        (50, lambda packet: h.ipv4(packet, 4)),
        (40, lambda packet: h.ipv4(b"\0\0\x08\0" + packet, 47)),
        (30, lambda packet: h.ipv4(h.udp(b"\x08" + bytes(7) + h.ethernet(packet), 4789), 17)),
    ],
    ids=["ip in ip", "gre", "vxlan"],
)
def test_a_dozen_wrappings_are_read_and_more_are_told_as_such(most: int, wrap) -> None:
    packet, frames = PLAIN, []
    for _ in range(most):
        packet = wrap(packet)
        frames.append(h.ethernet(packet))
    packets, ledger = h.decoded(h.frames_of(frames))
    assert len(packets) == 12
    assert ledger.fates("packets") == {"nested too deeply": most - 12, "kept": 12}
    assert ledger.imbalances() == []


def test_each_frame_has_one_fate() -> None:
    frames = [
        h.ethernet(PLAIN),
        h.ethernet(h.ipv4(h.tcp(b"", flags=0x10))),
        h.ethernet(h.ipv4(h.tcp(HELLO, dport=81))),
        h.ethernet(h.ipv4(h.udp(b"dns", 53), 17)),
        h.ethernet(bytes(40), 0x0806),
        b"short",
        h.ethernet(h.ipv4(b"\0" * 10)),
    ]
    packets, ledger = h.decoded(h.frames_of(frames), (80,))
    assert len(packets) == 2, "the one that carries something, and the latest acknowledgement"
    assert ledger.fates("packets") == {
        "kept": 1, "carried nothing (acknowledgements)": 1, "of another port": 1, "not TCP": 1,
        "not IP": 2, "with a header that is damaged or cut off": 1,
    }  # fmt: skip


@pytest.mark.parametrize("link", [1, 113])
def test_bytes_beyond_the_snap_length_are_measured(link: int) -> None:
    whole = h.ethernet(h.ipv4(h.tcp(b"x" * 100)))
    if link == 113:
        whole = bytes(14) + b"\x08\0" + whole[14:]
    packets, _ = h.decoded(h.frames_of([whole[:-60]], link, [len(whole)]))
    assert (packets[0][8], packets[0][9]) == (b"x" * 40, 60)


def test_segmentation_offload_that_leaves_the_length_zero_is_read_by_the_frame() -> None:
    packet = bytearray(PLAIN)
    packet[2:4] = b"\0\0"
    packets, _ = h.decoded(h.frames_of([h.ethernet(bytes(packet))]))
    assert packets == [EXPECTED]


def test_a_packet_of_version_6_larger_than_its_length_can_tell_is_read_by_the_frame() -> None:
    jumbo = h.ipv6(h.tcp(b"x" * 70_000)[:65_535]) + b"x" * 4_485  # as BIG TCP has it: length 0
    packet = bytearray(jumbo)
    packet[4:6] = b"\0\0"
    packets, _ = h.decoded(h.frames_of([h.ethernet(bytes(packet), 0x86DD)]))
    assert [p[8] for p in packets] == [b"x" * 70_000]


def test_an_unknown_link_type_is_counted_not_guessed() -> None:
    packets, ledger = h.decoded(h.frames_of([PLAIN], 147))
    assert packets == []
    assert list(ledger.fates("packets")) == ["of link type 147, which is not read"]


def test_fragments_of_both_versions_are_joined_in_any_order() -> None:
    segment = h.tcp(b"y" * 100)
    four = [
        h.ethernet(h.ipv4(segment[at : at + 40], offset=(at // 8) | (0x2000 if at < 80 else 0)))
        for at in (80, 0, 40)
    ]
    six = [
        h.ethernet(
            h.ipv6(struct.pack(">BBHI", 6, 0, at | (at < 80), 9) + segment[at : at + 40], 44),
            0x86DD,
        )
        for at in (40, 80, 0)
    ]
    packets, ledger = h.decoded(h.frames_of(four + six))
    assert [p[8] for p in packets] == [b"y" * 100] * 2
    assert ledger.fates("packets")["kept"] == 2


def test_fragments_that_never_complete_are_bounded_and_counted() -> None:
    held = Fragments(most_held=10_000)
    for number in range(1000):
        held.add((number,), 8, True, bytes(500), number)
        assert held.held_bytes <= 10_000
    assert held.given_up + held.pending() == 1000


@given(st.lists(st.tuples(st.integers(0, 30), st.binary(min_size=1, max_size=60)), max_size=20))
def test_the_first_copy_of_a_byte_wins_among_fragments(parts: list[tuple[int, bytes]]) -> None:
    held = Fragments()
    seen: dict[int, int] = {}
    for offset, data in [*parts, (0, bytes(96)), (96, b"end")]:
        for index, byte in enumerate(data):
            seen.setdefault(offset + index, byte)
        whole, _ = held.add(("k",), offset, data != b"end", data, 0)
    assert whole == bytes(seen[n] for n in range(99))


@given(
    st.sampled_from(sorted(LINKS)),
    st.lists(st.sampled_from(sorted(WRAPPED)), min_size=1, max_size=4),
    st.data(),
)
def test_damaged_frames_never_raise_and_never_unbalance_the_ledger(link, names, data) -> None:
    frames = []
    for name in names:
        frame = bytearray(WRAPPED[name][1])
        for _ in range(data.draw(st.integers(0, 4))):
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        frames.append(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
    h.decoded(h.frames_of(frames, link))


@given(st.data())
def test_the_batch_path_agrees_with_the_general_path_on_damaged_headers(data) -> None:
    frame = bytearray(h.ethernet(PLAIN))
    for _ in range(data.draw(st.integers(0, 3))):
        frame[data.draw(st.integers(12, 53))] = data.draw(st.integers(0, 255))
    _, general = Layers().packet(1, bytes(frame), len(frame), 1000)
    packets, _ = h.decoded(h.frames_of([bytes(frame)]))
    if general is not None and (general[8] or general[9] or general[7] & 7):
        assert packets == [general]
    else:
        assert packets == []
