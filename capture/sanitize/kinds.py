"""Which kind of thing a whole value is, by its form: what kind of pseudonym it gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..octets import AT, DIGITS
from . import validators as is_

DATE: Final = re.compile(
    rb"(?P<day>(?P<first>\d{4})(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}"
    rb"|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)\d{4})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?)?"
)
_EMAIL: Final = re.compile(rb"[^@\s]+@[^@\s]+\.[A-Za-z]{2,24}")
_WHOLE: Final[tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], bool] | None], ...]] = (
    (re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "jwt", is_.is_jwt),
    (_EMAIL, "email", None),
    (re.compile(rb"\d(?:[ -]?\d){11,18}"), "card", is_.is_card),
    (re.compile(rb"[A-Za-z]{2}\d\d[A-Za-z0-9 -]{10,40}"), "iban", is_.is_iban),
    (re.compile(rb"\d{3}-\d\d-\d{4}"), "ssn", is_.is_ssn),
    (DATE, "date", None),
    (re.compile(rb"(?:\d{1,3}\.){3}\d{1,3}"), "ipv4", is_.is_ipv4),
    (re.compile(rb"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"), "hex", None),
    (re.compile(rb"(?=[0-9a-fA-F]*+:[0-9a-fA-F]*+:.)[0-9a-fA-F:]+"), "ipv6", is_.is_ipv6),
    (re.compile(rb"-?\d{1,3}\.\d{4,15}"), "degrees", None),
    (re.compile(rb"[+(\d][\d ().-]{5,18}\d"), "digits", None),
    (re.compile(rb"\d{7,}"), "digits", None),
    (re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?<!^\d)"), "number", None),
)
_ORDER: Final = {f"k{at}": at for at in range(len(_WHOLE))}
_ANY: Final = re.compile(
    b"|".join(b"(?P<k%d>%s)" % (at, each[0].pattern) for at, each in enumerate(_WHOLE))
)


def _of_digits(text: bytes) -> str:
    size = len(text)
    if size < 7:
        return "number" if size > 1 else "text"
    return "card" if 12 <= size <= 19 and is_.is_card(text) else "digits"


def kind_of(text: bytes) -> str:
    """Which kind of thing a whole value is; `text` where it is none in particular."""
    if AT in text:
        return "email" if _EMAIL.fullmatch(text) else "text"
    if text.isdigit():
        return _of_digits(text)
    like_iban = text[:2].isalpha() and text[2:4].isdigit()
    if not like_iban and text.isalnum() and len(text.strip(DIGITS)) > 1:
        return "text"  # letters, and not the one of an exponent
    whole = _ANY.fullmatch(text)
    if whole is None:
        return "text"
    # The first kind whose form it has may refuse it; then those after that one are asked.
    first = _ORDER[whole.lastgroup or ""]
    for at in range(first, len(_WHOLE)):
        pattern, kind, valid = _WHOLE[at]
        if (at == first or pattern.fullmatch(text)) and (valid is None or valid(text)):
            return kind
    return "text"
