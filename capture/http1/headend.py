"""Where the head of a request ends, found while its bytes come in, and what was wrong with it.

What was searched once is not searched again, so that a head sent byte by byte costs no more than
one sent whole.
"""

from __future__ import annotations

import re
from typing import Final

from ..defects import FATAL, Defect
from .head import EMPTY_LINE, TOKEN, Fields, Heads, RequestLine, read_line

_BLANKS: Final = re.compile(rb"(?:\r?\n)*")


class HeadEnd:
    """Searches one head. `line` is its request line as soon as that is whole."""

    __slots__ = ("_scan", "_start", "line")

    def __init__(self) -> None:
        self.line: RequestLine | None = None
        self._start = 0  # of the request line, after blank ones
        self._scan = 0

    def find(self, buffer: bytearray) -> int:
        """Where the head in `buffer` ends; 0 while that is not known.

        A head ends after its request line where that is one of HTTP/0.9 or makes no sense.
        """
        if self.line is None:
            blanks = _BLANKS.match(buffer, self._start)
            self._start = blanks.end() if blanks else 0
            stop = buffer.find(b"\n", max(self._start, self._scan)) + 1
            if not stop:
                self._scan = len(buffer)
                return 0
            self.line = read_line(bytes(buffer[self._start : stop]))
            self._scan = stop - 1
            if self.line.version == 9 or self.line.defects & FATAL:
                return stop
        found = EMPTY_LINE.search(buffer, self._scan)
        if not found:
            self._scan = max(self._scan, len(buffer) - 2)
            return 0
        return found.end()

    def line_defects(self, buffer: bytearray) -> int:
        """What is wrong with the request line, or with what there is of it."""
        blank = int(Defect.LEADING_BLANK_LINES) if self._start else 0
        if self.line is not None:
            return self.line.defects | blank
        part = bytes(buffer[self._start :])
        begun = not part or re.fullmatch(TOKEN, part)
        return blank | (0 if begun else read_line(part + b"\r\n").defects & Defect.GARBAGE)

    def fields(self, buffer: bytearray, heads: Heads) -> tuple[Fields, int]:
        """What the header lines of a whole head say, and what is wrong with them."""
        assert self.line is not None
        start = buffer.find(b"\n", self._start) + 1
        fields = heads.fields(bytes(buffer[start:]))
        if self.line.version == 11:
            wrong = 0 if fields.hosts else int(Defect.HOST_MISSING)
        else:
            wrong = int(Defect.CODING_OLD) if fields.coded else 0
        return fields, fields.defects | wrong
