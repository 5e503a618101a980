"""pcapng files: blocks of a type and a length; sections, interfaces and packets are blocks.

A section may change the byte order and begins with no interfaces. Each interface has a link type,
a resolution of its timestamps (a power of ten or of two) and an offset in seconds. Blocks of other
types are skipped by their length, as the format means them to be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .frame_file import MOST_FRAME, FrameFile
from .frames import Frames
from .input import Input

if TYPE_CHECKING:
    from .frames import Int64s

SECTION = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_PACKETS = {_ENHANCED: 28, _OLD_PACKET: 28, _SIMPLE: 12}  # bytes before the frame
_LEAST = {_SECTION: 28, _INTERFACE: 20, _ENHANCED: 32, _OLD_PACKET: 32, _SIMPLE: 16}
_TSRESOL, _TSOFFSET = 9, 14
_LATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snap: int
    resolution: int  # as if_tsresol: 10**-n, or 2**-n with the high bit set
    offset_s: int

    def ns(self, ticks: int) -> int:
        n = self.resolution & 0x7F
        unit = 1 << n if self.resolution & 0x80 else 10**n
        return ticks * 1_000_000_000 // unit + self.offset_s * 1_000_000_000


class PcapngFile(FrameFile):
    """The frames of a pcapng file."""

    def __init__(self, source: Input) -> None:
        super().__init__(source)
        self._order = "<"
        self._interfaces: list[_Interface] = []

    def _read(self) -> Iterator[Frames]:
        rest = b""
        read = 0
        while chunk := self._source.read():
            read += len(chunk)
            data = rest + chunk if rest else chunk
            at = 0
            while True:
                packets, kind, at, blocked = self._walk(data, at)
                yield from self._batches(data, packets, kind)
                if self.damage:
                    self.damage += f" (byte {read - len(data) + at})"
                    return
                if blocked:
                    break
            rest = data[at:]
        self.damage, self.cut = self._source.damage, self._source.cut
        if rest and not self.damage:
            self.cut = True
            self.damage = (
                f"{self._source.name} is cut off in the middle of a block (byte {read}); "
                "everything before it was kept"
            )

    def _walk(self, data: bytes, at: int) -> tuple[list[int], int, int, bool]:
        """Packet blocks of one kind from `at` on: where they are, their kind, where the walk
        stopped, and whether it stopped for want of bytes (else at another kind, or a header)."""
        kind_and_length = struct.Struct(self._order + "II").unpack_from
        found: list[int] = []
        found_kind = 0
        end = len(data)
        while at <= end - 12:
            kind, length = kind_and_length(data, at)
            if kind == _SECTION:
                if found:
                    return found, found_kind, at, False
                if not self._byte_order(data, at):
                    return found, found_kind, at, True
                kind_and_length = struct.Struct(self._order + "II").unpack_from
                kind, length = kind_and_length(data, at)
            if length % 4 or not _LEAST.get(kind, 12) <= length <= MOST_FRAME + 4096:
                self._damaged(f"a block claims {length} bytes")
                return found, found_kind, at, True
            if at + length > end:
                break
            if kind in _PACKETS:
                if found and kind != found_kind:
                    return found, found_kind, at, False
                found_kind = kind
                found.append(at)
            elif kind in (_SECTION, _INTERFACE):
                if found:
                    return found, found_kind, at, False
                self._header(kind, data[at : at + length])
            at += length
        return found, found_kind, at, True

    def _byte_order(self, data: bytes, at: int) -> bool:
        mark = data[at + 8 : at + 12]
        if mark == b"\x4d\x3c\x2b\x1a":
            self._order = "<"
        elif mark == b"\x1a\x2b\x3c\x4d":
            self._order = ">"
        else:
            self._damaged("a section has no byte-order mark")
            return False
        return True

    def _damaged(self, what: str) -> None:
        self.damage = f"{self._source.name} is damaged: {what}; everything before it was kept"

    def _header(self, kind: int, block: bytes) -> None:
        if kind == _SECTION:
            self._interfaces = []
            return
        link, _, snap = struct.unpack_from(self._order + "HHI", block, 8)
        resolution, offset_s = 6, 0
        at = 16
        while at + 4 <= len(block) - 4:
            code, size = struct.unpack_from(self._order + "HH", block, at)
            value = block[at + 4 : at + 4 + size]
            if code == 0:
                break
            if code == _TSRESOL and size >= 1:
                resolution = value[0]
            elif code == _TSOFFSET and size == 8 and len(value) == 8:
                offset_s = struct.unpack(self._order + "q", value)[0]
            at += 4 + size + (-size & 3)
        self._interfaces.append(_Interface(link, snap, resolution, offset_s))

    def _batches(self, data: bytes, packets: list[int], kind: int) -> Iterator[Frames]:
        """The packet blocks of one kind, split where the link type changes."""
        if not packets:
            return
        import numpy as np

        at = np.array(packets, np.int64)
        words = np.ndarray((len(data) - 3,), self._order + "u4", data, strides=(1,))
        interface, times = self._interface_and_times(words, data, at, kind)
        starts = at + _PACKETS[kind]
        room = words[at + 4].astype(np.int64) - _PACKETS[kind] - 4
        wires = words[at + (8 if kind == _SIMPLE else 24)].astype(np.int64)
        lengths = room if kind == _SIMPLE else words[at + 20].astype(np.int64)
        if kind == _SIMPLE:
            lengths = np.minimum(lengths, wires)
            snap = self._interfaces[0].snap if self._interfaces else 0
            lengths = np.minimum(lengths, snap) if snap else lengths
        lengths = np.minimum(lengths, room)
        links = np.array([one.link for one in self._interfaces] + [-1], np.int64)
        link = links[np.minimum(interface, len(self._interfaces))]
        edges = [0, *(np.flatnonzero(np.diff(link)) + 1).tolist(), len(at)]
        for first, last in pairwise(edges):
            some = slice(first, last)
            yield Frames(
                data, int(link[first]), starts[some], lengths[some], wires[some], times[some]
            )

    def _interface_and_times(
        self, words: Any, data: bytes, at: Int64s, kind: int
    ) -> tuple[Int64s, Int64s]:
        import numpy as np

        if kind == _SIMPLE:  # has no interface but the first, and no time
            none = np.zeros(len(at), np.int64)
            return none, none
        if kind == _OLD_PACKET:
            halves = np.ndarray((len(data) - 1,), self._order + "u2", data, strides=(1,))
            interface = halves[at + 8].astype(np.int64)
        else:
            interface = words[at + 8].astype(np.int64)
        ticks = words[at + 12].astype(np.uint64) << np.uint64(32) | words[at + 16]
        times = np.empty(len(at), np.int64)
        for number in np.unique(interface).tolist():
            mine = interface == number
            known = number < len(self._interfaces)
            one = self._interfaces[number] if known else _Interface(-1, 0, 6, 0)
            times[mine] = _nanoseconds(one, ticks[mine])
        return interface, times


def _nanoseconds(interface: _Interface, ticks: Any) -> Any:
    import numpy as np

    n = interface.resolution
    if n <= 9 and not interface.offset_s and int(ticks.max()) < _LATEST // 10 ** (9 - n):
        return ticks.astype(np.int64) * 10 ** (9 - n)
    # Offsets, and resolutions in powers of two or finer than ns, are rare: exact, one by one.
    exact = (interface.ns(tick) for tick in ticks.tolist())
    return np.array([max(0, min(time, _LATEST)) for time in exact], np.int64)
