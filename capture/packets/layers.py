"""The general way through the layers of one frame: tunnels, extension headers, fragments.

Slower than the batch path of `decap.py`, and taken only by what is not plain. A packet may
be nested; more than a dozen layers are an attack or an accident, and end as `nested too deeply`.
Lengths that headers claim are believed only as far as the frame was long on the wire.
"""

from __future__ import annotations

import struct

from .fragments import Fragments
from .frames import Packet
from .links import (
    IPV4,
    IPV6,
    LINKS,
    MPLS,
    MPLS_MULTI,
    PPPOE,
    TRANSPARENT_ETHERNET,
    VLANS,
    ethernet,
    pppoe,
    word,
)
from .tcp import TCP, URG
from .tunnels import UDP_TUNNELS, gre, mpls

_DEEPEST = 12
_UDP, _GRE = 17, 47
_IP_IN_IP = {4: IPV4, 41: IPV6}
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))
_FRAGMENT, _AUTHENTICATION = 44, 51
_ETHERNET_IN_IP, _MPLS_IN_IP = 97, 137
_VNTAG, _BACKBONE = 0x8926, 0x88E7
_TCP_HEADER = struct.Struct(">HHIIBB").unpack_from

NOT_IP = "not IP"
NOT_TCP = "not TCP"
SHORT = "with a header that is damaged or cut off"
TOO_DEEP = "nested too deeply"
FRAGMENT = "fragments, held until their datagram is whole"

Outcome = tuple[str, Packet | None]


class Layers:
    """Finds the TCP packet in a frame; holds the fragments of datagrams that are not whole."""

    def __init__(self) -> None:
        self.fragments = Fragments()

    def packet(self, link: int, frame: bytes, wire: int, now_ns: int) -> Outcome:
        """The fate of a frame, and the TCP packet in it where there is one."""
        found = LINKS[link][1](frame)
        if found is None:
            return NOT_IP, None
        return self._network(found[0], frame, found[1], wire, now_ns, 0)

    def _network(
        self, kind: int, data: bytes, at: int, end: int, now_ns: int, depth: int
    ) -> Outcome:
        """What is at `at`, of an ethertype; `end` is where it ended on the wire."""
        for _ in range(_DEEPEST):
            if kind == IPV4:
                return self._ipv4(data, at, end, now_ns, depth)
            if kind == IPV6:
                return self._ipv6(data, at, end, now_ns, depth)
            if kind in VLANS:
                found: tuple[int, int] | None = (word(data, at + 2), at + 4)
            elif kind in (MPLS, MPLS_MULTI):
                found = mpls(data, at)
            elif kind == PPPOE:
                found = pppoe(data, at)
            elif kind == TRANSPARENT_ETHERNET:
                found = ethernet(data, at)
            elif kind == _VNTAG:
                found = (word(data, at + 4), at + 6)
            elif kind == _BACKBONE:  # 802.1ah: a service tag, then the customer's frame
                found = ethernet(data, at + 4)
            else:
                return NOT_IP, None
            if found is None or found[1] >= len(data):
                return NOT_IP, None
            kind, at = found
        return TOO_DEEP, None

    def _ipv4(self, data: bytes, at: int, end: int, now_ns: int, depth: int) -> Outcome:
        if at + 20 > len(data) or data[at] >> 4 != 4 or data[at] & 15 < 5:
            return SHORT, None
        size = word(data, at + 2)
        if size:
            end = min(end, at + size)
        after = at + (data[at] & 15) * 4
        source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
        protocol, offset = data[at + 9], word(data, at + 6)
        if offset & 0x3FFF:
            key = (source, target, protocol, word(data, at + 4))
            return self._fragment(
                key, protocol, (offset & 0x1FFF) * 8, bool(offset & 0x2000), data[after:end],
                source, target, now_ns, depth,
            )  # fmt: skip
        return self._transport(protocol, data, after, end, source, target, now_ns, depth)

    def _ipv6(self, data: bytes, at: int, end: int, now_ns: int, depth: int) -> Outcome:
        if at + 40 > len(data) or data[at] >> 4 != 6:
            return SHORT, None
        size = word(data, at + 4)
        if size:
            end = min(end, at + 40 + size)
        source, target = data[at + 8 : at + 24], data[at + 24 : at + 40]
        following, after = data[at + 6], at + 40
        while following in _EXTENSIONS or following in (_FRAGMENT, _AUTHENTICATION):
            if after + 8 > min(len(data), end):
                return SHORT, None
            if following == _FRAGMENT:
                offset = word(data, after + 2)
                inner = data[after]
                if offset & 0xFFF9:
                    key = (source, target, data[after + 4 : after + 8])
                    return self._fragment(
                        key, inner, offset & 0xFFF8, bool(offset & 1), data[after + 8 : end],
                        source, target, now_ns, depth,
                    )  # fmt: skip
                following, after = inner, after + 8
                continue
            words = (data[after + 1] + 2) * 4
            length = words if following == _AUTHENTICATION else (data[after + 1] + 1) * 8
            following, after = data[after], after + length
        return self._transport(following, data, after, end, source, target, now_ns, depth)

    def _fragment(
        self, key: tuple[object, ...], protocol: int, offset: int, more: bool, part: bytes,
        source: bytes, target: bytes, now_ns: int, depth: int,
    ) -> Outcome:  # fmt: skip
        whole, _ = self.fragments.add(key, offset, more, part, now_ns)
        if not whole:
            return FRAGMENT, None
        return self._transport(protocol, whole, 0, len(whole), source, target, now_ns, depth)

    def _transport(
        self, protocol: int, data: bytes, at: int, end: int, source: bytes, target: bytes,
        now_ns: int, depth: int,
    ) -> Outcome:  # fmt: skip
        if protocol == TCP:
            return _tcp(data, at, end, source, target, now_ns)
        if depth >= _DEEPEST:
            return TOO_DEEP, None
        if protocol == _AUTHENTICATION:  # of IPv4; in IPv6 it is one of the extension headers
            if at + 12 > min(len(data), end):
                return SHORT, None
            after = at + (data[at + 1] + 2) * 4
            return self._transport(data[at], data, after, end, source, target, now_ns, depth + 1)
        kind, inner = _inside(protocol, data, at, end)
        if inner < 0:
            return NOT_TCP, None
        fate, packet = self._network(kind, data, inner, end, now_ns, depth + 1)
        return (NOT_TCP if fate == NOT_IP else fate), packet


