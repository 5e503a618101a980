"""Keyed bytes spelt in the classes of a text: a letter for a letter, a digit for a digit.

The draws of all positions are mapped to each class at once by a table, and a mask made from the
text picks, position by position, the class that stands there: long integers do in a few steps what
a loop would do a character at a time, for texts of any length in linear time.
"""

from __future__ import annotations

_LOWER = range(97, 123)
_UPPER = range(65, 91)
_DIGIT = range(48, 58)
HEX = b"0123456789abcdefABCDEF"


def _spelling(first: int, letters: int) -> bytes:
    return bytes(first + draw % letters for draw in range(256))


def _mask(members: range) -> bytes:
    return bytes(255 if byte in members else 0 for byte in range(256))


_TO_LOWER, _TO_UPPER, _TO_DIGIT = _spelling(97, 26), _spelling(65, 26), _spelling(48, 10)
_TO_LOWER_HEX, _TO_UPPER_HEX = _spelling(97, 6), _spelling(65, 6)
_IS_LOWER, _IS_UPPER, _IS_DIGIT = _mask(_LOWER), _mask(_UPPER), _mask(_DIGIT)
_KEPT = bytes(0 if byte in HEX or (chr(byte).isascii() and chr(byte).isalnum()) else byte
              for byte in range(256))  # fmt: skip


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
    to_lower, to_upper = (_TO_LOWER_HEX, _TO_UPPER_HEX) if hexadecimal else (_TO_LOWER, _TO_UPPER)
    out = number(draws.translate(_TO_DIGIT), "big") & number(text.translate(_IS_DIGIT), "big")
    out |= number(draws.translate(to_lower), "big") & number(text.translate(_IS_LOWER), "big")
    if not text.islower():
        out |= number(draws.translate(to_upper), "big") & number(text.translate(_IS_UPPER), "big")
    if not text.isalnum():
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
