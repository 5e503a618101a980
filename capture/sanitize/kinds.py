"""Which kind of thing a whole value is, by its form: what kind of pseudonym it gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..octets import DIGITS
from . import validators as is_

DATE: Final = re.compile(
    rb"(?P<day>(?P<first>\d{4})(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}"
    rb"|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)\d{4})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?)?"
)

_WHOLE: Final[tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], bool] | None], ...]] = (
    (re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "jwt", is_.is_jwt),
    (re.compile(rb"[^@\s]+@[^@\s]+\.[A-Za-z]{2,24}"), "email", None),
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


def kind_of(text: bytes) -> str:
    """Which kind of thing a whole value is; `text` where it is none in particular."""
    if text.isalnum() and len(text.strip(DIGITS)) > 1 and not text[2:4].isdigit():
        return "text"  # letters, and neither those of an IBAN nor the one of an exponent
    whole = _ANY.fullmatch(text)
    if whole is None:
        return "text"
    # The first kind whose form it has may refuse it; then those after that one are asked.
    for pattern, kind, valid in _WHOLE[_ORDER[whole.lastgroup or ""] :]:
        if pattern.fullmatch(text) and (valid is None or valid(text)):
            return kind
    return "text"
