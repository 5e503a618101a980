"""Heads of HTTP/1 messages: what they say about framing, and how they deviate from RFC 9112.

Header lines stay bytes; only those that decide where a message ends are read. Clients and servers
repeat their heads to the byte, so what a block of header lines says is remembered by its bytes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from ..defects import Defect
from ..octets import NUL, RETURN

HEAD_LIMIT: Final = 1 << 18
"""A larger head is none."""
HEAD_STEP: Final = 1 << 12
"""So much is taken at a time of what may be a head: what follows one is not copied with it."""
EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
"""With the end of the line before it."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH ACL BASELINE-CONTROL BIND CHECKIN "
    b"CHECKOUT COPY LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE "
    b"MOVE ORDERPATCH PROPFIND PROPPATCH PURGE QUERY REBIND REPORT SEARCH SOURCE UNBIND UNCHECKOUT "
    b"UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL SUBSCRIBE UNSUBSCRIBE NOTIFY POLL "
    b"BCOPY BDELETE BMOVE BPROPFIND BPROPPATCH M-SEARCH RPC_IN_DATA RPC_OUT_DATA "
    b"RPC_CONNECT RDG_IN_DATA RDG_OUT_DATA CCM_POST".split()
)
CONTENTLESS: Final = (b"GET ", b"HEAD ", b"CONNECT ", b"TRACE ")
"""How requests begin whose content has no meaning (RFC 9110, sections 9.3.1, .2, .6 and .8)."""
LINE: Final = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([01])\r\n")
_TARGET: Final = re.compile(
    rb"/[!-~]*"
    rb"|[A-Za-z][A-Za-z0-9+.\-]*://"
    rb"[!-.0-Z\\^-~]*(?:\[[!-Z^-~]+\][!-.0-Z\\^-~]*)?(?:/[!-~]*)?"
)
_ASTERISK_METHODS: Final = (b"OPTIONS", b"M-SEARCH", b"NOTIFY")
_HIGH: Final = bytes(range(0x80, 0x100))
_LOOKALIKE: Final = re.compile(rb"(?:content[-_]+length|transfer[-_]+encoding)")
_AUTHORITY: Final = re.compile(rb"(?:[!-.0-9;-~]+|\[[!-~]+\]):[0-9]+")
GLANCE: Final = re.compile(rb"(" + TOKEN + rb") /[!-~]* HTTP/1\.[01]\r\n")
LOOSE_LINE: Final = re.compile(
    rb"([^\s]++)[ \t]++([^\r\n]*?)[ \t]{0,64}(?:[ \t](HTTP/[^\s]*)[ \t]{0,64})?(\r?\n)"
)
HTTP09_LINE: Final = re.compile(rb"GET[ \t]+(?:/|https?://)[^\s]*[ \t]*\r?\n")
STATUS_LINE: Final = re.compile(rb"HTTP/(\d)\.(\d)[ \t]+(\d{3})(?!\d)[^\n]*\n", re.I)
_PLAIN: Final = re.compile(rb"(?:" + TOKEN + rb":[^\x00-\x08\n-\x1f\x7f]*\r\n)*\r\n")
_TELLING: Final = re.compile(
    rb"(?:^|\n)(?:[cC][oO][nN][tT][eE][nN][tT][-_]+(?:[lL]|[tT][yY])|[tT][rR][aA][nN][sS][fF]|[uU][pP][gG][rR]"
    rb"|[pP][rR][oO][xX][yY]-[cC]|[eE][xX][pP][eE][cC][tT]|[hH][oO][sS][tT]|[cC][oO][nN][nN][eE][cC][tT])"
)
_DIGITS: Final = re.compile(rb"0*[0-9]{1,18}").fullmatch


class RequestLine(NamedTuple):
    """The first line of a request. `version` is 9, 10 or 11."""

    method: bytes
    target: bytes
    version: int
    defects: int


class Fields(NamedTuple):
    """What a block of header lines says about the message it belongs to."""

    length: int  # of Content-Length; -1 where there is none
    chunked: bool
    coded: bool  # there is a Transfer-Encoding
    upgrade: bytes  # value of Upgrade in lower case; b"" where the connection is not to switch
    expect: bool  # Expect: 100-continue
    hosts: int
    persists: bool | None  # what Connection says of it: "keep-alive", "close", or nothing
    defects: int

    def last(self, version: int) -> bool:
        """Whether its sender ends the connection with this message (RFC 9112, section 9.3)."""
        return self.persists is False or (version < 11 and not self.persists)


_NOTHING_SAID: Final = Fields(-1, False, False, b"", False, 0, None, 0)


