"""Single bytes, as numbers; and classes of them, as bytes.

`NEWLINE in data` is one memchr. For `b"\\n" in data` Python first tries to take the bytes for a
number, and throws away the error that it made: ten times as long for the lines of a head.
"""

from __future__ import annotations

from typing import Final

NUL: Final = 0x00
NEWLINE: Final = 0x0A
RETURN: Final = 0x0D
SPACE: Final = 0x20
QUOTE: Final = 0x22
HASH: Final = 0x23
PERCENT: Final = 0x25
AMPERSAND: Final = 0x26
PLUS: Final = 0x2B
SEMICOLON: Final = 0x3B
EQUALS: Final = 0x3D
AT: Final = 0x40
BACKSLASH: Final = 0x5C

DIGITS: Final = b"0123456789"
LOWER: Final = b"abcdefghijklmnopqrstuvwxyz"
UPPER: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRINTABLE: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"
