"""Where values stand in a request: leaf values of queries, forms, JSON, XML and multipart bodies.

Each walker yields a `Place`: the kind of structure, the name (and, in JSON, the path) of a value,
and the span of its bytes. Walkers read bytes as they are, never fail, and yield what they could
read of a broken structure; they change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from ..octets import EQUALS, PERCENT, PLUS, QUOTE, SPACE
from .triggers import Scan

DEEPEST: Final = 200
"""Levels of a structure that is read: each place in it is judged by the names of all it stands in,
so that a body which is nothing but levels would take time by their square."""


class TooDeep(Exception):
    """A structure of more levels than are read."""


def opened(names: list[str], name: str) -> None:
    """One level more."""
    names.append(name)
    if len(names) > DEEPEST:
        raise TooDeep


class Place:
    """A value: what kind of structure it stands in, its name and path, and its span."""

    def __init__(
        self,
        kind: str,
        name: str,
        start: int,
        end: int,
        path: str = "",
        under: tuple[str, ...] = (),
    ) -> None:
        self.kind, self.name = kind, name
        self.start, self.end = start, end
        self.path = path
        self.under = under  # names of the containers it stands in, outermost first


def is_quoted(data: bytes, place: Place) -> bool:
    """Whether a value stands behind a quotation mark."""
    return place.start > 0 and data[place.start - 1] == QUOTE


_NAMES: Final = 1000
_cookie_names: Final[dict[bytes, str]] = {}
_query_names: Final[dict[bytes, str]] = {}
"""Names as they stand, without white space or a sign in them, and as text."""
_PAIR: Final = re.compile(rb"([^=&;?#\s]{1,400})=([^&#\s]*)")
_FORM_PAIR: Final = re.compile(rb"([^=&;?#\s]{1,400}) {0,4}=([^&]*)")  # to the next all is value
_WITHIN: Final = re.compile(rb"[;?#]([^=&;?#\s]{1,400})=([^&;?#\s]*)")  # begun by an odd sign
_SEGMENT: Final = re.compile(rb"[^/;?#\s]+(?=[/;?#\s]|\Z)")
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#\s]*")
_PIECE: Final = re.compile(rb"[^&;?#\s=]+")
# No run of spaces is looked at from each of its bytes anew: that would take its square.
_COOKIE: Final = re.compile(rb"\s{0,64}(?:([^=;\s]{1,400})\s{0,64}=\s{0,64}([^;]*)|([^;\s][^;]*))")
# A string, with what follows it where it is a name; a bracket; a number. What is cut off at the end
# of the data is a string, too.
_STRING: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)'
_NUMBER: Final = rb"(-?[0-9][0-9.eE+-]*+)"
_TOKEN: Final = re.compile(
    _STRING + rb"(?:(\s*+:\s*+)(?:" + _STRING + rb"|" + _NUMBER + rb")?)?|([{}\[\]])|" + _NUMBER,
    re.S,
)
_XML: Final = re.compile(
    rb"<!\[CDATA\[|</([A-Za-z_][\w:.-]*)\s*>|<([A-Za-z_][\w:.-]*)"
    rb"((?:\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*'|[\"'])*+)?)>|([^<>]+)",
    re.S,
)
_ATTRIBUTE: Final = re.compile(
    rb"([A-Za-z_][\w:.-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))"
)
_PART_NAME: Final = re.compile(
    rb"(?i)content-disposition:(?:[^\r\n]|\r?\n[ \t]){0,500}?"
    rb"\bname\s{0,4}\*?=\s{0,4}[\"']?(?:[\w-]+'[\w-]*'(?=[^\s;]))?([^\"'\r\n;]*)"
)

_PART_VALUE: Final = re.compile(
    rb"(?im)\b(filename)\*?\s{0,4}=\s{0,4}\"?([^\"\r\n;]+)"
    rb"|^(?!content-)([\w-]{1,60}):[ \t]*([^\r\n]+)"
)


def _text(name: bytes) -> str:
    if PERCENT in name or PLUS in name:
        name = unquote_to_bytes(name.replace(b"+", b" "))
    return name.decode("utf-8", "replace")


def _note(names: dict[bytes, str], raw: bytes, name: str) -> None:
    if len(names) >= _NAMES:
        names.clear()
    names[raw] = name


def pairs(data: bytes, start: int, end: int, kind: str) -> Iterator[Place]:
    """The values of a query or a form.

    Of pairs within a value (`a=1;pin=2`) the whole comes first: whoever takes it passes them over.
    What is no pair (`a=1&secret`) is a value without a name.
    """
    pattern, done, at = _FORM_PAIR if kind == "form" else _PAIR, start, start
    while kind == "query" and at < end:
        # A name that was seen before, its sign, letters and digits: so are nearly all.
        stop = data.find(b"&", at, end)
        stop = stop if stop >= 0 else end
        sign = data.find(b"=", at, stop)
        name = _query_names.get(data[at:sign]) if sign >= 0 else None
        if name is None or not data[sign + 1 : stop].isalnum():
            break
        yield Place(kind, name, sign + 1, stop)
        done, at = stop, stop + 1
    for match in pattern.finditer(data, at, end) if at < end else ():
        if match.start() - done > 1:
            yield from _nameless(data, done, match.start(), kind)
        done = match.end()
        value = match[2]
        low, high = match.start(2), match.end(2) - len(value) + len(value.rstrip())
        name = _text(match[1])
        if kind == "query":
            _note(_query_names, match[1], name)
        yield Place(kind, name, low, high)
        if EQUALS in value:
            for inner in _WITHIN.finditer(data, low, high):
                yield Place(kind, _text(inner[1]), inner.start(2), inner.end(2))
    if done < end:
        yield from _nameless(data, done, end, kind)


def _nameless(data: bytes, start: int, end: int, kind: str) -> Iterator[Place]:
    for match in _PIECE.finditer(data, start, end):
        yield Place(kind, "", match.start(), match.end())


def path_values(data: bytes, start: int, end: int) -> Iterator[Place]:
    """The segments of a target's path, each under the name of the one before, with its path."""
    authority = _AUTHORITY.match(data, start, end)
    path, before = "", ""
    for match in _SEGMENT.finditer(data, authority.end() if authority else start, end):
        here = _text(match[0].replace(b"+", b"%2B"))
        path += "/" + here.replace("/", "%2F")
        yield Place("path", before, match.start(), match.end(), path)
        before = here