class Heads:
    """Reads blocks of header lines, remembering what the latest few thousand said."""

    __slots__ = ("_blocks", "responses")

    def __init__(self) -> None:
        self._blocks: dict[bytes, Fields] = {}
        self.responses: dict[bytes, ResponseHead] = {}

    def fields(self, block: bytes) -> Fields:
        """What the header lines in `block`, up to and including the empty line, say."""
        known = self._blocks.get(block)
        if known is None:
            if len(self._blocks) >= 4096:
                self._blocks.clear()
            known = self._blocks[block] = read_fields(block)
        return known

    def response(self, head: bytes) -> ResponseHead:
        """What the head of a response says."""
        known = self.responses.get(head)
        if known is None:
            if len(self.responses) >= 4096:
                self.responses.clear()
            known = self.responses[head] = _read_response(head)
        return known


class ResponseHead(NamedTuple):
    """What the head of a response says. `length` is -1 where its end is that of the stream."""

    status: int  # 0 where the head cannot be read
    length: int
    chunked: bool
    upgrade: bytes
    malformed: bool
    plain: bool  # nothing in it needed tolerance
    text: bytes  # itself: kept once where many answers have it


def read_line(line: bytes) -> RequestLine:
    """Read a request line, with its line end, as tolerantly as servers do."""
    exact = LINE.fullmatch(line)
    if exact:
        method, target, minor = exact.groups()
        wrong = _method(method) | _form(method, target)
        return RequestLine(method, target, 11 if minor == b"1" else 10, int(wrong))
    loose = LOOSE_LINE.fullmatch(line)
    if not loose:
        return RequestLine(b"", b"", 11, int(_unreadable(line)))
    method, target, version, end = loose.groups()
    defects = Defect.BARE_LF if end == b"\n" else Defect.NONE
    defects |= _method(method) if re.fullmatch(TOKEN, method) else Defect.BAD_METHOD
    if version is None:
        if not HTTP09_LINE.fullmatch(line):
            return RequestLine(method, target, 9, int(_unreadable(line)))
        return RequestLine(method, target, 9, int(defects | Defect.HTTP09))
    if NUL in line:
        defects |= Defect.NUL_OR_CR
    if not target:
        defects |= Defect.BAD_REQUEST_LINE
    if line != b"%b %b %b%b" % (method, target, version, end) or re.search(rb"\s", target):
        defects |= Defect.SPACING
    defects |= _form(method, target)
    number = {b"HTTP/1.1": 11, b"HTTP/1.0": 10}.get(version, 0)
    if not number:
        defects |= Defect.BAD_VERSION
        if not re.fullmatch(rb"(?i:HTTP)/\d\.\d", version):
            defects |= Defect.BAD_REQUEST_LINE
    return RequestLine(method, target, number or 11, int(defects))


def _method(method: bytes) -> Defect:
    """What is wrong with a method that is a token: RFC 9110, section 9.1."""
    if method in METHODS:
        return Defect.NONE
    return Defect.UNKNOWN_METHOD if method == method.upper() else Defect.METHOD_CASE


def _form(method: bytes, target: bytes) -> Defect:
    """Whether a target is of a form that its method may have."""
    ascii = target.translate(None, _HIGH)
    high = Defect.TARGET_8BIT if len(ascii) < len(target) else Defect.NONE
    if method == b"CONNECT":
        fits = bool(_AUTHORITY.fullmatch(ascii))
    elif ascii == b"*":
        fits = method in _ASTERISK_METHODS
    else:
        fits = bool(_TARGET.fullmatch(ascii))
    return high if fits else high | Defect.BAD_TARGET


def _unreadable(line: bytes) -> Defect:
    """A line that is no request line: a spoilt one, or one that was never meant to be one."""
    meant = b"HTTP/" in line or (line.split() or [b""])[0] in METHODS
    return Defect.BAD_REQUEST_LINE if meant else Defect.GARBAGE


def read_fields(block: bytes) -> Fields:
    """Read a block of header lines, its empty line included."""
    if _PLAIN.fullmatch(block):
        if not _TELLING.search(block):
            return _NOTHING_SAID
        return _weigh([_split(line) for line in block[:-4].split(b"\r\n")], 0)
    lines, defects = _lines(block)
    return _weigh([_split(line) for line in lines], defects)


