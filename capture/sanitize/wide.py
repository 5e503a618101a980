"""Bodies in UTF-16 and UTF-32, read as UTF-8 while they are sanitized, and spelt back."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
# Where the zero bytes of two ASCII characters stand (RFC 4627, section 3).
_ZEROS = (
    (re.compile(rb"[^\0]\0\0\0[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]"), "utf-16-be"),
)


def narrowed(data: bytes) -> tuple[bytes, bytes, str] | None:
    """The byte order mark, the text in UTF-8 and the encoding; None where there is no such text."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _read(data, bom, encoding)
    for zeros, encoding in _ZEROS:
        if zeros.match(data):
            return _read(data, b"", encoding)
    return None


def _read(data: bytes, bom: bytes, encoding: str) -> tuple[bytes, bytes, str] | None:
    try:
        text = data[len(bom) :].decode(encoding)
    except UnicodeDecodeError:
        return None
    # A zero in it is a sign of binary data that only begins like a text.
    return None if "\0" in text else (bom, text.encode(), encoding)


def widened(bom: bytes, text: bytes, encoding: str) -> bytes:
    """The text, which is in UTF-8, in another encoding behind its byte order mark."""
    return bom + text.decode("utf-8", "replace").encode(encoding)
