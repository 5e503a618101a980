"""What the kernel lets through to a ring: an expression of tcpdump's, and the sample before it.

A packet of a connection that is not in the sample is best dropped by the socket's filter: it is
neither copied nor looked at, so it costs the host next to nothing. The filter knows plain packets
only, TCP in IPv4 without options or fragments and TCP in IPv6 without extension headers. Whatever
else there is (tunnels, VLANs, fragments) passes, and is decided upon when it has been read. So do
openings of connections, which are counted, and which bring a connection back (`sampling.py`).
"""

from __future__ import annotations

from ..errors import CaptureError
from .bpf import ALL_BYTES, Code, Program, in_full
from .hashing import load_hash

_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_SYN, _SYN_OR_ACK = 0x02, 0x12
_TCP_HEADER = 20
_ETHERNET = 1
_LIBPCAPS_RAW = 12  # DLT_RAW on Linux, which is 101 in files
EVERYTHING: Program = ((6, 0, 0, ALL_BYTES),)
# link type -> (offset of the ethertype or -1, length of the link header)
PLAIN = {1: (12, 14), 101: (-1, 0)}


def compile_filter(expression: str, link: int) -> Program:
    """The kernel's program for a filter expression, as tcpdump would make it (by libpcap)."""
    if not expression:
        return ()
    from scapy.arch.common import compile_filter as compiled
    from scapy.error import Scapy_Exception

    try:
        program = compiled(expression, linktype=_LIBPCAPS_RAW if link == 101 else link)
    except (Scapy_Exception, ImportError, OSError) as failure:
        raise CaptureError(
            f"the filter {expression!r} cannot be compiled ({failure}); "
            "check it with tcpdump -d, and that libpcap is installed."
        ) from None
    instructions = (program.bf_insns[number] for number in range(program.bf_len))
    return in_full(tuple((one.code, one.jt, one.jf, one.k) for one in instructions))


def port_filter(ports: tuple[int, ...], link: int = _ETHERNET) -> str:
    """The expression that lets through TCP (of some ports, where given) and all fragments."""
    if not ports:
        return ""
    wanted = "(" + " or ".join(f"tcp port {port}" for port in ports) + ")"
    fragments = "(ip[6:2] & 0x1fff != 0) or (ip6[6] == 44)"
    tagged = f" or (vlan and {wanted})" if link == _ETHERNET else ""
    return f"{wanted} or {fragments}{tagged}"


def sampled(program: Program, link: int, limit: int) -> Program:
    """A program before which plain packets of connections with a hash from `limit` on are dropped.

    On links other than Ethernet and raw IP nothing is dropped here.
    """
    after = program or EVERYTHING
    if link not in PLAIN:
        return after
    type_at, ip = PLAIN[link]
    code = Code()
    code.load_length()
    code.if_at_least(ip + 20 + _TCP_HEADER, false="after")  # one that is cut off is told as such
    if type_at >= 0:
        code.load_half(type_at)
        code.if_equal(_IPV4, true="ipv4")
        code.if_equal(_IPV6, true="ipv6", false="after")
    else:
        code.load_byte(ip)
        code.mask(0xF0)
        code.if_equal(0x40, true="ipv4")
        code.if_equal(0x60, true="ipv6", false="after")
    code.place("ipv4")
    code.load_byte(ip)
    code.if_equal(0x45, false="after")
    code.load_byte(ip + 9)
    code.if_equal(_TCP, false="after")
    code.load_half(ip + 6)
    code.if_any_of(0x3FFF, true="after")
    _drop(code, limit, ip + 12, 4, ip + 20)
    code.place("ipv6")
    code.load_length()
    code.if_at_least(ip + 40 + _TCP_HEADER, false="after")
    code.load_byte(ip + 6)
    code.if_equal(_TCP, false="after")
    _drop(code, limit, ip + 8, 16, ip + 40)
    return code.program(after)


def _drop(code: Code, limit: int, addresses: int, width: int, tcp: int) -> None:
    """End with nothing, or go on behind: by the hash, and by whether it opens a connection."""
    load_hash(code, addresses, width, tcp)
    code.if_at_least(limit, false="after")
    code.load_byte(tcp + 13)
    code.mask(_SYN_OR_ACK)
    code.if_equal(_SYN, true="after")
    code.end(0)
