"""Structure-blind sanitizing: any bytes in, the same number of bytes out, without what was found.

One scan finds candidates in the bytes as they are; then the same is done through every other
spelling the bytes hint at (percent, JSON escapes, entities, UTF-16, base64, folded lines, chunk
boundaries), to a depth of three. Nothing here needs a request to be well-formed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..octets import AMPERSAND, BACKSLASH, NUL, PERCENT, PLUS
from . import views
from .credentials import WORD, secrets_in
from .detect import Detector
from .edits import Edit, apply, outside, woven
from .kinds import kind_of
from .memory import Memory
from .places import loose_values
from .policy import FRAMING, SCAN, Policy
from .pseudonym import KINDS, Pseudonyms
from .scanner import Scanner
from .unframed import values

DEPTH: Final = 3
_TELLING: Final = 7
"""A shorter pseudonym may be another's plaintext: it is not remembered as ours."""
_SHORTEST: Final = 6  # nothing that a detector finds is shorter
_SHORT: Final = 256
_REMEMBERED: Final = 1 << 15
"""Pseudonyms of texts up to _SHORT that are remembered, under a keyed hash of the text."""
_NESTED: Final = re.compile(
    rb"(?<![\w.-])\"?([A-Za-z0-9_.-]{2,61}+)\"?\s{0,4}:\s{0,4}"
    rb"(?:\"((?:[^\"\\]|\\.)++)|(-?[0-9][0-9.eE+-]*+)(?=[\s,}\]]))",
    re.S,
)
_NESTED_PAIR: Final = re.compile(
    rb"[?&;]([A-Za-z0-9_.-]{2,61}+)=((?:[^&?#\s\"<>]|\?(?![A-Za-z0-9_.-]{2,61}=))++)"
)
_FILLER: Final = bytes(
    120 if 97 <= b <= 122 else 88 if 65 <= b <= 90 else 57 if 48 <= b <= 57 else b
    for b in range(256)
)


