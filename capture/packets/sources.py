"""The sources of packets that are files: which reader a file needs, by its first bytes."""

from __future__ import annotations

from ..errors import CaptureError
from . import pcapfile, pcapng
from .frames import Source
from .input import Input, open_input


def open_capture(path: str) -> Source:
    """The packets of a pcap or pcapng file, or of standard input for `-`."""
    source = open_input(path)
    try:
        return reader(source)
    except CaptureError:
        source.close()
        raise


def reader(source: Input) -> Source:
    """What reads the packets of an input, by its first bytes."""
    magic = source.peek(4)
    if magic == pcapng.SECTION:
        return pcapng.PcapngFile(source)
    if magic in pcapfile.MAGICS:
        return pcapfile.PcapFile(source)
    if source.damage:
        raise CaptureError(f"{source.damage}; nothing of it could be read.")
    if not magic:
        raise CaptureError(f"{source.name} is empty; give a pcap or pcapng file.")
    raise CaptureError(
        f"{source.name} is no pcap or pcapng file (it begins with {magic.hex(' ')}); "
        "give what tcpdump -w or dumpcap wrote."
    )
