"""What a client sent after a CONNECT or Upgrade, until the answer says what it is."""

from __future__ import annotations

from collections import deque
from typing import Final

from .head import LINE
from .resync import LINE_LIMIT

_LIMIT: Final = 1 << 16

Part = tuple[int, bytes, int, int]
"""Time, bytes, how many are missing instead, and the place in the bytes to go on from."""


class Held:
    """Parts of a stream, in order."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def too_much(self) -> bool:
        """More waits than should: the answer must have been missed."""
        return self._size > _LIMIT or len(self._parts) > _LIMIT

    def add(self, part: Part) -> None:
        """Let a part wait behind the others."""
        self._parts.append(part)
        self._size += len(part[1]) - part[3]

    def take(self) -> Part:
        """The first part."""
        part = self._parts.popleft()
        self._size -= len(part[1]) - part[3]
        return part

    def put_back(self, part: Part) -> None:
        """Let what is left of the first part wait again."""
        self._parts.appendleft(part)
        self._size += len(part[1]) - part[3]

    def speaks_otherwise(self) -> bool:
        """It does not begin with a request, so that the answer must have switched protocols."""
        text = b""
        for _, data, missing, at in self._parts:
            if missing or len(text) > LINE_LIMIT:
                break
            text += data[at : at + LINE_LIMIT]
        return not LINE.match(text)
