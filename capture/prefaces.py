r"""What proxies say at the start of a stream before the HTTP begins, on either side.

A load balancer tells the address of the real client: `PROXY TCP4 203.0.113.7 … \r\n`, or the same
in binary. A client of a SOCKS proxy asks it for a connection, and the proxy answers. None of this
is part of an exchange: it is taken off, counted, and the address that was told is believed.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

_V1, _V1_LIMIT = b"PROXY ", 107
_V2, _V2_HEAD = b"\r\n\r\n\0\r\nQUIT\n", 16
_SOCKS5, _SOCKS4_ASKED, _SOCKS4_GRANTED = b"\x05", b"\x04\x01", b"\0\x5a"
_BEGINNINGS = (_V1, _V2, _SOCKS5, _SOCKS4_ASKED, _SOCKS4_GRANTED)
_ADDRESS_BYTES = {1: 4, 4: 16}


class Preface(NamedTuple):
    """Bytes before the HTTP. `size` is 0 while more of them are to come."""

    size: int
    client: bytes = b""  # the packed address that was told
    port: int = 0


MORE = Preface(0)


def preface(data: bytes) -> Preface | None:
    """What `data`, the first bytes of a stream, begin with; None where it is no preface."""
    if not data.startswith(_BEGINNINGS):
        unfinished = bool(data) and any(one.startswith(data) for one in (_V1, _V2))
        return MORE if unfinished else None
    if data.startswith(_V1):
        return _version_1(data)
    if data.startswith(_V2):
        return _version_2(data)
    if data.startswith(_SOCKS5):
        size = max(_socks5(data, asked=True), _socks5(data, asked=False))
        return None if size < 0 else Preface(size)
    if data.startswith(_SOCKS4_ASKED):
        return _socks4(data)
    return Preface(8) if len(data) >= 8 else MORE


def _version_1(data: bytes) -> Preface | None:
    end = data.find(b"\r\n", 0, _V1_LIMIT)
    if end < 0:
        return MORE if len(data) < _V1_LIMIT else None
    words = data[:end].split(b" ")
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6") or not words[4].isdigit():
        return Preface(end + 2)
    try:
        client = ipaddress.ip_address(words[2].decode("ascii")).packed
    except ValueError:  # UnicodeDecodeError is one
        return Preface(end + 2)
    return Preface(end + 2, client, int(words[4]) & 0xFFFF)


def _version_2(data: bytes) -> Preface:
    if len(data) < _V2_HEAD:
        return MORE
    size = _V2_HEAD + int.from_bytes(data[14:16], "big")
    if len(data) < size:
        return MORE
    width = {1: 4, 2: 16}.get(data[13] >> 4, 0)
    if data[12] & 15 != 1 or not width or size < _V2_HEAD + 2 * width + 4:
        return Preface(size)  # a health check of the proxy's own, or no address that we know
    at = _V2_HEAD + 2 * width
    return Preface(size, data[_V2_HEAD : _V2_HEAD + width], data[at] << 8 | data[at + 1])


def _socks5(data: bytes, asked: bool) -> int:
    """The bytes of a SOCKS 5 handshake, of one side; 0 while there are too few, -1 for none."""
    if len(data) < 2:
        return 0
    at = 2 + data[1] if asked else 2
    if asked and not data[1]:
        return -1
    if data[at : at + 1] == b"\x01":  # name and password, or that they are right
        at += 2
        if asked:
            at += data[at - 1] if at <= len(data) else 0
            at += 1 + data[at] if at < len(data) else 1
    if len(data) < at + 5:
        return 0 if b"\x05".startswith(data[at : at + 1]) else -1
    if data[at] != 5 or data[at + 2]:
        return -1
    kind = data[at + 3]
    width = 1 + data[at + 4] if kind == 3 else _ADDRESS_BYTES.get(kind, -1)
    size = at + 4 + width + 2
    if width < 0:
        return -1
    return size if len(data) >= size else 0


def _socks4(data: bytes) -> Preface | None:
    end = data.find(b"\0", 8)
    if end < 0:
        return MORE if len(data) < 512 else None
    if data[4:7] == b"\0\0\0" and data[7]:  # a name follows, for the proxy to look up
        end = data.find(b"\0", end + 1)
        if end < 0:
            return MORE if len(data) < 1024 else None
    return Preface(end + 1)
