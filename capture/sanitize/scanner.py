"""One pass over any bytes: hyperscan tells which detectors may match, their patterns find where.

Long data is looked at in chunks that overlap by more than what a detector may take in.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from typing import Final

from . import validators as is_
from .detect import TABLE, Detector
from .triggers import Triggers

CHUNK: Final = 1 << 17
"""Bytes scanned at a time; a trigger that fires has its pattern run over the chunk."""
REACH: Final = 1 << 12
"""How far a match may reach over the edge of its chunk, but for what a detector says."""
_BEFORE: Final = 64
"""Bytes before a chunk that tell what a thing at its beginning follows."""
_START: Final = itemgetter(0)


class Scanner:
    """A set of detectors compiled for one pass over any bytes."""

    def __init__(self, detectors: Iterable[Detector] = TABLE) -> None:
        self.detectors = tuple(detectors)
        self._triggers = Triggers(self.detectors)
        self._parts = [replace(detector, kind="text") for detector in self.detectors]
        self._rows = [
            (
                each.search or each.pattern.finditer,
                each.pattern.match,
                "secret" if "secret" in each.pattern.groupindex else 0,
                each,
                each.valid,
                each.reach,
            )
            for each in self.detectors
        ]

    def ahead(self, texts: Sequence[bytes]) -> None:
        """Look at short texts that are to be searched next, all at once: it is faster."""
        self._triggers.ahead(texts)

    def find(
        self, data: bytes, taken: Sequence[tuple[int, int, bytes]] = ()
    ) -> tuple[Sequence[tuple[int, int, Detector]], bool]:
        """Spans of what was found, apart and in order, and whether base64 may stand somewhere.

        What stands within one of the spans that are taken (in order) is not looked at closer.
        """
        size = len(data)
        if size <= CHUNK:
            fired = self._triggers.fired(data)
            if not fired:
                return (), False
            found: list[tuple[int, int, int]] = []
            base64 = self._chunk(data, 0, size, fired, found, taken)
            return (self._apart(found) if found else ()), base64
        found, base64 = [], False
        for start in range(0, size, CHUNK):
            low, high = max(0, start - _BEFORE), min(size, start + CHUNK + REACH)
            fired = self._triggers.within(data, low, high)
            base64 |= self._chunk(data, low, high, fired, found, taken)
        return (self._apart(found) if found else ()), base64

    def _chunk(
        self,
        data: bytes,
        low: int,
        high: int,
        fired: list[int],
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> bool:
        base64 = 0
        for number in fired:
            if number >= len(self._rows):
                base64 += 1
            else:
                self._spans(data, number, low, high, found, taken)
        return base64 == 2

    def _spans(
        self,
        data: bytes,
        number: int,
        low: int,
        high: int,
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> None:
        finditer, whole, secret, detector, valid, reach = self._rows[number]
        note = found.append
        judged: dict[bytes, list[tuple[int, int]]] = {}  # what repeats is judged once
        known = judged.get
        cut = high if high < len(data) else -1
        for match in finditer(data, low, high + reach):
            start, end = match.span(secret)
            if end == cut:  # it may go on where its chunk ends, or be none
                more = whole(data, match.start())
                if more is None:
                    continue
                start, end = more.span(secret)
            if taken:
                at = bisect_right(taken, start, key=_START) - 1
                if at >= 0 and end <= taken[at][1]:
                    continue
            if valid is None:
                note((start, end, number))
                continue
            text = data[start:end]
            spans = known(text)
            if spans is None:
                spans = judged[text] = _within(text, detector)
            for a, b in spans:
                note((start + a, start + b, number))

    def _apart(self, found: list[tuple[int, int, int]]) -> list[tuple[int, int, Detector]]:
        """What precedes in the table wins; the rest of an overlapped span stays a span."""
        if len(found) == 1:
            start, end, number = found[0]
            return [(start, end, self.detectors[number])]
        spans = set(found)
        return [
            # A part of a thing is no longer the thing: no address, no card.
            (a, b, (self.detectors if (a, b, number) in spans else self._parts)[number])
            for a, b, number in apart(spans)
            # What another row leaves of a random-looking string is its prefix, which tells its
            # kind ("ghp_"): nothing secret, and without it nobody knows the key for one.
            if b - a > _PREFIX or self.detectors[number].name != "token" or (a, b, number) in spans
        ]


def apart(found: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Spans (start, end, rank) that overlap no more: at each byte the lowest rank has it."""
    spans = sorted(set(found))
    if all(before[1] <= after[0] for before, after in pairwise(spans)):
        return spans
    edges = sorted({edge for span in spans for edge in span[:2]})
    out: list[tuple[int, int, int]] = []
    held: list[tuple[int, int, int]] = []  # heap of (rank, start, -end) of the spans begun
    last: tuple[int, int, int] | None = None
    at = 0
    for low, high in pairwise(edges):
        while at < len(spans) and spans[at][0] == low:
            start, end, rank = spans[at]
            heapq.heappush(held, (rank, start, -end))
            at += 1
        while held and -held[0][2] <= low:
            heapq.heappop(held)
        if not held:
            last = None
        elif held[0] == last:
            out[-1] = (out[-1][0], high, last[0])
        else:
            last = held[0]
            out.append((low, high, last[0]))
    return out


_PREFIX: Final = 12


def _within(text: bytes, detector: Detector) -> list[tuple[int, int]]:
    """The spans of a match that are the thing: all of it, or nothing; but of cards some digits."""
    if detector.valid is None or detector.valid(text):
        return [(0, len(text))]
    return is_.cards_in(text) if detector.kind == "card" else []
