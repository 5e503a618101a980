"""What the kernel lets through to a ring: an expression of tcpdump's, and the sample before it.

A packet of a connection that is not in the sample is best dropped by the socket's filter: it is
neither copied nor looked at, so it costs the host next to nothing. The filter knows plain packets
only (`plain.py`). Whatever else there is (tunnels, VLANs, fragments) passes, and is decided upon
when it has been read. So do openings of connections, which are counted, and which bring a
connection back (`sampling.py`).
"""

from __future__ import annotations

from ..errors import CaptureError
from ..packets import tcp
from .bpf import EVERYTHING, NEXT, Code, Program, in_full
from .hashing import load_hash
from .plain import ETHERNET, LAYOUTS, LINKS, RAW, UNFRAGMENTED, Layout

_LIBPCAPS_RAW = 12  # DLT_RAW on Linux, which is another number in files


def compile_filter(expression: str, link: int) -> Program:
    """The kernel's program for a filter expression, as tcpdump would make it (by libpcap)."""
    if not expression:
        return ()
    from scapy.arch.common import compile_filter as compiled
    from scapy.error import Scapy_Exception

    try:
        program = compiled(expression, linktype=_LIBPCAPS_RAW if link == RAW else link)
    except (Scapy_Exception, ImportError, OSError) as failure:
        raise CaptureError(
            f"the filter {expression!r} cannot be compiled ({failure}); "
            "check it with tcpdump -d, and that libpcap is installed."
        ) from None
    instructions = (program.bf_insns[number] for number in range(program.bf_len))
    return in_full(tuple((one.code, one.jt, one.jf, one.k) for one in instructions))


def port_filter(ports: tuple[int, ...], link: int = ETHERNET) -> str:
    """The expression that lets through TCP (of some ports, where given) and all fragments."""
    if not ports:
        return ""
    wanted = "(" + " or ".join(f"tcp port {port}" for port in ports) + ")"
    fragments = "(ip[6:2] & 0x1fff != 0) or (ip6[6] == 44)"
    tagged = f" or (vlan and {wanted})" if link == ETHERNET else ""
    return f"{wanted} or {fragments}{tagged}"


def sampled(program: Program, link: int, limit: int) -> Program:
    """A program before which plain packets of connections with a hash from `limit` on are dropped.

    On links other than Ethernet and raw IP nothing is dropped here.
    """
    after = program or EVERYTHING
    if link not in LINKS:
        return after
    type_at, ip = LINKS[link]
    code = Code()
    code.load_length()
    shortest = LAYOUTS[0].size
    code.if_at_least(ip + shortest + tcp.HEADER, false="after")  # what is cut off is told as such
    _branch(code, type_at, ip)
    for layout in LAYOUTS:
        code.place(str(layout.version))
        if layout.size > shortest:
            code.load_length()
            code.if_at_least(ip + layout.size + tcp.HEADER, false="after")
        if layout.first:
            code.load_byte(ip)
            code.if_equal(layout.first, false="after")
        code.load_byte(ip + layout.protocol)
        code.if_equal(tcp.TCP, false="after")
        if layout.fragment:
            code.load_half(ip + layout.fragment)
            code.if_any_of(UNFRAGMENTED, true="after")
        _drop(code, limit, ip, layout)
    return code.program(after)


def _branch(code: Code, type_at: int, ip: int) -> None:
    """Jump to the version that a packet says it is of, or go on behind."""
    if type_at >= 0:
        code.load_half(type_at)
    else:
        code.load_byte(ip)
        code.mask(0xF0)
    for layout in LAYOUTS:
        kind = layout.ethertype if type_at >= 0 else layout.version << 4
        other = "after" if layout is LAYOUTS[-1] else NEXT
        code.if_equal(kind, true=str(layout.version), false=other)


def _drop(code: Code, limit: int, ip: int, layout: Layout) -> None:
    """End with nothing, or go on behind: by the hash, and by whether it opens a connection."""
    at = ip + layout.size
    load_hash(code, ip + layout.addresses, layout.width, at)
    code.if_at_least(limit, false="after")
    code.load_byte(at + tcp.FLAGS_AT)
    code.mask(tcp.SYN_OR_ACK)
    code.if_equal(tcp.SYN, true="after")
    code.end(0)
