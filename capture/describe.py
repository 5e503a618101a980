"""What sanitized requests say of themselves: method, target, host, endpoint, session, key.

Read from sanitized bytes only, so nothing here can leak. The endpoint is the method and the path
with everything that looks like a value put as a placeholder; pseudonyms keep the class of what
they replace, so templates come out as they would have from the raw path.

Clients repeat themselves to the byte, so an exchange is noted as two numbers: of its request line
and of its block of header lines. What those say is worked out once, and spread over the rows
of a block when that is sealed (tape/rows.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import xxhash

from .exchange import Exchange, Kind

_MOST_REMEMBERED = 8 << 20  # bytes of request lines and header blocks
_HEADERS = re.compile(
    rb"(?:^|\n)(host|cookie|authorization|content-type)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_SEPARATOR = re.compile(rb"[;,]")
_TELLS_USER = re.compile(rb"sess|sid|token|auth|login|user|uid|identity", re.IGNORECASE)
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_TEMPLATES = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "{date}"),
    (re.compile(r"[+-]?\d+"), "{id}"),
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "{uuid}"),
    (re.compile(r"[^/@]+(?:@|%40)[^/@]+\.[A-Za-z]{2,}"), "{email}"),
    (re.compile(r"(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}"), "{hex}"),
    (re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w.~%=-]*[\w=]{16,}[\w.~%=-]*"), "{token}"),
)
_LONGEST = 200
_REMEMBERED = 4096  # bytes; longer ones are read anew
_SPOKEN = (Kind.HTTP1, Kind.MALFORMED)


class Line(NamedTuple):
    """What a request line says; empty strings where it says nothing."""

    method: str
    endpoint: str
    target: str
    authority: str  # of an absolute target: goes before the Host header
    hash: int  # of method and target


class Fields(NamedTuple):
    """What a block of header lines says."""

    host: str
    content_type: str
    session: int  # 0 where it names no user
    host_hash: int


class Describer:
    """Notes exchanges as numbers, and says of many at once what they stand for.

    What is remembered is bounded: `forget_some` is to be called between blocks, after which earlier
    numbers stand for nothing.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._bytes = 0
        self._line_numbers: dict[bytes, int] = {}
        self._field_numbers: dict[bytes, int] = {}
        self._hosts: dict[bytes, tuple[str, int]] = {}
        self.lines: list[Line] = []
        self.fields: list[Fields] = []

    def forget_some(self) -> None:
        """Begin anew where much has been remembered."""
        if self._bytes > _MOST_REMEMBERED:
            self._forget()

    def note(self, exchange: Exchange) -> tuple[int, int]:
        """Numbers of the request line and of the header lines of a sanitized exchange."""
        if exchange.kind != Kind.HTTP1:
            return self._odd(exchange)
        request = exchange.request
        end = request.find(b"\n") + 1
        line = self._line_numbers.get(request[:end])
        if line is None:
            line, end = self._new_line(exchange, end)
        block = request[end : exchange.head_bytes or len(request)]
        fields = self._field_numbers.get(block)
        return line, self._new_fields(block) if fields is None else fields

    def _odd(self, exchange: Exchange) -> tuple[int, int]:
        request = exchange.request if exchange.kind == Kind.MALFORMED else b""
        line, end = self._new_line(exchange, 0)
        # Where there is no method there are no header lines either.
        block = request[end : exchange.head_bytes or len(request)] if end else b""
        return line, self._new_fields(block)

    def _new_line(self, exchange: Exchange, end: int) -> tuple[int, int]:
        """Number of the request line of an exchange not met before, and where the line ends."""
        request = exchange.request
        method, target, ends = _request_line(request) if exchange.kind in _SPOKEN else (b"", b"", 0)
        if not method:
            self.lines.append(Line("", f"({exchange.kind.name.lower()})", "", "", 0))
            return len(self.lines) - 1, 0
        authority, path = _parts(target)
        said = Line(
            _text(method),
            printable(f"{_text(method)} {template(_text(path))}"),
            _text(target),
            _text(authority.strip().lower()),
            xxhash.xxh3_64_intdigest(method + b"\0" + target),
        )
        self.lines.append(said)
        if 2 < end <= _REMEMBERED and exchange.kind == Kind.HTTP1:
            self._line_numbers[request[:end]] = len(self.lines) - 1
            ends = end
        self._bytes += 2 * len(target) + 200
        return len(self.lines) - 1, ends

    def _new_fields(self, block: bytes) -> int:
        host = content_type = cookie = authorization = b""
        for name, value in _HEADERS.findall(block):
            first = name[0] | 0x20
            if first == 0x68:
                host = host or value
            elif first == 0x61:
                authorization = value
            elif name[2] | 0x20 == 0x6F:
                cookie = value
            else:
                content_type = value
        kind = _text(content_type.split(b";", 1)[0].strip().lower())
        authority, hashed = self._host(host)
        fields = Fields(authority, kind, _session(cookie, authorization), hashed)
        self.fields.append(fields)
        if len(block) <= _REMEMBERED:
            self._field_numbers[block] = len(self.fields) - 1
            self._bytes += len(block)
        self._bytes += 300
        return len(self.fields) - 1

    def _host(self, raw: bytes) -> tuple[str, int]:
        """A Host header as text, and its hash: the objects that other blocks have, as most do."""
        known = self._hosts.get(raw)
        if known is None:
            text = _text(raw.strip().lower())
            known = self._hosts[raw] = text, text_hash(text)
        return known


def text_hash(text: str) -> int:
    """XXH3, 64 bits."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def printable(text: str) -> str:
    """A text that moves no cursor, ends no line and can be written: the others as `\\x1b`."""
    if text.isprintable():
        return text
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def template(path: str) -> str:
    """A path with what looks like a value put as a placeholder: `/orders/17` → `/orders/{id}`."""
    path = path.split("#", 1)[0]
    segments = [_template_of(segment) for segment in path.split("/")]
    return "/".join(segments)[:_LONGEST]


def _template_of(segment: str) -> str:
    if segment.isalpha() or not segment:
        return segment
    if segment.isdecimal():
        return "{id}"
    segment, semicolon, _ = segment.partition(";")
    if len(segment) > _LONGEST:
        return "{token}"
    for pattern, placeholder in _TEMPLATES:
        if pattern.fullmatch(segment):
            return placeholder
    return segment + semicolon


def _request_line(request: bytes) -> tuple[bytes, bytes, int]:
    """Method and target, and where the request line ends; empty where there is no such line."""
    start = 0
    while request[start : start + 1] in (b"\r", b"\n") and start < len(request):
        start += 1
    end = request.find(b"\n", start, start + 65536)
    if end < 0:
        end = min(len(request), start + 65536)
    parts = request[start:end].split(None, 2)
    if len(parts) < 2 or not _METHOD.fullmatch(parts[0]):
        return b"", b"", end
    return parts[0], parts[1], end


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _parts(target: bytes) -> tuple[bytes, bytes]:
    """Authority (of an absolute target) and path of a request target."""
    path = target.split(b"?", 1)[0]
    if b"://" not in target[:16]:
        return b"", path
    return target.split(b"/", 3)[2], b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"


def _session(cookie: bytes, authorization: bytes) -> int:
    value = authorization
    for pair in _SEPARATOR.split(cookie):
        name, equals, said = pair.partition(b"=")
        if equals and _TELLS_USER.search(name):
            value = said
            break
    value = value.strip()
    return xxhash.xxh3_64_intdigest(value) if value else 0
