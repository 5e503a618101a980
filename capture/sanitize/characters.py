"""The characters of a pseudonym: keyed bytes spelt in the classes of a text, its mark in the end.

letters.pyx is the same in C, where it could be compiled.
"""

from __future__ import annotations

import re
from typing import Final

from .marks import HEXED, LONG, PLAIN, mark
from .spelling import HEX, moved, spelt, widened

_HEX: Final = re.compile(rb"(?=[^0-9]*[0-9])(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?:-[0-9a-fA-F]{4,12})*")
_HEX_OR_DASH: Final = HEX + b"-"


def characters(text: bytes, draws: bytes) -> bytes:
    """The draws (as many as the text has bytes, or more) as a pseudonym of the text.

    Letters stay letters of their case, digits digits, hexadecimal digits (as of a UUID) those; no
    word of a few stays as it was.
    """
    size = len(text)
    hexadecimal = (
        size >= 8 and not text.translate(None, _HEX_OR_DASH) and bool(_HEX.fullmatch(text))
    )
    done = spelt(text, draws, hexadecimal)
    if not text.isascii():
        done = widened(text, done, draws)
    if not text.isalnum():
        done = moved(text, done)
    return mark(done, HEXED if hexadecimal else PLAIN) if size >= LONG else done
