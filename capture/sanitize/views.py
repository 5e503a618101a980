"""The other spellings in which a secret may stand: views of the same bytes, decoded.

A view pairs decoded bytes with where each stood, so that a replacement of the same length, made in
the decoded bytes, can be spelt back in place: "%40" stays three bytes, "\\u0061" six. Bytes that
did not change keep the spelling they had. Every view therefore keeps the length of what it decodes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ..octets import AMPERSAND, BACKSLASH, NEWLINE, NUL, PERCENT, PLUS, PRINTABLE, SEMICOLON
from .policy import FRAMING

Clean = Callable[[bytes], bytes]
"""Replaces secrets in plain bytes, keeping their length."""

_ESCAPES: Final = {b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n",
            b"r": b"\r", b"t": b"\t"}  # fmt: skip
_PERCENT: Final = re.compile(rb"%[0-9A-Fa-f]{2}")
_JSON: Final = re.compile(rb'\\u[0-9A-Fa-f]{4}|\\["\\/bfnrt]')
_ENTITY: Final = re.compile(rb"&#(?:x[0-9A-Fa-f]{2}|[0-9]{2,3});|&(?:amp|lt|gt|quot|apos);")
_NAMED: Final = {b"&amp;": b"&", b"&lt;": b"<", b"&gt;": b">", b"&quot;": b'"', b"&apos;": b"'"}
_PLUS: Final = re.compile(rb"(?<![=\0])\+")  # one at the beginning of a value is meant as it stands
_SPACED: Final = re.compile(rb"[\w)]\+[\w(%]")
# A boundary of chunks (a size of more than six digits would be a number in a line), or a fold.
# Before a header that frames it is none: that header would become a part of what stands before.
_BREAK: Final = re.compile(
    rb"\r\n([0-9A-Fa-f]{1,6})(?:;[^\r\n]{0,200})?\r\n(?!(?i:"
    + b"|".join(sorted(FRAMING))
    + rb")\s*:)|\r?\n[ \t](?:[ \t](?!\0))*"
)
SHORTEST_BASE64: Final = 16
BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_BASE64_PART: Final = re.compile(rb"[A-Za-z0-9+_-]{16,}={0,2}")
_UTF16: Final = re.compile(rb"(?:[\x20-\x7e]\0){6,}|(?:\0[\x20-\x7e]){6,}")


def _percent(unit: bytes) -> bytes:
    return bytes((int(unit[1:], 16),))


def _json(unit: bytes) -> bytes:
    """A byte: of a character beyond ASCII its last five bits, by which alone it may change."""
    if unit[1:2] != b"u":
        return _ESCAPES[unit[1:]]
    code = int(unit[2:], 16)
    return bytes((code if code < 0x80 else 0xE0 | (code & 0x1F),))


def _entity(unit: bytes) -> bytes:
    if unit in _NAMED:
        return _NAMED[unit]
    number = int(unit[3:-1], 16) if unit[2:3] == b"x" else int(unit[2:-1])
    return bytes((number,)) if number < 256 else b"?"


def _space(_: bytes) -> bytes:
    return b" "


def _nothing(_: bytes) -> bytes:
    return b""


def _spell(unit: bytes, byte: int) -> bytes:
    """The byte in the spelling of the unit it replaces."""
    if unit == b"+":
        return bytes((byte,))
    if unit[:1] == b"%":
        new = b"%%%02X" % byte
    elif unit[:2] == b"\\u":
        code = int(unit[2:], 16)
        new = b"\\u%04X" % (byte if code < 0x80 else code & ~0x1F | byte & 0x1F)
    elif unit[:3] == b"&#x":
        new = b"&#x%02X;" % byte
    else:
        width = len(unit) - 3
        return b"&#%0*d;" % (width, min(byte, 10**width - 1))
    return new if not unit.islower() and unit.upper() == unit else new[:2] + new[2:].lower()


def _through(pattern: re.Pattern[bytes], decode: Clean, data: bytes, clean: Clean) -> bytes:
    """Clean the data as it reads with every match of the pattern decoded."""
    return _through_matches(pattern.finditer(data), decode, data, clean)


def _through_matches(
    matches: Iterable[re.Match[bytes]], decode: Clean, data: bytes, clean: Clean
) -> bytes:
    plain: list[bytes] = []
    units: list[tuple[int, bytes, int]] = []  # where in plain, its spelling, where in data
    at = done = 0
    for match in matches:
        literal, unit = data[done : match.start()], match[0]
        at += len(literal)
        decoded = decode(unit)
        plain += (literal, decoded)
        units.append((at, unit, match.start()))
        at += len(decoded)
        done = match.end()
    if not units:
        return data
    plain.append(data[done:])
    old = b"".join(plain)
    new = clean(old)
    if new == old:
        return data
    return _respelt(old, new, units, decode is _nothing)


def _respelt(old: bytes, new: bytes, units: list[tuple[int, bytes, int]], empty: bool) -> bytes:
    out: list[bytes] = []
    at = 0
    for place, unit, _ in units:
        out.append(new[at:place])
        if empty:
            out.append(unit)
            at = place
        else:
            out.append(unit if old[place] == new[place] else _spell(unit, new[place]))
            at = place + 1
    out.append(new[at:])
    return b"".join(out)


def escaped(data: bytes) -> bool:
    """Whether the data holds percent or JSON escapes."""
    return bool(
        (PERCENT in data and _PERCENT.search(data)) or (BACKSLASH in data and _JSON.search(data))
    )


def hinted(data: bytes) -> bool:
    """Whether the data may hold entities, UTF-16, or the plus signs of a form as spaces."""
    return NUL in data or (AMPERSAND in data and SEMICOLON in data) or spaced(data)


def spaced(data: bytes) -> bool:
    """Whether plus signs stand in the data as the spaces of a form do."""
    return PLUS in data and _SPACED.search(data) is not None


def spelt(data: bytes, clean: Clean) -> bytes:
    """Clean the data through every spelling that its bytes hint at (base64 apart)."""
    if PERCENT in data:
        data = _through(_PERCENT, _percent, data, clean)
    if BACKSLASH in data:
        data = _through(_JSON, _json, data, clean)
    if AMPERSAND in data and SEMICOLON in data:
        data = _through(_ENTITY, _entity, data, clean)
    if NUL in data:
        data = _UTF16.sub(lambda match: _utf16(match[0], clean), data)
    return data


_OUTER_FIRST: Final = ((b"\\", _JSON, _json), (b"%", _PERCENT, _percent), (b"&", _ENTITY, _entity))
_NESTED: Final = 4


def inside(data: bytes, clean: Clean, depth: int = 0) -> bytes:
    """Replace all of the data, as it reads when decoded: the outermost spelling first.

    Nothing of an escape is taken for text, so that what was valid JSON stays that.
    """
    for mark, pattern, decode in _OUTER_FIRST if depth < _NESTED else ():
        if mark in data and pattern.search(data):
            return _through(pattern, decode, data, lambda plain: inside(plain, clean, depth + 1))
    if NUL not in data:
        return clean(data)
    out: list[bytes] = []
    done = 0
    for run in _UTF16.finditer(data):
        out += (clean(data[done : run.start()]), _utf16(run[0], clean))
        done = run.end()
    return b"".join((*out, clean(data[done:])))


def in_json(data: bytes, clean: Clean) -> bytes:
    """Clean the data as it reads in a JSON string."""
    return _through(_JSON, _json, data, clean) if _JSON.search(data) else clean(data)


def as_form(data: bytes, clean: Clean) -> bytes:
    """Clean the data as it reads in a form, where a plus sign is a space."""
    return _through(_PLUS, _space, data, clean) if _PLUS.search(data) else clean(data)


def folded(data: bytes, clean: Clean) -> bytes:
    """Clean the data as it reads without line folds, and without chunk boundaries."""
    if NEWLINE not in data:
        return data
    # First the boundaries whose sizes are true; then what may be some all the same.
    data = _through_matches(_true_breaks(data), _nothing, data, clean)
    return _through(_BREAK, _nothing, data, clean)


def _true_breaks(data: bytes) -> Iterator[re.Match[bytes]]:
    at = 0
    while match := _BREAK.search(data, at):
        size = match[1]
        end = match.end() + int(size, 16) if size else 0
        if size and data[end : end + 2] != b"\r\n":
            at = match.start() + 1
            continue
        at = match.end()
        yield match


def _utf16(run: bytes, clean: Clean) -> bytes:
    first = 0 if run[1:2] == b"\0" else 1
    new = clean(run[first::2])
    out = bytearray(run)
    out[first::2] = new
    return bytes(out)


def _base64_runs(data: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
    """Runs of base64 that decode to text: (start, end, text, whether in the URL alphabet)."""
    for match in BASE64_RUN.finditer(data):
        run = match[0]
        whole = _decoded(run)
        if whole is not None:
            yield match.start(), match.end(), *whole
            continue
        for part in _BASE64_PART.finditer(run) if b"/" in run else ():
            inner = _decoded(part[0])
            if inner is not None:
                yield match.start() + part.start(), match.start() + part.end(), *inner


def _decoded(run: bytes) -> tuple[bytes, bool] | None:
    """What a run decodes to, if that is text; a character too many at its end is left out."""
    url = b"-" in run or b"_" in run
    body = run.rstrip(b"=").translate(_TO_PLAIN) if url else run.rstrip(b"=")
    spare = len(body) & 3
    plain = binascii.a2b_base64(body[:-1] if spare == 1 else body + b"=" * (-spare & 3))
    odd = len(plain.translate(None, PRINTABLE))
    if odd * 10 > len(plain) and plain.count(0) * 5 < len(plain) * 2:
        return None
    return plain, url


_TO_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def in_base64(data: bytes, clean: Clean) -> bytes:
    """Clean what base64 runs decode to, and encode it again in place."""
    out: list[bytes] = []
    done = 0
    for start, end, plain, url in _base64_runs(data):
        new = clean(plain)
        if new == plain:
            continue
        run = base64.b64encode(new).rstrip(b"=")
        run = run.translate(_TO_URL) if url else run
        out += (data[done:start], run, data[start + len(run) : end])
        done = end
    return b"".join((*out, data[done:])) if out else data