class Blind:
    """Replaces what detectors find in any bytes, keeping their length."""

    def __init__(self, policy: Policy, pseudonyms: Pseudonyms) -> None:
        import xxhash

        self._policy = policy
        self._pseudonyms = pseudonyms
        self._scanner = Scanner(policy.detectors)
        self._hash = xxhash.xxh3_128_digest
        self._seeds = {kind: pseudonyms.number(kind.encode()) for kind in KINDS}
        self._makers = pseudonyms.makers()
        self._known: Memory[bytes] = Memory(_REMEMBERED)
        self.made: set[bytes] = set()
        """Pseudonyms of the exchange at hand: a further view must not replace them again."""

    def ahead(self, texts: Iterable[bytes]) -> None:
        """Say which texts are cleaned next: they are scanned together. None: forget the last."""
        # What holds escapes is cleaned as it reads without them.
        plain = [text for text in texts if PERCENT not in text and BACKSLASH not in text]
        self._scanner.ahead(plain)

    def replace(self, kind: str, text: bytes) -> bytes:
        """The pseudonym of a text, remembered for as long as the exchange is at hand."""
        if text in self.made:
            return text
        key = self._hash(text, self._seeds[kind])
        new = self._known.results.get(key)
        if new is None:
            is_one = True
            if kind == "value":
                new, is_one = self._valued(text)
            else:
                new = self._makers[kind](text)
            # What was made within another must be among `made` each time.
            if is_one and len(text) <= _SHORT:
                self._known.keep(key, new)
        if len(new) >= _TELLING:
            self.made.add(new)
        return new

    def credentials(self, value: bytes, action: str) -> bytes:
        """The value of an Authorization header, its scheme and names of parameters kept."""
        edits = [
            (start, end, self.replace(kind, value[start:end])
             if action == "pseudonym" and kind != "value" else self.value(value[start:end], action))
            for start, end, kind in secrets_in(value)
        ]  # fmt: skip
        return apply(value, edits)

    def value(self, raw: bytes, action: str = "pseudonym") -> bytes:
        """The replacement of a whole value, whose spelling (percent, JSON escapes) is kept."""
        if PERCENT in raw or BACKSLASH in raw or AMPERSAND in raw or NUL in raw:
            return views.inside(raw, _mask if action == "mask" else self._whole)
        return _mask(raw) if action == "mask" else self._whole(raw)

    def _whole(self, plain: bytes) -> bytes:
        return self.replace("value", plain)

    def _valued(self, text: bytes) -> tuple[bytes, bool]:
        """A whole value, and whether it was replaced as one.

        What stands in a longer text is of its own kind there, too.
        """
        kind = kind_of(text)
        if kind != "text":
            return self._makers[kind](text), True
        if text.isalnum() or len(text) < _SHORTEST:
            return self._pseudonyms.text(text) if text else text, True
        found, _ = self._scanner.find(text)
        if not found:
            return self._pseudonyms.text(text), True
        out: list[bytes] = []
        done = 0
        for start, end, detector in found:
            if (start and text[start - 1 : start].isalnum()) or text[end : end + 1].isalnum():
                continue  # the rest of a run, as of a key whose prefix goes, too: no half of it
            between = text[done:start]
            out.append(self._makers["text"](between) if between else between)
            out.append(self.replace(detector.kind, text[start:end]))
            done = end
        rest = text[done:]
        return b"".join((*out, self._makers["text"](rest) if rest else rest)), not out

    def clean(self, data: bytes, edits: Sequence[Edit] = (), depth: int = 0) -> bytes:
        """The data with the edits made and everything found outside them replaced."""
        if depth < DEPTH and (PERCENT in data or BACKSLASH in data) and views.escaped(data):
            # The decoded view finds all that the raw bytes would, and no half of an escape.
            return self._parted(data, edits, depth)
        found, base64 = self._scanner.find(data, edits)
        new = self._replaced(data, found, edits) if found else data
        if depth < DEPTH and (base64 or views.hinted(data)):
            return self._gaps(new, edits, base64, depth)
        return apply(new, edits) if edits else new

    def clean_but(self, data: bytes, passed: frozenset[str]) -> bytes:
        """As `clean`, for a short text in which some detectors would take what must stay."""
        found, _ = self._scanner.find(data)
        return self._replaced(data, [each for each in found if each[2].name not in passed], ())

    def around(self, data: bytes, edits: Sequence[Edit]) -> bytes:
        """As `clean`, where edits are of loose values: a detector may see more than an edit.

        "Fax: +1 234 …" is a telephone number, not the value "+1" and some digits.
        """
        found, _ = self._scanner.find(data)
        larger = [span for span in found if span[1] - span[0] > 1]
        starts = [span[0] for span in larger]

        def stands(edit: tuple[int, int, bytes]) -> bool:
            at = bisect_right(starts, edit[0]) - 1
            if at < 0 or edit[1] > larger[at][1]:
                return True
            return edit[1] - edit[0] >= larger[at][1] - larger[at][0]

        return self.clean(data, [edit for edit in edits if stands(edit)])

    def form(self, data: bytes, edits: Sequence[Edit]) -> bytes:
        """As `clean`, for a form: a plus sign in it is a space, but for one within base64."""
        if PLUS not in data:
            return self.clean(data, edits)

        def cleaned(gap: bytes) -> bytes:
            return views.in_base64(views.as_form(gap, self.clean), self.clean)

        return woven(data, edits, cleaned)

    def between(self, data: bytes, edits: Sequence[Edit], kept: bool = False) -> bytes:
        """As `clean`, for data that is names and punctuation where it is no value of an edit.

        What stands between values repeats (`; theme=`), so each piece of it is done once. What is
        `kept` was looked at before.
        """
        out: list[bytes] = []
        done = 0
        for start, end, new in edits:
            gap = data[done:start]
            out.append(gap if kept or len(gap) < _SHORTEST else self._piece(gap))
            out.append(new)
            done = end
        gap = data[done:]
        out.append(gap if kept or len(gap) < _SHORTEST else self._piece(gap))
        return b"".join(out)

    def _piece(self, gap: bytes) -> bytes:
        key = self._hash(gap, self._seeds["text"] ^ 1)
        clean = self._known.results.get(key)
        if clean is None:
            clean = self.clean(gap)
            if clean == gap:  # else its pseudonyms must be among `made` each time
                self._known.keep(key, clean)
        return clean

    def loose(self, data: bytes) -> bytes:
        """Bytes that no parser can frame: telling names and detectors; framing is left alone."""
        if self._policy.level == "none":
            return data
        # First what stands over a fold or a boundary: half of it may look like a whole.
        data = self.unfolded(data)
        edits: list[Edit] = []
        if self._policy.level == "strict":
            edits = [(a, b, self.value(data[a:b])) for a, b in values(data, self._kept)]
            return self.clean(data, edits)
        for place in loose_values(data, 0, len(data)):
            if edits and place.start < edits[-1][1]:
                continue
            if place.name.lower().encode("latin-1") in FRAMING:
                raw = data[place.start : place.end]
                edits.append((place.start, place.end, self._framing(place.name, raw)))
            elif self._named(place.name):
                end = place.end
                if self._policy.action("header", place.name) not in (SCAN, "keep"):
                    stop = data.find(b"\n", place.start)
                    end = max(end, stop if stop >= 0 else len(data))
                edits.append((place.start, end, self._line(place.name, data[place.start : end])))
        return self.around(data, edits) if edits else self.clean(data)

    def unfolded(self, data: bytes) -> bytes:
        """The data sanitized as it reads without line folds and boundaries of chunks."""
        return views.folded(data, lambda plain: self.clean(plain, depth=1))

    def _kept(self, header: str) -> bool:
        return self._policy.action("header", header) == "keep"

    def _named(self, name: str) -> bool:
        return any(
            self._policy.action(place, name) not in (SCAN, "keep") for place in ("header", "form")
        )

    def _framing(self, name: str, raw: bytes) -> bytes:
        kept = raw.isdigit() and name.lower() == "content-length"
        return raw if kept else self.clean(raw)

    def _line(self, name: str, raw: bytes) -> bytes:
        if name.lower().endswith("authorization"):
            return self.credentials(raw, "pseudonym")
        return WORD.sub(lambda match: self.value(match[0]), raw)

    def _replaced(
        self,
        data: bytes,
        found: Sequence[tuple[int, int, Detector]],
        edits: Sequence[Edit],
    ) -> bytes:
        out: list[bytes] = []
        done = 0
        for start, end, kind in outside(found, edits):
            out.append(data[done:start])
            out.append(self.replace(kind, data[start:end]))
            done = end
        out.append(data[done:])
        return b"".join(out)

    def _parted(self, data: bytes, edits: Sequence[Edit], depth: int) -> bytes:
        """As `clean`, for data that holds escapes, though perhaps not on each side of an edit."""

        def cleaned(gap: bytes) -> bytes:
            if views.escaped(gap):
                return self._gap(gap, True, depth)
            return self.clean(gap, depth=depth) if len(gap) >= _SHORTEST else gap

        return woven(data, edits, cleaned)

    def _gaps(self, data: bytes, edits: Sequence[Edit], base64: bool, depth: int) -> bytes:
        return woven(data, edits, lambda gap: self._gap(gap, base64, depth))

    def _gap(self, gap: bytes, base64: bool, depth: int) -> bytes:
        if len(gap) >= views.SHORTEST_BASE64:
            return self._views(gap, base64, depth)
        if len(gap) >= _SHORTEST and (views.escaped(gap) or views.hinted(gap)):
            return self._views(gap, False, depth)
        return gap

    def _nested(self, plain: bytes) -> list[Edit]:
        """Edits of values under telling names, in a structure that stood spelt within another."""
        if self._policy.default != SCAN:
            return []
        edits: list[Edit] = []
        for name, start, end in _pairs_of(plain):
            action = self._policy.action("json", name)
            if action in (SCAN, "keep") or start >= end or (edits and start < edits[-1][1]):
                continue
            action = "mask" if action == "mask" else "pseudonym"  # views keep lengths
            edits.append((start, end, self.value(plain[start:end], action)))
        return edits

    def _views(self, data: bytes, base64: bool, depth: int) -> bytes:
        def deeper(plain: bytes) -> bytes:
            return self.clean(plain, self._nested(plain), depth + 1)

        if views.spaced(data):
            data = views.as_form(data, deeper)
        data = views.spelt(data, deeper)
        return views.in_base64(data, deeper) if base64 else data


def _pairs_of(plain: bytes) -> Iterator[tuple[str, int, int]]:
    """Names and spans of values in a text that stood in another as JSON or as a query does."""
    found = list(_NESTED.finditer(plain)) if b":" in plain else []
    if b"=" in plain:
        found += _NESTED_PAIR.finditer(plain)
    for match in sorted(found, key=lambda match: match.start()):
        yield match[1].decode("latin-1"), *match.span(match.lastindex or 2)


def _mask(text: bytes) -> bytes:
    """Filler of the same class at each position."""
    return text.translate(_FILLER)
