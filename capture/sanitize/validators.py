"""Checks that make a candidate certain: checksums, ranges, and what only looks like a secret.

Each takes the bytes a pattern matched and says whether they are the thing. A validator never
raises: whatever it is given, it answers yes or no.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import math
import re
from itertools import accumulate
from typing import Final

from ..octets import DIGITS, PRINTABLE
from .words import in_words

_NO_DIGITS: Final = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_CARD_PREFIX: Final = re.compile(
    rb"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|095|[5689])|6(?:011|[245]|0|304|390|759|76[1-3])"
    rb"|35(?:2[89]|[3-8])|1800|2131|5[06-9]|62|81|220[0-4]|8"
)
_CARD_LENGTHS: Final = {
    b"1": (15,), b"2": (15, 16), b"3": (14, 15, 16, 19), b"4": (13, 16, 19),
    b"5": tuple(range(12, 20)), b"6": tuple(range(12, 20)), b"8": (16, 17, 18, 19),
}  # fmt: skip
_SHORTEST_CARD: Final = 12
_IBAN_LENGTH: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip

_IN_DIGITS: Final = [
    str(int(chr(byte), 36)) if byte < 128 and chr(byte).isalnum() else "" for byte in range(256)
]


def digits_of(text: bytes) -> bytes:
    """The digits of a text, separators left out."""
    return text.translate(None, _NO_DIGITS)


def luhn_sum(digits: bytes) -> int:
    """The Luhn sum of a number, its last digit being the check digit."""
    singles = digits[-1::-2]
    return sum(singles) - 48 * len(singles) + sum(digits[-2::-2].translate(_DOUBLED))


def is_card(text: bytes) -> bool:
    """A payment card: a prefix that an issuer uses, a length it uses, and the Luhn check."""
    digits = digits_of(text)
    lengths = _CARD_LENGTHS.get(digits[:1])
    if lengths is None or len(digits) not in lengths or not _CARD_PREFIX.match(digits):
        return False
    return luhn_sum(digits) % 10 == 0


def iban_remainder(text: bytes) -> int:
    """The ISO 7064 remainder of an IBAN; 1 where its check digits are right."""
    body, begin = text[4:], "".join(map(_IN_DIGITS.__getitem__, text[:4]))
    spelt = body.decode() if body.isdigit() else "".join(map(_IN_DIGITS.__getitem__, body))
    return int(spelt + begin) % 97


def is_iban(text: bytes) -> bool:
    """An IBAN of a country that has them, of its length, with the mod-97 check."""
    packed = text.replace(b" ", b"").replace(b"-", b"")
    if not packed.isalnum() or not packed[2:4].isdigit():
        return False
    if _IBAN_LENGTH.get(packed[:2].decode().upper()) != len(packed):
        return False
    return iban_remainder(packed) == 1


def is_ssn(text: bytes) -> bool:
    """A United States social security number that can have been issued."""
    digits = digits_of(text)
    if digits[:3] in (b"000", b"666") or digits[3:5] == b"00" or digits[5:] == b"0000":
        return False
    # 9xx with these groups are taxpayer numbers (ITIN); other 9xx are nobody's.
    return digits[:1] != b"9" or 50 <= int(digits[3:5]) <= 99


def is_ipv4(text: bytes) -> bool:
    """A dotted address that can be a host's: not a version number, mask or loopback."""
    parts = text.split(b".")
    if any(int(part) > 255 or (len(part) > 1 and part[:1] == b"0") for part in parts):
        return False
    first = int(parts[0])
    return 0 < first < 224 and first != 127 and parts[1:] != [b"0", b"0", b"0"]


def is_ipv6(text: bytes) -> bool:
    """An IPv6 address, not the unspecified one or loopback."""
    try:
        address = ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return text.count(b":") >= 2 and len(text) > 5 and not address.is_loopback