def _inside(protocol: int, data: bytes, at: int, end: int) -> tuple[int, int]:
    """The ethertype and place of the packet that a transport carries; a place of -1 for none."""
    if protocol in _IP_IN_IP:
        return _IP_IN_IP[protocol], at
    found = None
    if protocol == _GRE:
        found = gre(data[at:end])
    elif protocol == _UDP:
        ports = word(data, at), word(data, at + 2)
        tunnel = UDP_TUNNELS.get(ports[1]) or UDP_TUNNELS.get(ports[0])
        found = tunnel(data[at + 8 : end]) if tunnel else None
        at += 8
    elif protocol == _ETHERNET_IN_IP:
        found = TRANSPARENT_ETHERNET, 2
    elif protocol == _MPLS_IN_IP:
        found = mpls(data[at:end], 0)
    return (found[0], at + found[1]) if found else (0, -1)


def _tcp(data: bytes, at: int, end: int, source: bytes, target: bytes, now_ns: int) -> Outcome:
    if at + 20 > min(len(data), end):
        return SHORT, None
    sport, dport, seq, ack, offset, flags = _TCP_HEADER(data, at)
    first = at + (offset >> 4) * 4
    if first < at + 20 or first > end:
        return SHORT, None
    if flags & URG and at + 20 <= len(data):
        flags |= word(data, at + 18) << 16
    payload = data[first:end]
    cut = end - max(first, min(len(data), end))
    return "", (now_ns, source, target, sport, dport, seq, ack, flags, payload, cut)