def _read_response(head: bytes) -> ResponseHead:
    """Read the head of a response: its status line and header lines."""
    line = STATUS_LINE.match(head)
    if not line:
        return ResponseHead(0, -1, False, b"", True, False, head)
    status = int(line[3])
    fields = read_fields(head[line.end() :])
    bad = Defect.LENGTH_CONFLICT | Defect.LENGTH_INVALID
    malformed = bool(fields.defects & bad)
    length = -1 if fields.coded or malformed else fields.length
    plain = not fields.defects and line[0].endswith(b"\r\n") and line[0].startswith(b"HTTP/1.")
    if status < 200 or status in (204, 304):
        return ResponseHead(status, 0, False, fields.upgrade, malformed, plain, head)
    return ResponseHead(status, length, fields.chunked, fields.upgrade, malformed, plain, head)


def _lines(block: bytes) -> tuple[list[bytes], int]:
    """The header lines with folds joined, and what is wrong with their ends and bytes."""
    defects = 0
    lines: list[bytes] = []
    for raw in block.split(b"\n")[:-1]:
        line = raw[:-1] if raw.endswith(b"\r") else raw
        if line is raw:
            defects |= Defect.BARE_LF
        if NUL in line or RETURN in line:
            defects |= Defect.NUL_OR_CR
        if re.search(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]", line):
            defects |= Defect.BAD_HEADER_VALUE
        if line[:1] in (b" ", b"\t"):
            defects |= Defect.OBS_FOLD
            if _resembles(line.partition(b":")[0]):
                defects |= Defect.LOOKALIKE
            if lines:
                lines[-1] += b" " + line.strip()
                continue
        if line:
            lines.append(line)
    return lines, int(defects)


def _split(line: bytes) -> tuple[bytes, bytes, int]:
    """Name in lower case, value, and the defects of one header line."""
    name, colon, value = line.partition(b":")
    if not colon:
        return (b"", b"", int(Defect.NO_COLON)) if line else (b"", b"", 0)
    defects = 0
    bare = name.strip(b" \t")
    if bare != name:
        defects |= Defect.SPACE_BEFORE_COLON
    if not re.fullmatch(TOKEN, bare):
        defects |= Defect.BAD_HEADER_NAME
    if defects and _resembles(name):
        defects |= Defect.LOOKALIKE
    return bare.lower(), value.strip(b" \t"), int(defects)


def _resembles(name: bytes) -> bool:
    """Whether a name that is spelt wrong is one that frames, to a reader who overlooks that."""
    text = unicodedata.normalize("NFKC", name.decode("utf-8", "replace")).casefold()
    letters = re.sub("[^a-z]", "", text.replace("\N{LATIN SMALL LETTER DOTLESS I}", "i"))
    return letters in ("contentlength", "transferencoding")


def _weigh(headers: list[tuple[bytes, bytes, int]], defects: int) -> Fields:
    """Put together what the headers say."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    hosts, types, expect, upgrade = 0, 0, False, b""
    options: set[bytes] = set()
    for name, value, wrong in headers:
        defects |= wrong
        if name == b"content-length":
            lengths.extend(part.strip(b" \t") for part in value.split(b","))
        elif name == b"transfer-encoding":
            codings.extend(part.strip(b" \t").lower() for part in value.split(b","))
        elif name == b"host":
            hosts += 1
        elif name in (b"connection", b"proxy-connection"):
            options.update(part.strip(b" \t").lower() for part in value.split(b","))
        elif name == b"upgrade":
            upgrade = value.lower()
        elif name == b"content-type":
            types += 1
        elif _LOOKALIKE.fullmatch(name):
            defects |= Defect.LOOKALIKE
        elif name == b"expect":
            expect = expect or value.lower() == b"100-continue"
    if hosts > 1:
        defects |= Defect.HOST_REPEATED
    if types > 1:
        defects |= Defect.TYPE_REPEATED
    length, wrong = _length(lengths)
    defects |= wrong
    chunked = codings[-1:] == [b"chunked"]
    if codings and (not chunked or codings.count(b"chunked") > 1):
        defects |= Defect.CODING_INVALID
    if codings and lengths:
        defects |= Defect.LENGTH_AND_CODING
    persists = False if b"close" in options else b"keep-alive" in options or None
    switch = upgrade if b"upgrade" in options else b""
    return Fields(length, chunked, bool(codings), switch, expect, hosts, persists, defects)


def _length(values: list[bytes]) -> tuple[int, int]:
    """The length that all Content-Length values agree on, and what is wrong with them."""
    if not values:
        return -1, 0
    if any(not _DIGITS(value) for value in values):
        return -1, int(Defect.LENGTH_INVALID)
    # Zeros are taken off first: Python refuses to read very long numbers.
    numbers = {int(value.lstrip(b"0") or b"0") for value in values}
    if len(numbers) > 1:
        return -1, int(Defect.LENGTH_CONFLICT)
    return numbers.pop(), int(Defect.LENGTH_REPEATED) if len(values) > 1 else 0
