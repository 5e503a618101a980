"""What a stream carries, told from its first bytes: on any port, and in either direction."""

from __future__ import annotations

import re

from .http1.head import METHODS

NOT_YET = ""
REQUEST = "request"
RESPONSE = "response"
TLS = "not HTTP: TLS"
HTTP2 = "not HTTP/1: HTTP/2"
OTHER = "not HTTP"

_LINE = re.compile(rb"(?:\r?\n)*[^\s]++[ \t]++[^\r\n]*HTTP/\d[^\r\n]*\r?\n")
_METHOD = re.compile(
    rb"(?:\r?\n)*(?:" + b"|".join(re.escape(m) for m in sorted(METHODS)) + rb")[ \t]+"
    rb"(?:[/*]|https?:|[\w.\-\[\]:]+:\d+[ \t])"
)
_OTHERS = re.compile(rb"[^\r\n]*[ \t](?:SIP|RTSP|ICAP)/\d|[^\r\n ]+ (?:sips?|rtspu?|icap):")
_PREFACE = b"PRI * HTTP/2.0\r\n"


def recognise(data: bytes) -> str:
    """What `data`, the first bytes of one direction, begin."""
    if data.startswith(_PREFACE):
        return HTTP2
    if data[:2] == b"\x16\x03":
        return TLS
    if data[:7] in (b"HTTP/1.", b"HTTP/0.", b"http/1."):
        return RESPONSE
    if _OTHERS.match(data):
        return OTHER
    if _METHOD.match(data) or _LINE.match(data):
        return REQUEST
    return NOT_YET
