"""Where the body of a message ends: after so many bytes, after the last chunk, or never.

A body takes bytes and says how many were its own; missing bytes are skipped where the framing
survives that (within a chunk's data it does, within its size line it does not).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..defects import Defect
from ..octets import NUL, RETURN

Sink = Callable[[bytes], object]

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*)(;[^\r\n\0]*)?\r?\n")
_WORD: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSIONS: Final = re.compile(
    rb"(?:[ \t]*;[ \t]*" + _WORD + rb"(?:[ \t]*=[ \t]*(?:" + _WORD + rb"|" + _QUOTED + rb"))?)*+"
)
"""RFC 9112, section 7.1.1."""
_FRAMING: Final = re.compile(rb"(?i:content-length|transfer-encoding|host|trailer|te)[ \t]*:")
_LINE_LIMIT: Final = 16_384


class Sized:
    """A body of a known number of bytes; of so many that no stream has them: until it closes."""

    __slots__ = ("done", "left")

    broken = False
    defects = 0

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def take(self, data: bytes, at: int, sink: Sink | None) -> int:
        """Take what is this body's of `data` from `at` on; the place after it."""
        end = min(len(data), at + self.left)
        self.left -= end - at
        self.done = self.left == 0
        if sink is not None:
            sink(data[at:end] if at or end < len(data) else data)
        return end

    def skip(self, count: int) -> int:
        """Pass over missing bytes; how many of them were this body's."""
        skipped = min(count, self.left)
        self.left -= skipped
        self.done = self.left == 0
        return skipped


ENDLESS: Final = 1 << 62


class Chunked:
    """A body in chunks, with extensions and trailers. `broken` where a chunk cannot be read."""

    __slots__ = ("_left", "_line", "_state", "broken", "defects", "done")

    def __init__(self) -> None:
        self._line = bytearray()
        self._state = "size"
        self._left = 0
        self.done = False
        self.broken = False
        self.defects = 0

    def take(self, data: bytes, at: int, sink: Sink | None) -> int:
        """Take what is this body's of `data` from `at` on; the place after it."""
        while at < len(data) and not self.done and not self.broken:
            if self._state == "data":
                end = min(len(data), at + self._left)
                if sink is not None:
                    sink(data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = "end"
            else:
                at = self._take_line(data, at)
        return at

    def skip(self, count: int) -> int:
        """Pass over missing bytes; how many of them were this body's."""
        if self._state == "data" and count <= self._left:
            self._left -= count
            if not self._left:
                self._state = "end"
            return count
        self.broken = True
        return count

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        early = self._state == "end" and not b"\r\n".startswith(self._line[:2])
        if (early and self._line != b"\n") or len(self._line) > _LINE_LIMIT:
            self.broken = True
        elif end >= 0:
            line = bytes(self._line)
            self._line.clear()
            if not line.endswith(b"\r\n"):
                self.defects |= Defect.CHUNK_BARE_LF
            self._read(line)
        return stop

    def _read(self, line: bytes) -> None:
        if self._state == "end":
            self._state = "size"
        elif self._state == "trailer":
            self.done = line in (b"\r\n", b"\n")
            if _FRAMING.match(line):
                self.defects |= Defect.TRAILER_FORBIDDEN
            if NUL in line or RETURN in line.removesuffix(b"\r\n"):
                self.defects |= Defect.NUL_OR_CR
        else:
            size = _SIZE.fullmatch(line)
            if not size:
                self.broken = True
                return
            if size[2] and not size[3]:
                self.defects |= Defect.CHUNK_SPACING
            elif size[3] and not _EXTENSIONS.fullmatch(size[2] + size[3]):
                self.defects |= Defect.CHUNK_EXTENSION
            self._left = int(size[1], 16)
            self._state = "data" if self._left else "trailer"


Body = Sized | Chunked
