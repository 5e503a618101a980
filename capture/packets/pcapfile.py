"""Classic pcap files: a header of 24 bytes, then records of a header of 16 bytes and a frame.

The magic number tells the byte order and the resolution (µs or ns). A record header that cannot be
true (longer than any snap length) means that the file is damaged from there on: what came before
is kept and the damage is told, since there is nothing to find the next record by.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import CaptureError
from .frame_file import MOST_FRAME, FrameFile
from .frames import Frames
from .input import Input

# magic -> (byte order, ns of a tick, bytes of a record header)
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),  # Kuznetzov's: eight more bytes of header
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
_HEADER = 24


class PcapFile(FrameFile):
    """The frames of a classic pcap file."""

    def __init__(self, source: Input) -> None:
        super().__init__(source)
        head = source.peek(_HEADER)
        self._order, self._tick, self._record = MAGICS[head[:4]]
        if len(head) < _HEADER:
            raise CaptureError(
                f"{source.name} is cut off in its file header; there is no packet in it."
            )
        # The upper bits tell of a frame check sequence, which IP lengths trim off anyway.
        self.link = struct.unpack(self._order + "I", head[20:24])[0] & 0x0FFFFFFF

    def _read(self) -> Iterator[Frames]:
        rest = b""
        skip = _HEADER
        read = 0
        while chunk := self._source.read():
            read += len(chunk)
            data = rest + chunk if rest else chunk
            starts, end = self._walk(data, skip)
            if starts:
                yield self._batch(data, starts)
            if self.damage:
                self.damage += f" (byte {read - len(data) + end})"
                return
            rest, skip = data[end:], 0
        self.damage, self.cut = self._source.damage, self._source.cut
        if rest and not self.damage:
            self.cut = True
            self.damage = (
                f"{self._source.name} is cut off in the middle of a packet (byte {read}); "
                "everything before it was kept"
            )

    def _walk(self, data: bytes, at: int) -> tuple[list[int], int]:
        """Where the record headers of the whole records in `data` are, and where the rest is."""
        length_at = struct.Struct(self._order + "I").unpack_from
        record = self._record
        starts: list[int] = []
        add = starts.append
        end = len(data)
        last = end - record
        while at <= last:
            length = length_at(data, at + 8)[0]
            if length > MOST_FRAME:
                self.damage = (
                    f"{self._source.name} is damaged: a packet claims {length} bytes; "
                    "everything before it was kept"
                )
                break
            after = at + record + length
            if after > end:
                break
            add(at)
            at = after
        return starts, at

    def _batch(self, data: bytes, starts: list[int]) -> Frames:
        import numpy as np

        at = np.array(starts, np.int64)
        words = np.ndarray((len(data) - 3,), self._order + "u4", data, strides=(1,))
        seconds = words[at].astype(np.int64)
        ticks = words[at + 4].astype(np.int64)
        return Frames(
            data,
            self.link,
            at + self._record,
            words[at + 8].astype(np.int64),
            words[at + 12].astype(np.int64),
            seconds * 1_000_000_000 + ticks * self._tick,
        )
