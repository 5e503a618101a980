"""Structure-blind sanitizing: any bytes in, the same number of bytes out, without what was found.

One scan finds candidates in the bytes as they are; then the same is done through every other
spelling the bytes hint at (percent, JSON escapes, entities, UTF-16, base64, folded lines, chunk
boundaries), to a depth of three. Nothing here needs a request to be well-formed.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import views
from .detect import Detector, Scanner
from .places import loose_values
from .policy import FRAMING, SCAN, Policy
from .pseudonym import Pseudonyms

DEPTH = 3
_FILLER = bytes(
    120 if 97 <= b <= 122 else 88 if 65 <= b <= 90 else 57 if 48 <= b <= 57 else b
    for b in range(256)
)


class Blind:
    """Replaces what detectors find in any bytes, keeping their length."""

    def __init__(self, policy: Policy, pseudonyms: Pseudonyms) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._scanner = Scanner(policy.detectors)
        self.made: set[bytes] = set()
        """Pseudonyms of the exchange at hand: a further view must not replace them again."""

    def replace(self, kind: str, text: bytes) -> bytes:
        """The pseudonym of a text, remembered for as long as the exchange is at hand."""
        if text in self.made:
            return text
        new = self._pseudonyms.make(kind, text)
        self.made.add(new)
        return new

    def value(self, raw: bytes, action: str = "pseudonym") -> bytes:
        """The replacement of a whole value, whose spelling (percent, JSON escapes) is kept."""
        if action == "mask":
            return views.spelt(raw, mask) if b"%" in raw or b"\\" in raw else mask(raw)
        if b"%" in raw or b"\\" in raw:
            new = views.spelt(raw, self._whole)
            if new != raw:
                return new
        return self._whole(raw)

    def _whole(self, plain: bytes) -> bytes:
        return self.replace("value", plain)

    def clean(
        self, data: bytes, edits: Sequence[tuple[int, int, bytes]] = (), depth: int = 0
    ) -> bytes:
        """The data with the edits made and everything found outside them replaced."""
        if depth < DEPTH and views.escaped(data):
            # The decoded view finds all that the raw bytes would, and no half of an escape.
            return self._gaps(data, edits, True, depth)
        found, base64 = self._scanner.find(data)
        new = self._replaced(data, found, edits) if found else data
        if depth < DEPTH and (
            base64
            or b"%" in data
            or b"\\" in data
            or b"\0" in data
            or b"&" in data
            or b"\n" in data
        ):
            new = self._gaps(new, edits, base64, depth)
        elif edits:
            new = _apply(new, edits)
        return new

    def loose(self, data: bytes) -> bytes:
        """Bytes that no parser can frame: telling names and detectors; framing is left alone."""
        if self._policy.level == "none":
            return data
        edits: list[tuple[int, int, bytes]] = []
        for place in loose_values(data, 0, len(data)):
            if place.name.lower().encode("latin-1") in FRAMING:
                edits.append((place.start, place.end, data[place.start : place.end]))
            elif self._named(place.name):
                end = place.end
                if self._policy.action("header", place.name) not in (SCAN, "keep"):
                    stop = data.find(b"\n", place.start)
                    end = max(end, stop if stop >= 0 else len(data))
                raw = data[place.start : end]
                if not edits or place.start >= edits[-1][1]:
                    edits.append((place.start, end, self._line(raw)))
        new = self.clean(data, edits)
        return views.folded(new, lambda plain: self.clean(plain, depth=1))

    def _named(self, name: str) -> bool:
        return any(
            self._policy.action(place, name) not in (SCAN, "keep") for place in ("header", "form")
        )

    def _line(self, raw: bytes) -> bytes:
        from .headers import WORD

        return WORD.sub(lambda match: self.value(match[0]), raw)

    def _replaced(
        self,
        data: bytes,
        found: list[tuple[int, int, Detector]],
        edits: Sequence[tuple[int, int, bytes]],
    ) -> bytes:
        out: list[bytes] = []
        done = 0
        for start, end, detector in found:
            if edits and any(a < end and start < b for a, b, _ in edits):
                continue
            out += (data[done:start], self.replace(detector.kind, data[start:end]))
            done = end
        out.append(data[done:])
        return b"".join(out)

    def _gaps(
        self, data: bytes, edits: Sequence[tuple[int, int, bytes]], base64: bool, depth: int
    ) -> bytes:
        out: list[bytes] = []
        done = 0
        for start, end, new in (*edits, (len(data), len(data), b"")):
            gap = data[done:start]
            if len(gap) > 5:
                gap = self._views(gap, base64, depth)
            out += (gap, new)
            done = end
        return b"".join(out)

    def _views(self, data: bytes, base64: bool, depth: int) -> bytes:
        def deeper(plain: bytes) -> bytes:
            return self.clean(plain, depth=depth + 1)

        data = views.spelt(data, deeper)
        return views.in_base64(data, deeper) if base64 else data


def mask(text: bytes) -> bytes:
    """Filler of the same class at each position."""
    return text.translate(_FILLER)


def _apply(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    out: list[bytes] = []
    done = 0
    for start, end, new in edits:
        out += (data[done:start], new)
        done = end
    return b"".join((*out, data[done:]))
