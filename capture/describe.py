"""What a sanitized request says of itself: method, target, host, endpoint, session, key.

Read from sanitized bytes only, so nothing here can leak. The endpoint is the method and the path
with everything that looks like a value put as a placeholder; pseudonyms keep the class of what
they replace, so templates come out as they would have from the raw path.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import xxhash

from .exchange import Exchange, Kind

_CACHE = 1 << 16
_HEADERS = re.compile(
    rb"\n(host|cookie|authorization|content-type)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_SESSION_COOKIE = re.compile(
    rb"(?:^|[;,])[ \t]*[^=;,]*(?:sess|sid|token|auth|login|user|uid|identity)[^=;,]*=([^;,]*)",
    re.IGNORECASE,
)
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
_REMEMBERED_BLOCK = 4096  # bytes; longer blocks of header lines are read anew


class Description(NamedTuple):
    """The text columns of an exchange, its session before fallback (0: unknown) and its key."""

    method: str
    endpoint: str
    target: str
    host: str
    content_type: str
    session: int
    key: int


class _Fields(NamedTuple):
    """What a block of header lines says."""

    host: bytes
    host_text: str
    content_type: str
    session: int


class Describer:
    """Describes exchanges; remembers templates and cookies it has met (bounded)."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Fields] = {}
        self._endpoints: dict[tuple[bytes, bytes], str] = {}
        self._sessions: dict[tuple[bytes, bytes], int] = {}

    def describe(self, exchange: Exchange) -> Description:
        """What a sanitized exchange says of itself; empty strings where it says nothing."""
        if exchange.kind not in (Kind.HTTP1, Kind.MALFORMED):
            label = f"({exchange.kind.name.lower()})"
            return Description("", label, "", "", "", 0, 0)
        request = exchange.request
        method, target, end = _request_line(request)
        if not method:
            return Description("", f"({exchange.kind.name.lower()})", "", "", "", 0, 0)
        fields = self._read(request[end : exchange.head_bytes or len(request)])
        host = target.split(b"/", 3)[2] if b"://" in target[:16] else fields.host
        return Description(
            _text(method),
            self._endpoint(method, target),
            target.decode("utf-8", "backslashreplace"),
            fields.host_text if host is fields.host else _text(host.strip().lower()),
            fields.content_type,
            fields.session,
            xxhash.xxh3_64_intdigest(b"\0".join((method, host, target))),
        )

    def _read(self, block: bytes) -> _Fields:
        """What the header lines say; clients repeat them to the byte, so they are remembered."""
        known = self._blocks.get(block)
        if known is not None:
            return known
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
        fields = _Fields(
            host,
            _text(host.strip().lower()),
            _text(content_type.split(b";", 1)[0].strip().lower()) if content_type else "",
            self._session(cookie, authorization),
        )
        if len(block) <= _REMEMBERED_BLOCK:
            if len(self._blocks) >= _CACHE // 8:
                self._blocks.clear()
            self._blocks[block] = fields
        return fields

    def _endpoint(self, method: bytes, target: bytes) -> str:
        path = target.split(b"?", 1)[0]
        if b"://" in path[:16]:
            path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
        endpoint = self._endpoints.get((method, path))
        if endpoint is None:
            if len(self._endpoints) >= _CACHE:
                self._endpoints.clear()
            endpoint = f"{_text(method)} {template(_text(path))}"
            self._endpoints[method, path] = endpoint
        return endpoint

    def _session(self, cookie: bytes, authorization: bytes) -> int:
        said = (cookie, authorization)
        session = self._sessions.get(said)
        if session is None:
            if len(self._sessions) >= _CACHE:
                self._sessions.clear()
            match = _SESSION_COOKIE.search(cookie)
            value = (match[1] if match else authorization).strip()
            session = self._sessions[said] = xxhash.xxh3_64_intdigest(value) if value else 0
        return session


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
