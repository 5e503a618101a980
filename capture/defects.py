"""The ways in which a request deviates from RFC 9112: one bit each, many bits a request.

A deviation is `fatal` where no two parsers need agree on where the request ends: such a request
is kept as kind `malformed`. docs/malformed.md says what each class looks like and how such a
request is framed here.
"""

from __future__ import annotations

from enum import IntFlag


class Defect(IntFlag):
    """Bits of the `defects` column (uint64). Stored in tapes: never move one."""

    NONE = 0
    BARE_LF = 1 << 0  # a line of the head ends in LF without CR
    OBS_FOLD = 1 << 1  # a header continues on the next line
    LEADING_BLANK_LINES = 1 << 2  # empty lines stand before the request line
    HTTP09 = 1 << 3  # a request line without a version, and no headers
    BAD_REQUEST_LINE = 1 << 4  # the first line is no request line
    BAD_VERSION = 1 << 5  # a version other than HTTP/1.0 and HTTP/1.1
    SPACING = 1 << 6  # more or other white space in the request line than single spaces
    BAD_TARGET = 1 << 7  # a target of the wrong form, or with bytes that none may hold
    UNKNOWN_METHOD = 1 << 8  # a method that no registry lists
    BAD_METHOD = 1 << 9  # a method that is no token
    NO_COLON = 1 << 10  # a header line without a colon
    SPACE_BEFORE_COLON = 1 << 11  # white space between a header's name and its colon
    BAD_HEADER_NAME = 1 << 12  # a header name that is no token
    BAD_HEADER_VALUE = 1 << 13  # a control byte other than NUL and CR in a header
    HOST_MISSING = 1 << 14  # HTTP/1.1 without Host
    HOST_REPEATED = 1 << 15  # several Host headers
    LENGTH_REPEATED = 1 << 16  # several equal Content-Length values
    LENGTH_CONFLICT = 1 << 17  # several different Content-Length values
    LENGTH_INVALID = 1 << 18  # a Content-Length that is no number
    LENGTH_AND_CODING = 1 << 19  # Content-Length and Transfer-Encoding together
    CODING_INVALID = 1 << 20  # a Transfer-Encoding that does not end in one plain `chunked`
    CODING_OLD = 1 << 21  # Transfer-Encoding in a request older than HTTP/1.1
    CHUNK_INVALID = 1 << 22  # a chunk whose size line or end cannot be read
    CHUNK_BARE_LF = 1 << 23  # a line of the chunked coding ends in LF without CR
    HEAD_TOO_LARGE = 1 << 24  # a head larger than the limit
    GAP_IN_HEAD = 1 << 25  # packets are missing within the head
    CUT = 1 << 26  # the stream ended before the request did, or the client left its body unsent
    GARBAGE = 1 << 27  # bytes before or between requests that begin none
    CHUNK_SPACING = 1 << 28  # white space after the size of a chunk, where no extension follows
    TRAILER_FORBIDDEN = 1 << 29  # a trailer that frames or routes: Content-Length, Host, …
    LOOKALIKE = 1 << 30  # a line that only some take for Content-Length or Transfer-Encoding
    TARGET_8BIT = 1 << 31  # bytes above ASCII in the target
    TYPE_REPEATED = 1 << 32  # several Content-Type headers
    AFTER_CLOSE = 1 << 33  # a request behind one that said it was the connection's last
    CHUNK_EXTENSION = 1 << 34  # an extension of a chunk that is not spelt right
    CONTENT_UNEXPECTED = 1 << 35  # content in a request whose method gives it no meaning
    NUL_OR_CR = 1 << 36  # NUL, or CR without LF, in a line of the head or a trailer
    METHOD_CASE = 1 << 37  # a method with small letters


FATAL = (
    Defect.BAD_REQUEST_LINE
    | Defect.BAD_METHOD
    | Defect.LENGTH_CONFLICT
    | Defect.LENGTH_INVALID
    | Defect.CODING_INVALID
    | Defect.CHUNK_INVALID
    | Defect.HEAD_TOO_LARGE
    | Defect.GAP_IN_HEAD
    | Defect.GARBAGE
)
"""Any of these makes an exchange one of kind `malformed`."""

SEVERE = (
    Defect.BARE_LF
    | Defect.LENGTH_AND_CODING
    | Defect.CODING_OLD
    | Defect.CHUNK_BARE_LF
    | Defect.CHUNK_EXTENSION
    | Defect.LOOKALIKE
    | Defect.NUL_OR_CR
)
"""With any of these, two servers that accept a request may end it, or a header, elsewhere: what
one reads as content is a request to the other."""

HARMLESS = Defect.LEADING_BLANK_LINES | Defect.HTTP09 | Defect.HOST_MISSING | Defect.CUT
"""On where the request ends, and on what it asks for, all parsers agree in spite of these."""


def verdict(defects: int) -> str:
    """The worst tier of any of them: `valid`, `ambiguous`, `severe` or `fatal`."""
    if defects & FATAL:
        return "fatal"
    if defects & SEVERE:
        return "severe"
    return "ambiguous" if defects & ~HARMLESS else "valid"
