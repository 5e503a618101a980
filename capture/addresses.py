"""The names of the ends of connections: `203.0.113.7:8080`, `[2001:db8::7]:8080`."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(4096)
def endpoint_name(address: bytes, port: int) -> str:
    """An address and a port as text; few servers have many connections, so names are shared."""
    text = str(ipaddress.ip_address(address))
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"
