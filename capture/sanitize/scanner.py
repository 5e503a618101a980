"""One pass over any bytes: hyperscan tells which detectors may match, their patterns find where.

Long data is looked at in chunks that overlap by more than what a detector may take in.
"""

from __future__ import annotations

import functools
import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from typing import Any

from ..errors import PolicyError
from . import validators as is_
from .detect import TABLE, Detector

CHUNK = 1 << 16
"""Bytes scanned at a time; a trigger that fires has its pattern run over the chunk."""
REACH = 1 << 12
"""How far a match may reach over the edge of its chunk."""
_64 = r"[A-Za-z0-9+/_-]"
_TEXT_QUAD = "|".join((
    rf"[CDI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589]{_64}",  # printable
    rf"{_64}[AQgw][A-D]{_64}",  # a zero between two bytes, as in UTF-16 and UTF-32
    rf"A[A-P]{_64}{{2}}|{_64}{{2}}[AEIMQUYcgkosw048]A",  # a zero before or after them
))  # fmt: skip
_BASE64_TRIGGERS = (rf"{_64}{{16}}", rf"(?-i)(?:{_TEXT_QUAD}){{2}}")
"""Both fire where base64 is to be undone: a run, and two quads (RFC 4648, section 4) in a row that
spell three bytes of text each: of what is text for the most part, there are some anywhere."""
EMPTY = "it matches empty text"
_START = itemgetter(0)


@functools.lru_cache(maxsize=16)
def compiled(triggers: tuple[str, ...]) -> Any:
    """A database of triggers, numbered in order; PolicyError where hyperscan takes one for none."""
    import hyperscan

    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    texts = [trigger.encode() for trigger in triggers]
    size, database = len(texts), hyperscan.Database()
    try:
        database.compile(
            expressions=texts, ids=list(range(size)), elements=size, flags=[flags] * size
        )
    except hyperscan.error as failure:
        told = str(failure).rstrip(".")
        told = EMPTY if "ALLOWEMPTY" in told else f"hyperscan takes none: {told}"
        raise PolicyError(told) from None
    return database


class Scanner:
    """A set of detectors compiled for one pass over any bytes."""

    def __init__(self, detectors: Iterable[Detector] = TABLE) -> None:
        self.detectors = tuple(detectors)
        import hyperscan

        triggers = [detector.trigger for detector in self.detectors]
        self._database: Any = compiled((*triggers, *_BASE64_TRIGGERS))
        self._fired: list[int] = []
        fire = self._fired.append

        def note(number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
            fire(number)

        self._note = note
        # The database is shared with other scanners, what a scan writes into is not.
        self._scan = self._database.scan
        self._scratch: Any = hyperscan.Scratch(self._database)
        self._base64 = len(self.detectors)
        self._parts = [replace(detector, kind="text") for detector in self.detectors]
        self._rows = [
            (each.pattern.finditer, "secret" if "secret" in each.pattern.groupindex else 0, each)
            for each in self.detectors
        ]

    def find(
        self, data: bytes, taken: Sequence[tuple[int, int, bytes]] = ()
    ) -> tuple[Sequence[tuple[int, int, Detector]], bool]:
        """Spans of what was found, apart and in order, and whether base64 may stand somewhere.

        What stands within one of the spans that are taken (in order) is not looked at closer.
        """
        size = len(data)
        if size <= CHUNK:
            fired = self._fired
            fired.clear()
            self._scan(data, self._note, 0, None, self._scratch)
            if not fired:
                return (), False
        found: list[tuple[int, int, int]] = []
        base64 = False
        for start in range(0, size, CHUNK):
            low, high = max(0, start - REACH), min(size, start + CHUNK + REACH)
            base64 |= self._chunk(data, low, high, found, taken)
        return (self._apart(found) if found else ()), base64

    def _chunk(
        self,
        data: bytes,
        low: int,
        high: int,
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> bool:
        fired = self._fired
        if len(data) > CHUNK:  # else it was scanned already
            fired.clear()
            self._scan(data[low:high], self._note, 0, None, self._scratch)
        base64 = 0
        for number in fired:
            if number >= self._base64:
                base64 += 1
            else:
                self._spans(data, number, low, high, found, taken)
        return base64 == len(_BASE64_TRIGGERS)

    def _spans(
        self,
        data: bytes,
        number: int,
        low: int,
        high: int,
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> None:
        finditer, secret, detector = self._rows[number]
        valid = detector.valid
        judged: dict[bytes, list[tuple[int, int]]] = {}  # what repeats is judged once
        for match in finditer(data, low, high):
            start, end = match.span(secret)
            if taken:
                at = bisect_right(taken, start, key=_START) - 1
                if at >= 0 and end <= taken[at][1]:
                    continue
            if valid is None:
                found.append((start, end, number))
                continue
            text = data[start:end]
            spans = judged.get(text)
            if spans is None:
                spans = judged[text] = _within(text, detector)
            found.extend((start + a, start + b, number) for a, b in spans)

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


_PREFIX = 12


def _within(text: bytes, detector: Detector) -> list[tuple[int, int]]:
    """The spans of a match that are the thing: all of it, or nothing; but of cards some digits."""
    if detector.valid is None or detector.valid(text):
        return [(0, len(text))]
    return is_.cards_in(text) if detector.kind == "card" else []
