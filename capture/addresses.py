"""The names of the ends of connections: `203.0.113.7:8080`, `[2001:db8::7]:8080`."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from .packets.frames import Packet

_MOST_KNOWN = 1 << 12


@lru_cache(4096)
def endpoint_name(address: bytes, port: int) -> str:
    """An address and a port as text; few servers have many connections, so names are shared."""
    text = str(ipaddress.ip_address(address))
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"


class Ends:
    """The ends of a packet, as the objects that other connections have: most share one end."""

    def __init__(self) -> None:
        self._addresses: dict[bytes, bytes] = {}
        self._ports: dict[int, int] = {}

    def __call__(self, packet: Packet) -> tuple[bytes, bytes, int, int]:
        """Both addresses and both ports."""
        _, src, dst, sport, dport, *_ = packet
        if len(self._addresses) > _MOST_KNOWN:
            self._addresses.clear()
            self._ports.clear()
        address, port = self._addresses.setdefault, self._ports.setdefault
        return address(src, src), address(dst, dst), port(sport, sport), port(dport, dport)
