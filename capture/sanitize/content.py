"""Sanitizing a body by its content type, through its transfer and content encodings.

A chunked body is read as one text and its bytes are put back into the same chunks. A compressed
body is opened, sanitized and closed again; its length changes, so its framing is repaired and the
exchange is marked. What cannot be opened is replaced by filler of its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..exchange import Flag
from ..octets import EQUALS
from . import charsets, codings, places
from .blind import Blind
from .headers import Head
from .relaxed import WELL, relaxed_values
from .templates import MOST_BYTES, Action, Templates
from .views import in_json
from .wide import narrowed, widened

RESIZED, FILLED = int(Flag.RESIZED), int(Flag.FILLED)  # plain integers: enums are slow to combine
_GRAPHQL: Final = frozenset(("query", "mutation", "subscription"))
_GRAPHQL_NAMES: Final = frozenset(name.encode() for name in _GRAPHQL)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[^\r\n]*\r?\n")
_BOUNDARY: Final = re.compile(rb'(?i)boundary="?([^";\r\n]{1,200})')
_FIRST_MARK: Final = re.compile(rb"\s*--([^\r\n]{1,200}?)[ \t]*\r?\n")
_JSON_START: Final = re.compile(rb'\s*(?:\{\s*"|\[\s*[{\["])')
_RELAXED_STARTS: Final = frozenset((b"{", b"[", b"/", b'"', b"'", b"#"))
_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_MOST_TIMES: Final = 3  # a body that is compressed more often cannot be vouched for
_EXTENSION: Final = re.compile(rb"[^;=\"\s]+")
_LENGTH: Final = re.compile(rb"(?im)^(content-length\s*:\s*)\d+")


def reframed(head: bytes, size: int) -> bytes:
    """The head with the length that its body has now."""
    return _LENGTH.sub(lambda match: match[1] + b"%d" % size, head)


class Content:
    """Sanitizes bodies."""

    def __init__(self, head: Head, blind: Blind) -> None:
        self._head = head
        self._blind = blind
        self._templates = Templates()

    def body(self, body: bytes, notes: dict[bytes, bytes]) -> tuple[bytes, int]:
        """The body sanitized, and the flags of what became of it (RESIZED, FILLED)."""
        kind = notes.get(b"content-type", b"")
        if b"transfer-encoding" not in notes and b"content-encoding" not in notes:
            return self._coded(body, kind, [])
        transfer = notes.get(b"transfer-encoding", b"").lower()
        coded = codings.names(notes.get(b"content-encoding", b"")) + codings.names(transfer)
        if b"chunked" not in transfer:
            return self._coded(body, kind, coded)
        spans = _chunks(body)
        if spans is None:
            return self._blind.loose(body), 0
        plain = b"".join(body[a:b] for a, b in spans)
        new, flags = self._coded(plain, kind, coded)
        if not flags & RESIZED:
            return self._back(body, spans, new), flags
        trailer = body[spans[-1][1] :] if spans else b""
        trailer = trailer.partition(b"\n")[2]
        return b"%x\r\n" % len(new) + new + b"\r\n" + self._blind.loose(trailer), flags

    def _back(self, body: bytes, spans: list[tuple[int, int]], new: bytes) -> bytes:
        out: list[bytes] = []
        at = done = 0
        for a, b in spans:
            out += (self._size_line(body[done:a]), new[at : at + b - a])
            at, done = at + b - a, b
        return b"".join((*out, self._blind.loose(body[done:])))

    def _size_line(self, line: bytes) -> bytes:
        """What stands before a chunk: of its extensions the values may be anything."""
        mark = line.find(b";")
        if mark < 0:
            return line
        rest = line[mark:]
        if self._head.strict:
            return line[:mark] + _EXTENSION.sub(lambda match: self._blind.value(match[0]), rest)
        return line[:mark] + self._blind.loose(rest)

    def _coded(
        self, data: bytes, kind: bytes, coded: list[bytes], times: int = 0
    ) -> tuple[bytes, int]:
        """A body under its codings, or under those that nothing but its first bytes tells of."""
        opened = None
        if not coded:
            coded, opened = codings.told(data)
        if not coded or not data:
            return self._read(data, kind)
        coded = [*coded[:-1], codings.exact(coded[-1], data)]
        if times >= _MOST_TIMES:
            opened = None
        elif opened is None:
            opened = codings.opened(data, coded)
        if opened is None:
            return codings.filler(len(data), kind.lower()), FILLED
        new, flags = self._coded(opened, kind, [], times + 1)
        if new == opened and not _speaks(data):
            return data, flags
        closed = codings.closed(new, coded)
        return closed, flags & FILLED | (0 if len(closed) == len(data) else RESIZED)

    def _read(self, data: bytes, kind: bytes) -> tuple[bytes, int]:
        """A body without codings, in its character set."""
        how = charsets.unread(data, kind)
        try:
            if isinstance(how, charsets.Table):
                new = self._plain(data.translate(how.reading), kind).translate(how.spelling)
            elif how:
                return codings.filler(len(data), kind.lower()), FILLED
            else:
                new = self._plain(data, kind)
        except places.TooDeep:
            return codings.filler(len(data), kind.lower()), FILLED
        return new, 0 if len(new) == len(data) else RESIZED

    def _plain(self, data: bytes, kind: bytes) -> bytes:
        if b"\0" in data[:4] or data[:2] in _BOMS:
            wide = narrowed(data)
            if wide is not None:
                return widened(wide[0], self._plain(wide[1], kind), wide[2])
        if self._head.by_type and (done := self._head.body(data, kind)) is not None:
            return done
        known = self._templates.find(data, kind)
        if known is not None:
            match, template = known
            edits = [
                (*match.span(group), self._head.done(match[group], action))
                for group, action in template.actions
                if match[group]
            ]
            return self._blind.clean(data, edits)
        found = places_of(data, kind, self._head.by_path)
        if found is None:
            if self._head.strict:
                return self._blind.value(data)
            edits = self._loose(data)
            return self._blind.around(data, edits) if edits else self._blind.clean(data)
        edits = self._edits(data, kind, found)
        is_form = b"urlencoded" in kind.lower() and not _JSON_START.match(data)
        return self._blind.form(data, edits) if is_form else self._blind.clean(data, edits)

    def _literals(self, query: bytes) -> bytes:
        """A GraphQL document in a JSON string: values that stand in it under telling names."""

        def named(plain: bytes) -> bytes:
            edits = []
            for place in places.loose_values(plain, 0, len(plain)):
                edit = self._head.edit(plain, "graphql", place.name, place.start, place.end)
                # A literal: `$name: Type` declares a variable, `name: $name` uses one.
                literal = places.is_quoted(plain, place)
                if edit is None or len(edit[2]) != place.end - place.start:
                    continue
                if literal or edit[2].isdigit():
                    edits.append(edit)
            return self._blind.clean(plain, edits)

        return in_json(query, named)

    def _loose(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Edits of values after telling names in a text of no structure; a name is judged once."""
        edits: list[tuple[int, int, bytes]] = []
        judged: dict[bytes, Action | None] = {}
        for match in places.loose_matches(data, 0, len(data)):
            name = match[1]
            if name not in judged:
                judged[name] = self._head.action("form", name.decode("latin-1"))
            action = judged[name]
            if action is None and name not in _GRAPHQL_NAMES:
                continue
            start, end = match.span(match.lastindex or 4)
            if action is not None and start < end:
                edits.append((start, end, self._head.done(data[start:end], action)))
            elif action is None and b"{" in data[start:end]:
                edits.append((start, end, self._literals(data[start:end])))
        return edits

    def _edits(
        self, data: bytes, kind: bytes, found: Iterator[places.Place]
    ) -> list[tuple[int, int, bytes]]:
        edits: list[tuple[int, int, bytes]] = []
        walked: list[places.Place] = []
        actions: list[Action | None] = []
        action_at, done, few = self._head.action, self._head.done, len(data) <= MOST_BYTES
        for place in found:
            name, start, end = place.name, place.start, place.end
            action = action_at(place.kind, name, place.path, place.under)
            free = not edits or start >= edits[-1][1]  # not within what is replaced
            if action is None and free and name in _GRAPHQL and b"{" in data[start:end]:
                few = False  # what stands in its text differs from one to the next
                edits.append((start, end, self._literals(data[start:end])))
                continue
            if few:
                walked.append(place)
                actions.append(action)
            if action is not None and free and start < end:
                edits.append((start, end, done(data[start:end], action)))
        if few and walked and walked[0].kind in ("json", "graphql"):
            self._templates.learn(data, kind, walked, actions)
        return edits


