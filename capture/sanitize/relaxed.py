"""JSON as people and odd clients write it: comments, single quotes, bare words, anything between.

Where the strict walker (`places.json_values`) would pass over what it does not know, this one takes
it: every byte is punctuation, a name, white space, a constant, or part of a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .places import Place, json_name, loose_values, opened

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
WELL = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[\s{}\[\],:\x1e]++|" + _STRING + rb'(?:"|\\?\Z)|-?[0-9][0-9.eE+-]*+'
    rb"|true\b|false\b|null\b|-?Infinity\b|NaN\b)*+(?:-|t|tr|tru|f|fa|fal|fals|n|nu|nul)?",
    re.S,
)
"""What `places.json_values` reads to its last byte, also where it is cut off or not valid."""
_TOKEN = re.compile(
    rb'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\'[^\'\\]*+(?:\\.[^\'\\]*+)*+\'?'
    rb"|`[^`\\]*+(?:\\.[^`\\]*+)*+`?)"
    rb"|(?P<comment>//[^\r\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|\#[^\r\n]*+)"
    rb"|(?P<mark>[{}\[\],:=;])|(?P<bare>(?:[^\s{}\[\],:=;\"'`/]|/(?![/*]))++)",
    re.S,
)
_CONSTANTS = frozenset(
    (b"true", b"false", b"null", b"undefined", b"True", b"False", b"None", b"NaN", b"Infinity",
     b"-Infinity")
)  # fmt: skip
_COLON = re.compile(rb"(?:\s|/\*(?:[^*]|\*(?!/))*+\*/|//[^\r\n]*+[\r\n])*+[:=]")


def relaxed_values(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Place]:
    """The leaf values; a comment is one, too, before what stands in it under a name."""
    names: list[str] = []
    objects: list[bool] = []
    name, named = "", False
    end = len(data) if end is None else end
    for match in _TOKEN.finditer(data, start, end):
        text, low, high = match[0], *match.span()
        if match.lastgroup == "mark":
            if text in b"{[":
                opened(names, name)
                objects.append(text == b"{")
                named = False
                name = "" if text == b"{" else name
            elif text in b"}]":
                name, named = (names.pop(), objects.pop())[0] if names else "", False
                name = name if objects and not objects[-1] else ""
            elif text in b",;" and (not objects or objects[-1]):
                name, named = "", False
            continue
        under = tuple(each for each in names if each)
        if match.lastgroup == "comment":
            yield Place("json", "", low, high, under=under)
            yield from loose_values(data, low, high)
            continue
        if match.lastgroup == "string":
            low, high = low + 1, high - (len(text) > 1 and text[-1:] == text[:1])
        elif text in _CONSTANTS:
            continue
        if not named and (not objects or objects[-1]) and _COLON.match(data, match.end(), end):
            name, named = json_name(data[low:high]), True
            continue
        path = ".".join((*names[1:], name or "*"))
        kind = "graphql" if len(names) > 1 and names[1] == "variables" else "json"
        yield Place(kind, name, low, high, path, under)
