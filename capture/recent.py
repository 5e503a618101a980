"""The latest packets, kept to see whether what comes again is the same.

A retransmission whose bytes differ from the first copy is an attack or a broken middlebox. First
copies are handed on and gone, but the batch that is being read, and the one before, are still at
hand; they are looked into only where something does come again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .packets.frames import Packet
from .stream import ahead

_MOST_LOOKED_AT: Final = 64

Index = dict[tuple[bytes, bytes, int, int], list[Packet]]


class Recent:
    """The batch that is being read, and the one before."""

    __slots__ = ("_batches", "_indexes")

    def __init__(self) -> None:
        self._batches: list[Sequence[Packet]] = []
        self._indexes: list[Index | None] = []

    def begin(self, batch: Sequence[Packet]) -> None:
        """A batch is to be read."""
        self._batches = [*self._batches[-1:], batch]
        self._indexes = [*self._indexes[-1:], None]

    def differing(self, packet: Packet) -> int:
        """How many bytes of a packet are not what an earlier copy had at their place."""
        most = 0
        for number in range(len(self._batches)):
            earlier = self._index(number).get(packet[1:5], [])
            # By value: a tuple is another object each time it is passed on, once compiled.
            end = next((at for at, one in enumerate(earlier) if one == packet), len(earlier))
            for one in earlier[max(0, end - _MOST_LOOKED_AT) : end]:
                most = max(most, _differing(one, packet))
        return most

    def _index(self, number: int) -> Index:
        known = self._indexes[number]
        if known is None:
            known = self._indexes[number] = {}
            for packet in self._batches[number]:
                if packet[8]:
                    known.setdefault(packet[1:5], []).append(packet)
        return known


def _differing(one: Packet, other: Packet) -> int:
    """How many bytes of two packets of a stream are at the same place and not the same."""
    apart = ahead(other[5], one[5])
    a, b = one[8][max(0, apart) :], other[8][max(0, -apart) :]
    if a.startswith(b) or b.startswith(a):
        return 0
    return sum(x != y for x, y in zip(a, b, strict=False))
