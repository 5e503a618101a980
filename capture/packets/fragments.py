"""IP fragments put together again, within bounds.

The first copy of a byte wins, as in TCP reassembly. What is held is bounded in bytes and in time:
beyond either, the oldest datagram is given up, and its fragments are booked as never completed.
"""

from __future__ import annotations

from collections import OrderedDict

_MOST_HELD = 8 << 20
_MOST_AGE_NS = 60_000_000_000
_MOST_DATAGRAM = 1 << 17
_OVERHEAD = 128  # what a fragment costs us beside its bytes

Key = tuple[object, ...]


class _Datagram:
    __slots__ = ("first_ns", "held", "parts", "size")

    def __init__(self, now_ns: int) -> None:
        self.first_ns = now_ns
        self.parts: list[tuple[int, bytes]] = []
        self.size = -1  # known once the last fragment was seen
        self.held = 0


class Fragments:
    """Datagrams of which not every fragment has been seen."""

    def __init__(self, most_held: int = _MOST_HELD) -> None:
        self._open: OrderedDict[Key, _Datagram] = OrderedDict()
        self._held = 0
        self._most = most_held
        self.given_up = 0  # fragments of datagrams that never were completed

    def add(self, key: Key, offset: int, more: bool, data: bytes, now_ns: int) -> tuple[bytes, int]:
        """Take one fragment; the whole datagram and the number of its fragments once complete,
        else `(b"", 0)`."""
        self._expire(now_ns)
        datagram = self._open.get(key)
        if datagram is None:
            datagram = self._open[key] = _Datagram(now_ns)
        datagram.parts.append((offset, data))
        datagram.held += len(data) + _OVERHEAD
        self._held += len(data) + _OVERHEAD
        if not more and datagram.size < 0:
            datagram.size = offset + len(data)
        whole = _joined(datagram)
        if whole:
            self._forget(key)
            return whole, len(datagram.parts)
        while self._held > self._most or datagram.held > 2 * _MOST_DATAGRAM:
            oldest = key if datagram.held > 2 * _MOST_DATAGRAM else next(iter(self._open))
            self._give_up(oldest)
            if oldest == key:
                break
        return b"", 0

    def pending(self) -> int:
        """How many fragments are held, waiting for others."""
        return sum(len(datagram.parts) for datagram in self._open.values())

    @property
    def held_bytes(self) -> int:
        """What is held, in bytes, with the cost of holding it."""
        return self._held

    def _expire(self, now_ns: int) -> None:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if now_ns - oldest.first_ns <= _MOST_AGE_NS:
                return
            self._give_up(key)

    def _give_up(self, key: Key) -> None:
        self.given_up += len(self._open[key].parts)
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self._held -= self._open.pop(key).held


def _joined(datagram: _Datagram) -> bytes:
    """The datagram, if its fragments leave no hole; b"" otherwise."""
    if datagram.size < 0:
        return b""
    covered = 0
    for offset, data in sorted(datagram.parts, key=lambda part: part[0]):
        if offset > covered:
            return b""
        covered = max(covered, offset + len(data))
    if covered < datagram.size:
        return b""
    whole = bytearray(max(covered, datagram.size))
    for offset, data in reversed(datagram.parts):  # earlier copies are written last, and win
        whole[offset : offset + len(data)] = data
    return bytes(whole[: datagram.size])