def cookies(data: bytes, start: int, end: int) -> Iterator[Place]:
    """The values of a Cookie header; what has no name is one, too."""
    while start < end:
        stop = data.find(b";", start, end)
        stop = stop if stop >= 0 else end
        begin = start + 1 if data[start] == SPACE else start
        sign = data.find(b"=", begin, stop)
        # A name that was seen before, its sign and a value, as nearly all are.
        name = _cookie_names.get(data[begin:sign]) if sign >= 0 else None
        if name is not None and sign + 1 < stop and data[sign + 1] > SPACE:
            yield Place("cookie", name, sign + 1, stop)
        else:
            yield from _odd_cookies(data, start, stop)
        start = stop + 1


def _odd_cookies(data: bytes, start: int, end: int) -> Iterator[Place]:
    """The values of what stands between two semicolons."""
    for match in _COOKIE.finditer(data, start, end):
        low, high = match.span(3 if match[2] is None else 2)
        raw = match[1] or b""
        name = raw.decode("latin-1")
        if raw:
            _note(_cookie_names, raw, name)
        yield Place("cookie", name, low, high)


def json_values(
    data: bytes, start: int = 0, end: int | None = None, paths: bool = True
) -> Iterator[Place]:
    """The leaf values of a JSON text, or of several one after another, whole or broken.

    true, false and null are none: they say nothing of a person, and nothing can stand for them.
    """
    names: list[str] = []
    name, kind = "", "json"
    under: tuple[str, ...] = ()
    for match in _TOKEN.finditer(data, start, len(data) if end is None else end):
        group = match.lastindex or 1
        if group == 2:
            name = json_name(match[1])
            continue
        if group == 5:
            if match[5] in (b"{", b"["):
                opened(names, name or "*")
                name = "" if match[5] == b"{" else name
            elif names:
                names.pop()
                name = names[-1] if names and names[-1] != "*" else ""
            kind = "graphql" if len(names) > 1 and names[1] == "variables" else "json"
            under = tuple(each for each in names if each != "*")
            continue
        if group in (3, 4):
            name = json_name(match[1])
        path = ".".join((*names[1:], name or "*")) if paths else ""
        yield Place(kind, name, match.start(group), match.end(group), path, under)


def json_name(raw: bytes) -> str:
    """The name that stands in a JSON string."""
    text = raw.decode("utf-8", "replace")
    return (
        re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), text) if "\\" in text else text
    )


