"""Keyed bytes spelt in the classes of a text: a letter for a letter, a digit for a digit.

The draws of all positions are mapped to each class at once by a table, and a mask made from the
text picks, position by position, the class that stands there: long integers do in a few steps what
a loop would do a character at a time, for texts of any length in linear time.
"""

from __future__ import annotations

import re
from typing import Final

from ..octets import DIGITS, LOWER, UPPER

HEX: Final = b"0123456789abcdefABCDEF"


def _spelling(first: int, letters: int) -> bytes:
    return bytes(first + draw % letters for draw in range(256))


def _mask(members: bytes, value: int = 255) -> bytes:
    return bytes(value if byte in members else 0 for byte in range(256))


_TO_LOWER: Final = _spelling(97, 26)
_TO_UPPER: Final = _spelling(65, 26)
_TO_DIGIT: Final = _spelling(48, 10)
_TO_UPPER_HEX: Final = _spelling(65, 6)
_IS_LETTER: Final = _mask(LOWER + UPPER)
_CASE: Final = _mask(LOWER, 32)
_IS_DRAWN: Final = _mask(LOWER + UPPER + DIGITS)
_KEPT: Final = bytes(0 if byte in LOWER + UPPER + DIGITS else byte for byte in range(256))


def digits(draws: bytes) -> bytes:
    """Keyed bytes as decimal digits."""
    return draws.translate(_TO_DIGIT)


def spelt(text: bytes, draws: bytes, hexadecimal: bool = False) -> bytes:
    """The draws (as many as the text has bytes, or more) in the classes of the text."""
    size = len(text)
    draws = draws[:size]
    if not hexadecimal and text.isalpha():
        if text.islower():
            return draws.translate(_TO_LOWER)
        if text.isupper():
            return draws.translate(_TO_UPPER)
    number = int.from_bytes
    upper = number(draws.translate(_TO_UPPER_HEX if hexadecimal else _TO_UPPER), "big")
    digit = number(draws.translate(_TO_DIGIT), "big")
    # Where a letter stands, the letter; elsewhere the digit; and the bit that makes it lower case.
    out = digit ^ ((digit ^ upper) & number(text.translate(_IS_LETTER), "big"))
    out |= number(text.translate(_CASE), "big")
    if not text.isalnum():
        out &= number(text.translate(_IS_DRAWN), "big")
        out |= number(text.translate(_KEPT), "big")
    return out.to_bytes(size, "big")


def widened(text: bytes, spelling: bytes, draws: bytes) -> bytes:
    """The spelling with what is beyond ASCII drawn, too.

    The last byte of each UTF-8 sequence moves within its block of 64, so that the text stays UTF-8
    and a letter most often stays a letter of its script.
    """
    out = bytearray(spelling)
    last = len(text) - 1
    for at, byte in enumerate(text):
        if byte < 0x80 or (at < last and 0x80 <= text[at + 1] < 0xC0):
            continue
        draw = draws[at]
        if byte >= 0xC0:
            out[at] = 0xE0 | (draw & 0x1F)
        elif at and text[at - 1] == 0xC2:
            out[at] = 0xA0 | (draw & 0x1F)
        else:
            out[at] = 0x80 | (draw & 0x3F)
    return bytes(out)


_WORD: Final = re.compile(rb"[A-Za-z0-9]+")
_NEXT: Final = bytes.maketrans(
    LOWER + UPPER + DIGITS, b"b" + LOWER[2:6] + b"a" + LOWER[7:] + b"g"
    + b"B" + UPPER[2:6] + b"A" + UPPER[7:] + b"G" + DIGITS[1:] + b"1",
)  # fmt: skip


def moved(text: bytes, spelling: bytes) -> bytes:
    """The spelling, in which no word is by chance the word that stood there.

    Hexadecimal letters move to hexadecimal ones. A word long enough to carry a mark never is.
    """
    words = _WORD.findall(text)
    if not any(map(bytes.__eq__, words, _WORD.findall(spelling))):
        return spelling
    out = bytearray(spelling)
    for word in _WORD.finditer(text):
        start, end = word.span()
        if spelling[start:end] == word[0]:
            out[end - 1 : end] = out[end - 1 : end].translate(_NEXT)
    return bytes(out)
