"""Tunnels: what is inside a GRE, UDP or MPLS packet that carries other packets.

Each function gets the bytes of the outer payload and returns `(ethertype, offset)` of the packet
inside, or None. `TRANSPARENT_ETHERNET` as the ethertype means that an Ethernet frame follows.
"""

from __future__ import annotations

from collections.abc import Callable

from .links import IPV4, IPV6, PPP_TYPE, TRANSPARENT_ETHERNET, Found, ppp, raw_ip, wireless, word

_ERSPAN, _ERSPAN_3, _WCCP = 0x88BE, 0x22EB, 0x883E
_ACCESS_POINT = (0x8200, 0x9000)  # 802.11 as access points send it to their controller


def gre(data: bytes) -> Found:
    """GRE of versions 0 and 1 (PPTP), with ERSPAN I to III inside."""
    if len(data) < 4:
        return None
    flags, kind = word(data, 0), word(data, 2)
    at = 4
    at += 4 if flags & 0xC000 else 0  # checksum or routing
    at += 4 if flags & 0x2000 else 0  # key
    at += 4 if flags & 0x1000 else 0  # sequence
    if flags & 7 == 1:
        at += 4 if flags & 0x80 else 0  # acknowledgement
        return ppp(data, at) if kind == PPP_TYPE else None
    if flags & 0x4000:
        return None  # source routing is obsolete, and its length unbounded
    if kind == _ERSPAN:  # type I has no sequence and no header of its own
        return TRANSPARENT_ETHERNET, at + (8 if flags & 0x1000 else 0)
    if kind == _ERSPAN_3:
        platform = len(data) > at + 11 and data[at + 11] & 1
        return TRANSPARENT_ETHERNET, at + (20 if platform else 12)
    if kind == _WCCP:
        return raw_ip(data, at) or raw_ip(data, at + 4)
    if kind & 0xFF00 in _ACCESS_POINT:
        return wireless(data, at)
    return (kind, at) if at < len(data) else None


def mpls(data: bytes, at: int) -> Found:
    """A stack of MPLS labels; what follows is told by its first nibble."""
    while at + 4 <= len(data):
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            found = raw_ip(data, at)
            if found is None and at < len(data):
                # A pseudowire: a control word of zeros, then Ethernet; or Ethernet at once.
                control = data[at] >> 4 == 0
                found = TRANSPARENT_ETHERNET, at + (4 if control else 0)
            return found
    return None


def _vxlan(data: bytes) -> Found:
    """VXLAN: eight bytes, then Ethernet."""
    return (TRANSPARENT_ETHERNET, 8) if len(data) > 22 and data[0] & 8 else None


def _vxlan_gpe(data: bytes) -> Found:
    """VXLAN-GPE: eight bytes that tell what follows."""
    if len(data) < 9:
        return None
    kind = {1: IPV4, 2: IPV6, 3: TRANSPARENT_ETHERNET}.get(data[3])
    return (kind, 8) if kind else None


def _geneve(data: bytes) -> Found:
    """GENEVE: eight bytes, options in words of four, then what its protocol says."""
    if len(data) < 9 or data[0] >> 6:
        return None
    return word(data, 2), 8 + 4 * (data[0] & 0x3F)


def _gtp_user(data: bytes) -> Found:
    """GTP-U version 1, a packet of a user (message 255), with its extension headers."""
    if len(data) < 9 or data[0] >> 5 != 1 or data[1] != 0xFF:
        return None
    at = 8
    if data[0] & 7:
        extension = data[11] if data[0] & 4 and len(data) > 11 else 0
        at = 12
        while extension and at < len(data) and data[at]:
            end = at + 4 * data[at]
            extension = data[end - 1] if end <= len(data) else 0
            at = end
    return raw_ip(data, at)


def _teredo(data: bytes) -> Found:
    """Teredo: IPv6 behind optional authentication and origin indications."""
    at = 0
    if data[at : at + 2] == b"\0\1" and len(data) > 4:
        at += 4 + data[2] + data[3] + 9
    if data[at : at + 2] == b"\0\0":
        at += 8
    if at + 40 > len(data) or data[at] >> 4 != 6 or word(data, at + 4) + 40 > len(data) - at:
        return None
    return IPV6, at


def _ayiya(data: bytes) -> Found:
    """AYIYA: identity and signature in words of four, then the protocol that it names."""
    if len(data) < 8:
        return None
    at = 8 + (1 << (data[0] >> 4)) + 4 * (data[1] >> 4)
    return raw_ip(data, at) if data[3] in (4, 41) else None


def _l2tp(data: bytes) -> Found:
    """L2TP version 2, a data message: PPP behind a header of optional fields."""
    flags = word(data, 0)
    if flags & 0x8000 or flags & 15 != 2:
        return None
    at = 6 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        at += 2 + word(data, at)
    return ppp(data, at)


UDP_TUNNELS: dict[int, Callable[[bytes], Found]] = {
    1701: _l2tp,
    2152: _gtp_user,
    3544: _teredo,
    4789: _vxlan,
    4790: _vxlan_gpe,
    5072: _ayiya,
    6081: _geneve,
    6635: lambda data: mpls(data, 0),
    8472: _vxlan,
}
"""UDP ports, of either side, behind which another packet may be."""
