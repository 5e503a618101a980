"""What every source of packets yields, and the sources of files.

A source yields `Frames`: many captured frames that lie in one buffer, described by arrays. Walking
the frames of a buffer one by one costs Python some hundred ns each; everything after that (times,
header fields) is gathered for the whole batch at once by numpy, which is what makes capture quick.
`capture/decap.py` turns frames into packets:

    (time_ns, src, dst, sport, dport, seq, ack, flags, payload, cut)

src and dst are packed addresses (4 or 16 bytes), flags the TCP flag byte, payload the bytes that
were captured and cut how many more of them the snap length took away.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from .errors import CaptureError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Int64s = NDArray[np.int64]

Packet = tuple[int, bytes, bytes, int, int, int, int, int, bytes, int]

CHUNK = 2 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_LAYERS = 4  # a file compressed more often than this is a bomb, not a capture


@dataclass(slots=True)
class Frames:
    """Captured frames of one link type, in one buffer."""

    data: bytes
    link: int  # LINKTYPE number, as in pcap files
    starts: Int64s  # where in `data` each frame begins
    lengths: Int64s  # how many bytes of it were captured
    wires: Int64s  # how many it had on the wire
    times: Int64s  # ns since the epoch

    def __len__(self) -> int:
        return len(self.starts)


class Source(Protocol):
    """Where packets come from."""

    damage: str  # "" or a sentence: why the rest could not be read

    def frames(self) -> Iterator[Frames]:
        """The frames, batch by batch, in the order they were captured."""
        ...


class Input:
    """The bytes of a capture file, decompressed, with a look at the first ones."""

    def __init__(self, stream: Any, name: str, below: Input | None = None) -> None:
        self.name = name
        self._below = below  # what the stream decompresses
        self.damage = ""
        self._stream = stream
        self._held = b""
        self._read = getattr(stream, "read1", stream.read)

    def peek(self, size: int) -> bytes:
        """The first bytes that are still to be read: fewer than `size` only at the end."""
        while len(self._held) < size:
            more = self._more(CHUNK)
            if not more:
                break
            self._held += more
        return self._held[:size]

    def read(self, size: int = CHUNK) -> bytes:
        """Some more bytes: whatever is there, so that a pipe is followed live; b"" at the end."""
        if self._held:
            held, self._held = self._held, b""
            return held
        return self._more(size)

    def close(self) -> None:
        """Close the file, and the compressed one below it; standard input is left alone."""
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
        if self._below is not None:
            self._below.close()

    def _more(self, size: int) -> bytes:
        try:
            got: bytes = self._read(size)
            return got
        except (EOFError, zlib.error) as failure:
            self.damage = f"{self.name}: its compression is damaged or cut off ({failure})"
        except OSError as failure:
            self.damage = f"{self.name}: reading stopped: {failure.strerror or failure}"
        except Exception as failure:
            if type(failure).__name__ != "ZstdError":
                raise
            self.damage = f"{self.name}: its compression is damaged ({failure})"
        return b""


class _Unread(io.RawIOBase):
    """An `Input` as a file, for a decompressor to read from."""

    def __init__(self, source: Input) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        got = self._source.read(wanted)
        if len(got) > wanted:
            self._source._held = got[wanted:]
            got = got[:wanted]
        buffer[: len(got)] = got
        return len(got)


def open_input(path: str) -> Input:
    """Open a file, or standard input for `-`, and take off its compression (gzip, zstandard)."""
    stream: BinaryIO
    if path == "-":
        name, stream = "standard input", sys.stdin.buffer
    else:
        name = path
        try:
            stream = open(path, "rb")  # noqa: SIM115 - lives as long as the source
        except OSError as failure:
            raise CaptureError(
                f"{path} cannot be opened: {failure.strerror}; give a pcap or pcapng file."
            ) from None
    source = Input(stream, name)
    for _ in range(_MOST_LAYERS):
        head = source.peek(4)
        if head[:2] == _GZIP:
            source = _gunzip(source)
        elif head == _ZSTD:
            source = _unzstd(source)
        else:
            break
    return source


def _gunzip(source: Input) -> Input:
    import gzip

    return Input(gzip.GzipFile(fileobj=io.BufferedReader(_Unread(source))), source.name, source)


def _unzstd(source: Input) -> Input:
    import zstandard

    below: Any = _Unread(source)
    reader = zstandard.ZstdDecompressor().stream_reader(below, read_across_frames=True)
    return Input(reader, source.name, source)


def open_capture(path: str) -> Source:
    """The packets of a pcap or pcapng file, or of standard input for `-`."""
    source = open_input(path)
    try:
        return _reader(source)
    except CaptureError:
        source.close()
        raise


def _reader(source: Input) -> Source:
    from . import pcapfile, pcapng

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