_EXTENSION: Final = re.compile(rb"[xX#]")
_DECIMAL_OR_DATE: Final = re.compile(
    rb"\d+\.\d+|(?:1[89]|20)\d\d[-./ ][01]?\d[-./ ][0-3]?\d"
    rb"|[0-3]?\d[-./ ][01]?\d[-./ ](?:1[89]|20)\d\d"
)
_GROUPS: Final = re.compile(rb"\d+")


def is_phone(text: bytes) -> bool:
    """A telephone number as people write them, and neither a date, a version nor an amount."""
    extension = _EXTENSION.search(text)
    digits = digits_of(text[: extension.start()] if extension else text)
    if not 7 <= len(digits) <= 15 or digits.count(digits[:1]) == len(digits):
        return False
    if text[:1] == b"+" or text[:2] == b"00":
        return len(digits) >= 8
    if text.isdigit() and len(text) >= 9:  # the pattern asks for its form, or for "fax" after it
        return True
    if _DECIMAL_OR_DATE.fullmatch(text):
        return False
    groups = [len(group) for group in _GROUPS.findall(text)]
    return max(groups) <= 7 and groups[-1] >= 2 and groups.count(1) <= 1 and len(groups) > 1


def is_jwt(text: bytes) -> bool:
    """A JSON web token: its first part is a base64url JSON object."""
    try:
        head = text.split(b".", 1)[0]
        return isinstance(
            json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4))), dict
        )
    except (ValueError, binascii.Error):
        return False


def _entropy(text: bytes) -> float:
    """Shannon entropy of the bytes, bits a byte."""
    size = len(text)
    if not size:
        return 0.0
    counts = map(text.count, set(text))
    if size >= len(_N_LOG_N):
        return math.log2(size) - sum(n * math.log2(n) for n in counts) / size
    return math.log2(size) - sum(map(_N_LOG_N.__getitem__, counts)) / size


_N_LOG_N: Final = [0.0, *(n * math.log2(n) for n in range(1, 1024))]
_COMMON: Final = 0.7
"""Of the pairs of letters in a word; of random letters hardly any run has as many."""
_HEX: Final = b"0123456789abcdefABCDEF-"
_TO_PLAIN: Final = bytes.maketrans(b"-_", b"+/")


def is_token(text: bytes) -> bool:
    """A random-looking string: mixed classes, high entropy, and not made of words."""
    others = len(text.translate(None, DIGITS))
    if len(text) < 20 or not 0 < others < len(text) or text.lstrip(b"+-").isdigit():
        return False  # a number, or no digit in it
    if text.count(b"+") * 8 >= len(text):
        return False  # the words of a form; they are looked at again with spaces between them
    is_hex = not text.translate(None, _HEX)
    if _entropy(text) < (2.8 if is_hex else 3.4):
        return False
    if not is_hex and 2 * in_words(text, _COMMON) > len(text):
        return False
    return not _is_base64_text(text)


def _is_base64_text(text: bytes) -> bool:
    """Base64 of plain text: what stands in it is looked at, and itself is no secret."""
    body = text.rstrip(b"=").translate(_TO_PLAIN)
    try:
        plain = binascii.a2b_base64(body + b"=" * (-len(body) % 4), strict_mode=True)
    except (ValueError, binascii.Error):
        return False
    return len(plain) >= 12 and not plain.translate(None, PRINTABLE)


def cards_in(data: bytes) -> list[tuple[int, int]]:
    """Cards that stand between other groups of digits ("order 12 4… … … …")."""
    digits = digits_of(data)
    edges = list(accumulate(map(len, _GROUPS.findall(data)), initial=0))
    found = []
    for at, first in enumerate(edges):
        if edges[-1] - first < _SHORTEST_CARD:
            break
        for length in _CARD_LENGTHS.get(digits[first : first + 1], ()):
            last = first + length
            if last not in edges or not _CARD_PREFIX.match(digits, first):
                continue
            if luhn_sum(digits[first:last]) % 10 == 0:
                found.append((at, edges.index(last) - 1))
    if not found:
        return []
    spans = [match.span() for match in _GROUPS.finditer(data)]
    return [(spans[i][0], spans[j][1]) for i, j in found]
