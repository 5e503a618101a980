"""Bytes that no parser can frame, under a strict policy: what of them is form, and what is value.

Kept is what makes such bytes the kind of malformed that they are: methods, versions, names of
headers, headers that decide framing, sizes of chunks, white space and line ends. The rest is value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .policy import FRAMING

_LINE = re.compile(rb"[^\r\n]+|\r?\n\r?\n")
_START = re.compile(rb"\s*([A-Z]{1,20}\s+)?(.*?)(\s{1,64}HTTP/\d\.\d\s{0,64})?", re.S)
_REQUEST = re.compile(rb"[A-Z]{3,20}\s+\S.*\sHTTP/\d\.\d\s*")
_HEADER = re.compile(rb"([A-Za-z][\w-]{0,60})\s*:[ \t]*")
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}\s*(?:;.*)?")
_PIECE = re.compile(rb"[^/?&=\s]+")
_HARMLESS = re.compile(rb"[a-z_-]{1,24}")
_NAME = re.compile(rb"[A-Za-z][\w.-]{0,60}(?==)")


def values(data: bytes, kept: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Spans of values; `kept` says which headers the policy lets stand."""
    first = in_head = True
    for line in _LINE.finditer(data):
        start, end = line.span()
        text = line[0]
        if not text.strip():
            in_head = in_head and first
            continue
        header = _HEADER.match(text) if in_head else None
        if (first and not header) or _REQUEST.fullmatch(text):
            yield from _target(data, start, text)
            in_head = True
        elif header:
            name = header[1].lower()
            if (
                name not in FRAMING
                and not kept(name.decode("latin-1"))
                and header.end() < len(text)
            ):
                yield start + header.end(), end
        elif not _CHUNK.fullmatch(text):
            yield start, end
        first = False


def _target(data: bytes, start: int, line: bytes) -> Iterator[tuple[int, int]]:
    match = _START.fullmatch(line)
    low, high = match.span(2) if match else (0, len(line))
    mark = data.find(b"?", start, start + high)
    for piece in _PIECE.finditer(data, start + low, start + high):
        query = 0 <= mark < piece.start()
        name = _NAME.match(data, piece.start()) if query else _HARMLESS.fullmatch(piece[0])
        if not name:
            yield piece.span()