def xml_values(data: bytes, start: int, end: int) -> Iterator[Place]:
    """The texts of elements, under the element's name, and the values of attributes."""
    open_names: list[str] = []
    for match in _XML.finditer(data, start, end):
        if match[2]:
            name = match[2].rpartition(b":")[2].decode("latin-1")
            for found in _ATTRIBUTE.finditer(data, *match.span(3)):
                group = found.lastindex or 2
                own = found[1].rpartition(b":")[2].decode("latin-1")
                low, high = found.span(group)
                yield Place("xml", own, low, high, under=(*open_names, name))
            if not match[3].endswith(b"/"):
                opened(open_names, name)
        elif match[1]:
            if open_names:
                open_names.pop()
        elif match[4] and match[4].strip():
            name = open_names[-1] if open_names else ""
            low, high = match.span(4)
            yield Place("xml", name, low, high, under=tuple(open_names[:-1]))


def multipart_values(data: bytes, start: int, end: int, boundary: bytes) -> Iterator[Place]:
    """The bodies of the parts of a multipart text, under the names the parts give."""
    mark = b"--" + boundary
    at = data.find(mark, start, end)
    yield from _beside(data, start, at)
    while at >= 0:
        after = data.find(mark, at + len(mark), end)
        stop = after if after >= 0 else end
        split = re.compile(rb"\r?\n\r?\n").search(data, at, stop)
        if data.startswith(b"--", at + len(mark)) or not split:
            yield from _beside(data, at + len(mark), stop)
        else:
            for each in _PART_VALUE.finditer(data, at + len(mark), split.start()):
                group = each.lastindex or 2
                own = each[group - 1].decode("latin-1")
                yield Place("multipart", own, each.start(group), each.end(group))
            name = _PART_NAME.search(data, at, split.start())
            value_end = stop - 2 if data[stop - 2 : stop] == b"\r\n" else stop
            if value_end > split.end():
                text = name[1].decode("utf-8", "replace") if name else ""
                yield Place("multipart", text, split.end(), value_end)
                if data[split.end() : split.end() + 1] in (b"{", b"["):
                    yield from json_values(data, split.end(), value_end)
        at = after


def _beside(data: bytes, start: int, end: int) -> Iterator[Place]:
    """What stands in no part, before the first, after the last or without a blank line."""
    if data[start:end].strip(b"-\r\n \t"):
        yield Place("multipart", "", start, end)
        yield from loose_values(data, start, end)


# Broken or unknown structures: a telling name, a sign of assignment, a value. (Spaces one by one: a
# class with `\s` in it takes half as long again.)
LOOSE: Final = re.compile(
    rb"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]{2,61}+)[\"']?(?:\]?\s{0,4}[=:]\s{0,4})"
    rb"(?:\"((?:[^\"\\]|\\.)*+)|'([^']*)|([^ \t\n\r\f\v&;,\"'<>{}\[\]]+))",
    re.S,
)
_LOOSE_TRIGGER: Final = r"[a-z0-9_.-]{2}[\"']?\]?\s{0,4}[=:]\s{0,4}[^\s&;,<>{}\[\]]"
_REGION, _HEAD = 1 << 14, 80  # a name, what stands around its sign and a byte of value are shorter


def loose_values(data: bytes, start: int, end: int) -> Iterator[Place]:
    """Values that follow a name and a sign of assignment, whatever the structure is."""
    for match in loose_matches(data, start, end):
        group = match.lastindex or 4
        yield Place("form", match[1].decode("latin-1"), match.start(group), match.end(group))


def loose_matches(data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    """The matches of LOOSE: the first group is a name, the last a value."""
    if data.find(b"=", start, end) < 0 and data.find(b":", start, end) < 0:
        return iter(())
    if end - start < _REGION:
        return LOOSE.finditer(data, start, end)
    return _loose(data, start, end)


def _loose(data: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    """The matches of LOOSE in long data: looked for where hyperscan says that one may begin."""
    trigger, done = Scan(((0, _LOOSE_TRIGGER),)), start
    for low in range(start, end, _REGION):
        stop = min(end, low + _REGION + _HEAD)
        if done >= stop or not trigger.fired(data[low:stop]):
            continue
        for match in LOOSE.finditer(data, max(low, done), stop):
            if match.start() >= low + _REGION:
                break
            if match.end() + 1 >= stop < end:  # its value goes on, perhaps with half an escape
                match = LOOSE.match(data, match.start(), end) or match
            done = match.end()
            yield match
            if done >= stop:
                break
