"""The mark of a pseudonym: a checksum that needs no key, so that it can be told from a secret.

The last characters of each run of 12 or more letters and digits (of a part with dashes, of all of
it) follow from the run's beginning. An audit recognises pseudonyms by it years after the key is
gone; what was not replaced carries it once in some hundred thousand times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from zlib import crc32

from ..octets import DIGITS, LOWER, UPPER
from .validators import digits_of

_RUN: Final = re.compile(rb"[A-Za-z0-9]{12,}")
_PART_OF: Final = re.compile(rb"[A-Za-z0-9+_-]{12,}")
LONG: Final = 12
"""Letters and digits from which on a text carries a mark."""
MARK: Final = 4
"""Characters of a run that are its mark."""


def _alphabets(hexadecimal: bool) -> list[bytes]:
    table = [bytes([byte]) for byte in range(256)]
    for byte in LOWER:
        table[byte] = b"abcdef" if hexadecimal else LOWER
    for byte in UPPER:
        table[byte] = b"ABCDEF" if hexadecimal else UPPER
    for byte in DIGITS:
        table[byte] = DIGITS
    return table


PLAIN: Final = _alphabets(False)
HEXED: Final = _alphabets(True)


def mark(text: bytes, alphabets: list[bytes]) -> bytes:
    """The text with the last characters of its runs set to a checksum of what precedes them."""
    if text.isalnum() and len(text) >= LONG:
        return text[:-MARK] + _checksum(crc32(text[:-MARK]), text[-MARK:], alphabets)
    if not _PART_OF.search(text):
        return text
    out = bytearray(text)
    for places in _runs(text):
        check = crc32(bytes([out[at] for at in places[:-MARK]]))
        ends = places[-MARK:]
        for at, byte in zip(
            ends, _checksum(check, bytes(out[at] for at in ends), alphabets), strict=True
        ):
            out[at] = byte
    return bytes(out)


def _checksum(check: int, like: bytes, alphabets: list[bytes]) -> bytes:
    out = bytearray(like)
    for at, byte in enumerate(like):
        letters = alphabets[byte]
        check, rest = divmod(check, len(letters))
        out[at] = letters[rest]
    return bytes(out)


def _runs(text: bytes) -> Iterator[Sequence[int]]:
    """Where the characters of each run stand: long runs, or else all of a part with dashes."""
    for part in _PART_OF.finditer(text):
        long = [range(*run.span()) for run in _RUN.finditer(text, *part.span())]
        if long:
            yield from long
            continue
        places = [at for at in range(*part.span()) if text[at] not in b"+_-"]
        if len(places) >= LONG:
            yield places


def is_marked(text: bytes) -> bool:
    """Whether every run in the text, and there is one, carries the mark of a pseudonym."""
    if next(_runs(text), None) is None:
        return False
    return mark(text, PLAIN) == text or mark(text, HEXED) == text


def is_marked_number(text: bytes) -> bool:
    """Whether a card or another long number carries the mark of a pseudonym."""
    digits = digits_of(text)
    if len(digits) < 7:
        return False
    card = digits[-5:-1] == b"%04d" % (crc32(digits[:-5]) % 10000)
    return card or digits[-3:] == b"%03d" % (crc32(digits[:-3]) % 1000)


def is_marked_iban(text: bytes) -> bool:
    """Whether an IBAN carries the mark, which is over all but its check digits."""
    packed = text.replace(b" ", b"").replace(b"-", b"").upper()
    return is_marked(packed[:2] + packed[4:])


def is_marked_ipv4(text: bytes) -> bool:
    """Whether a public address carries the mark: its last octet follows from the others."""
    parts = text.split(b".")
    return bool(private_octets(parts)) or parts[3] == octet(
        parts[3], crc32(b".".join(parts[:3])) & 0xFF
    )


def octet(like: bytes, draw: int) -> bytes:
    """An octet of an address, as wide as another."""
    low, high = ((1, 9), (10, 99), (100, 223))[len(like) - 1]
    return b"%d" % (low + draw % (high - low + 1))


def private_octets(parts: list[bytes]) -> int:
    """How many leading octets make the class of the address."""
    if parts[0] in (b"10", b"127"):
        return 1
    if parts[:2] in ([b"192", b"168"], [b"169", b"254"]):
        return 2
    return 2 if parts[0] == b"172" and 16 <= int(parts[1]) <= 31 else 0


def is_marked_mac(text: bytes | bytearray) -> bool:
    """Whether a hardware address is a locally administered one, as all pseudonyms are."""
    return text[1:2].lower() in (b"2", b"6", b"a", b"e") and text[2:3] in (b":", b"-")


def mark_ipv6(text: bytes) -> bytes:
    """The address with the last hexadecimal digits of it a checksum of those before."""
    places = [at for at, byte in enumerate(text) if byte not in b":."]
    if len(places) < 8:
        return text
    out = bytearray(text)
    check = crc32(bytes(text[at] for at in places[:-3]).lower())
    for at in places[-3:]:
        check, rest = divmod(check, 15)
        out[at] = b"123456789abcdef"[rest]
    return bytes(out)


def is_marked_ipv6(text: bytes) -> bool:
    """Whether an address ends in its checksum; one too short for it says nothing of a person."""
    return mark_ipv6(text).lower() == text.lower()
