"""Character sets of bodies in which ASCII does not read as ASCII.

EBCDIC permutes the bytes of Latin-1: such a body is read in that, byte for byte, and spelt back. A
character set that is none of ours may hide anything, unless the bytes read as UTF-8 all the same.
"""

from __future__ import annotations

import codecs
import functools
import re
from dataclasses import dataclass

_CHARSET = re.compile(rb'(?i);\s*charset\s*=\s*["\']?([^"\';\s]+)')
_BYTES = bytes(range(256))
_ASCII = _BYTES[:128]
_EBCDIC_XML = b"\x4c\x6f\xa7\x94"  # "<?xm", alike in all of EBCDIC


@dataclass(frozen=True)
class Table:
    """How the bytes of a character set read, and how they are spelt back."""

    reading: bytes
    spelling: bytes


def unread(data: bytes, kind: bytes) -> Table | bool:
    """The table by which a body reads; else whether it cannot be read at all."""
    if data.isascii():
        return False
    match = _CHARSET.search(kind)
    if match is None:
        return data.startswith(_EBCDIC_XML) and _table("cp037")
    how = _table(match[1].decode("latin-1"))
    return how and not _is_utf8(data) and how


@functools.lru_cache(256)
def _table(name: str) -> Table | bool:
    """The table of a permutation of Latin-1; else whether nothing is known of the name."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return True
    if codec.name.startswith(("utf-16", "utf-32", "utf-7")):
        return False  # the first two are told by their bytes
    try:
        if _ASCII.decode(name) == _ASCII.decode("ascii"):
            return False
        reading = _BYTES.decode(name).encode("latin-1")
    except (UnicodeError, LookupError):  # the latter also of what is no character set: `hex`
        return not codec.name.startswith(("iso2022", "hz"))  # ASCII but for their escapes
    if len(set(reading)) != 256:
        return True
    return Table(reading, bytes.maketrans(reading, _BYTES))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