def places_of(data: bytes, raw: bytes, paths: bool = True) -> Iterator[places.Place] | None:
    """The values of a body of a content type; None where it has no structure that is known.

    Their paths, which take time, are told only where they are asked for.
    """
    kind = raw.lower()
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    is_form = b"urlencoded" in kind  # as it says: some clients say so of all that they send
    is_json = _JSON_START.match(data) if is_form else b"json" in kind or start in (b"{", b"[")
    if is_json:
        if WELL.fullmatch(data):
            return places.json_values(data, paths=paths)
        return relaxed_values(data) if start in _RELAXED_STARTS else None
    if is_form and EQUALS in data:
        return places.pairs(data, 0, len(data), "form")
    if b"multipart" in kind:
        boundary = _BOUNDARY.search(raw)
        if boundary is None or b"--" + boundary[1] not in data:
            boundary = _FIRST_MARK.match(data)  # not the one that was announced
        if boundary:
            return places.multipart_values(data, 0, len(data), boundary[1])
    if b"xml" in kind or start == b"<":
        return places.xml_values(data, 0, len(data))
    return None


def _speaks(data: bytes) -> bool:
    """Whether what is compressed tells more than its content: the name of a file, a comment."""
    return data[:2] == b"\x1f\x8b" and (data[3] & 0x1C > 0 or data.count(b"\x1f\x8b\x08") > 1)


def _chunks(body: bytes) -> list[tuple[int, int]] | None:
    """Spans of the data of each chunk; None where the body is not chunked as it says."""
    spans: list[tuple[int, int]] = []
    at = 0
    while match := _SIZE_LINE.match(body, at):
        size = int(match[1], 16)
        if not size:
            return spans
        spans.append((match.end(), min(len(body), match.end() + size)))
        at = match.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1
        if at >= len(body):
            return spans
    return None
