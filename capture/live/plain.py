"""Plain packets, whose place of everything is known: what can be sampled before it is read.

They are TCP in IPv4 without options or fragments, and TCP in IPv6 without extension headers, on
Ethernet without tags or with no link header. The kernel's filter is made from these tables, and
what was copied before it came into force is thinned by them.
"""

from __future__ import annotations

from typing import NamedTuple

from ..packets.links import IPV4, IPV6

ETHERNET, RAW = 1, 101
LINKS = {ETHERNET: (12, 14), RAW: (-1, 0)}
"""Link type: the place of the ethertype (-1: none), and the length of the link header."""
UNFRAGMENTED = 0x3FFF
"""Bits of the fragment's word of which none is set where there is one fragment only."""


class Layout(NamedTuple):
    """A network header; places are from its beginning."""

    ethertype: int
    version: int
    first: int  # what its first byte must be: no options; 0 where that is any of the version
    fragment: int  # place of the fragment's word; 0 for none
    protocol: int  # place
    addresses: int  # place of both, one after the other
    width: int  # of an address
    size: int


LAYOUTS = (
    Layout(IPV4, 4, first=0x45, fragment=6, protocol=9, addresses=12, width=4, size=20),
    Layout(IPV6, 6, first=0, fragment=0, protocol=6, addresses=8, width=16, size=40),
)
"""The shortest first."""
