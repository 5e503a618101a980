"""Where a stream whose framing was lost begins to make sense again.

A request line that is whole, plausible and at the start of a line begins the next request; all
bytes before it belong to the one that was lost. A line that has not ended yet is kept back, as it
may turn out to be such a line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .head import LINE

LINE_LIMIT: Final = 8192
_STEP: Final = 1 << 14
_NEXT: Final = re.compile(rb"\n" + LINE.pattern)


class Found(NamedTuple):
    """What a search made of some bytes."""

    lost: bytes  # belongs to the request whose framing was lost
    begun: bytes  # of the next request, kept back before
    place: int  # where to go on in the bytes that were given
    found: bool  # the next request begins there, after `begun`


class Search:
    """Searches the bytes of one lost stretch, in whatever parts they come."""

    __slots__ = ("_line_start", "since_ns", "tail")

    def __init__(self, line_start: bool) -> None:
        self._line_start = line_start
        self.tail = b""  # the line that may yet begin a request
        self.since_ns = 0  # when its first byte came

    def feed(self, time_ns: int, data: bytes, at: int) -> Found:
        """Search some of `data` from `at` on."""
        piece = data[at : at + _STEP]
        tail, self.tail = self.tail, b""
        text = tail + piece
        anchored = self._line_start
        start = _plausible(text, anchored)
        if start == 0:
            return Found(b"", tail, at, True)
        if start > 0:
            return Found(text[:start], b"", at + start - len(tail), True)
        cut = text.rfind(b"\n") + 1
        self._line_start = (anchored or cut > 0) and len(text) - cut <= LINE_LIMIT
        if not self._line_start:
            cut = len(text)
        elif cut or not tail:
            self.since_ns = time_ns
        self.tail = text[cut:]
        return Found(text[:cut], b"", at + len(piece), False)

    def flush(self) -> bytes:
        """What was kept back begins no request; the next byte is in the middle of a line."""
        tail, self.tail = self.tail, b""
        self._line_start = False
        return tail


def _plausible(text: bytes, anchored: bool) -> int:
    """Where the first plausible request line begins; -1 where none does."""
    if anchored:
        line = LINE.match(text)
        if line and line.end() <= LINE_LIMIT:
            return 0
    found = _NEXT.search(text)
    while found and found.end() - found.start() - 1 > LINE_LIMIT:
        found = _NEXT.search(text, found.end() - 1)
    return found.start() + 1 if found else -1
