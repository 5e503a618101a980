"""Link layers: where in a frame the network layer begins, and of what protocol it is.

Each function takes a view of a frame and returns `(ethertype, offset)`, or None where the frame
carries no network packet that we can read. Numbers are those of the pcap link-type registry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

IPV4, IPV6 = 0x0800, 0x86DD
MPLS, MPLS_MULTI, PPPOE, PPP_TYPE = 0x8847, 0x8848, 0x8864, 0x880B
TRANSPARENT_ETHERNET = 0x6558
VLANS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))

Found = tuple[int, int] | None


def word(data: bytes, at: int) -> int:
    """The 16 bits at a place, big-endian; 0 beyond the end."""
    return data[at] << 8 | data[at + 1] if at + 1 < len(data) else 0


def ethernet(data: bytes, at: int = 0) -> Found:
    """Ethernet II, or 802.3 with LLC and SNAP."""
    if at + 14 > len(data):
        return None
    kind = word(data, at + 12)
    return _llc(data, at + 14) if kind < 0x600 else (kind, at + 14)


def _llc(data: bytes, at: int) -> Found:
    """LLC with a SNAP header (or an IP service access point)."""
    if data[at : at + 3] == b"\xaa\xaa\x03":
        return word(data, at + 6), at + 8
    if data[at : at + 2] == b"\x06\x06":
        return IPV4, at + 3
    return None


def raw_ip(data: bytes, at: int = 0) -> Found:
    """IP of the version that its first nibble tells."""
    if at >= len(data):
        return None
    version = data[at] >> 4
    return (IPV4, at) if version == 4 else (IPV6, at) if version == 6 else None


def ppp(data: bytes, at: int = 0) -> Found:
    """PPP, with or without address and control, with protocol numbers of one or two bytes."""
    if data[at : at + 2] in (b"\xff\x03", b"\x0f\x00", b"\x8f\x00"):
        at += 2
    if at >= len(data):
        return None
    protocol, after = (data[at], at + 1) if data[at] & 1 else (word(data, at), at + 2)
    kinds = {0x21: IPV4, 0x57: IPV6, 0x281: MPLS, 0x283: MPLS_MULTI}
    return (kinds[protocol], after) if protocol in kinds else None


def pppoe(data: bytes, at: int) -> Found:
    """A PPPoE session header of six bytes, then PPP."""
    return ppp(data, at + 6)


def _hdlc(data: bytes, at: int = 0) -> Found:
    """Cisco HDLC, or PPP in HDLC-like framing."""
    if data[at : at + 2] == b"\xff\x03":
        return ppp(data, at)
    return word(data, at + 2), at + 4


def wireless(data: bytes, at: int = 0) -> Found:
    """An 802.11 data frame that is not encrypted."""
    if at + 24 > len(data):
        return None
    control, flags = data[at], data[at + 1]
    if control & 0x0C != 0x08 or flags & 0x40 or control & 0x40:
        return None  # not data, protected, or without a body
    header = 24 + (6 if flags & 3 == 3 else 0) + (2 if control & 0x80 else 0)
    if control & 0x80 and header <= len(data) - at and data[at + header - 2] & 0x80:
        return None  # several frames aggregated into one
    if control & 0x80 and flags & 0x80:
        header += 4  # high-throughput control
    return _llc(data, at + header)


def _radiotap(data: bytes) -> Found:
    """802.11 behind a radiotap header, whose length stands in it."""
    if len(data) < 4:
        return None
    at = data[2] | data[3] << 8
    padded = _radiotap_pads(data) and len(data) > at + 1 and data[at] & 0x8C == 0x88
    found = wireless(data, at)
    if found is None and padded:  # padding of the header to four bytes
        return _llc(data, at + 28)
    return found


def _radiotap_pads(data: bytes) -> bool:
    present = int.from_bytes(data[4:8], "little")
    at = 8 + (8 if present & 1 else 0)
    return (
        bool(present & 2) and not present & 0x80000000 and at < len(data) and bool(data[at] & 0x20)
    )


def _nflog(data: bytes) -> Found:
    """NFLOG: type-length-values, of which type 9 is the packet."""
    at = 4
    while at + 4 <= len(data):
        size = data[at] | data[at + 1] << 8
        if data[at + 2] | data[at + 3] << 8 == 9:
            return raw_ip(data, at + 4)
        if size < 4:
            return None
        at += size + (-size & 3)
    return None


_LOOPBACK_HARDWARE = 772


def _cooked(data: bytes) -> Found:
    # `-i any` shows each loopback packet going out and coming in: the first is not looked at.
    if len(data) < 16 or (word(data, 0) == 4 and word(data, 2) == _LOOPBACK_HARDWARE):
        return None
    return word(data, 14), 16


def _cooked_2(data: bytes) -> Found:
    if len(data) < 20 or (data[10] == 4 and word(data, 8) == _LOOPBACK_HARDWARE):
        return None
    return word(data, 0), 20


def _behind(
    size_at: int, what: Callable[[bytes, int], Found], width: int,
    order: Literal["little", "big"] = "little",
) -> Callable[[bytes], Found]:  # fmt: skip
    """What stands behind a header that tells its own length, filled up to words of four."""

    def found(data: bytes) -> Found:
        size = int.from_bytes(data[size_at : size_at + width], order)
        return what(data, size + (-size & 3)) if size > size_at else None

    return found


_PREFIXED = {1: ethernet, 9: ppp, 12: raw_ip, 14: raw_ip, 101: raw_ip, 105: wireless}


def _ppi(data: bytes) -> Found:
    """Per-packet information: its length, and the link type of what follows it."""
    inside = _PREFIXED.get(int.from_bytes(data[4:8], "little"))
    return inside(data, data[2] | data[3] << 8) if inside and len(data) > 8 else None


def _pktap(data: bytes) -> Found:
    """What macOS captures of any interface: length, kind of record, link type of the packet."""
    size, record, link = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8))
    if len(data) < 12 or record != 1 or size < 12:
        return None
    if link in (0, 108):
        return raw_ip(data, size + 4)
    inside = _PREFIXED.get(link)
    return inside(data, size) if inside else None


LINKS: dict[int, tuple[str, Callable[[bytes], Found]]] = {
    0: ("NULL", lambda data: raw_ip(data, 4)),
    1: ("Ethernet", ethernet),
    9: ("PPP", ppp),
    12: ("raw IP", raw_ip),
    14: ("raw IP", raw_ip),
    50: ("PPP in HDLC", _hdlc),
    51: ("PPPoE", lambda data: pppoe(data, 0)),
    101: ("raw IP", raw_ip),
    104: ("Cisco HDLC", _hdlc),
    105: ("802.11", wireless),
    108: ("LOOP", lambda data: raw_ip(data, 4)),
    109: ("OpenBSD enc", lambda data: raw_ip(data, 12)),
    113: ("Linux cooked", _cooked),
    117: ("OpenBSD pflog", _behind(0, raw_ip, 1)),
    119: ("802.11 with prism", _behind(4, wireless, 4)),
    127: ("802.11 with radiotap", _radiotap),
    163: ("802.11 with AVS", _behind(4, wireless, 4, "big")),
    166: ("PPP with direction", lambda data: ppp(data, 4)),
    192: ("per-packet information", _ppi),
    204: ("PPP with direction", lambda data: ppp(data, 1)),
    228: ("IPv4", raw_ip),
    229: ("IPv6", raw_ip),
    239: ("NFLOG", _nflog),
    258: ("PKTAP", _pktap),
    276: ("Linux cooked 2", _cooked_2),
}
"""The link types that are read: number -> (name, where the network layer begins)."""
