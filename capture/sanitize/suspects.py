"""The audit's own eyes: what looks like a secret in finished bytes and carries no pseudonym's mark.

Nothing of the sanitizer's detectors, walkers or views is used here: the patterns are those of
detect-secrets and others written apart, the decoding is the standard library's, and random strings
are told by their entropy. Shared are only the mark by which a pseudonym is known, and which letters
follow each other in words.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .marks import (
    is_marked,
    is_marked_iban,
    is_marked_ipv4,
    is_marked_ipv6,
    is_marked_mac,
    is_marked_number,
)  # fmt: skip
from .words import in_words

DEPTH = 2
"""How many spellings, one in the other, are undone."""


class Suspect(NamedTuple):
    """What looks like a secret: its kind, the name before it, and how long it is."""

    kind: str
    name: str
    size: int


Judge = Callable[[str], bool]
"""Whether a match is a secret; False for a pseudonym and for what only looks alike."""


def _luhn(number: str) -> bool:
    odd, even = number[::-1][::2], number[::-1][1::2]
    return (sum(map(int, odd)) + sum(sum(divmod(2 * int(d), 10)) for d in even)) % 10 == 0


_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|6\d|8\d)\d{11}"
    r"|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}"
)


def _card(text: str) -> bool:
    number = re.sub(r"\D", "", text)
    return bool(_ISSUED.fullmatch(number)) and _luhn(number) and not is_marked_number(_b(number))


def _iban(text: str) -> bool:
    packed = re.sub(r"[ -]", "", text).upper()
    if not 15 <= len(packed) <= 34:
        return False
    digits = "".join(str(int(each, 36)) for each in packed[4:] + packed[:4])
    return int(digits) % 97 == 1 and not is_marked_iban(_b(packed))


def _ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    never = area in ("000", "666") or group == "00" or serial == "0000"
    pseudonym = area[0] == "9" and int(group) < 50
    return not never and not pseudonym


def _ip(text: str) -> bool:
    parts = text.split(".")
    if any(int(part) > 255 or part != str(int(part)) for part in parts):
        return False
    host = 0 < int(parts[0]) < 224 and parts[0] != "127" and parts[1:] != ["0"] * 3
    return host and not is_marked_ipv4(_b(text))


def _ipv6(text: str) -> bool:
    import ipaddress

    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return address.is_global and not is_marked_ipv6(_b(text))


def _mail(text: str) -> bool:
    if text.startswith("//"):  # a user and a password before a host
        return False
    return not text.lower().endswith((".test", ".zz", ".example", ".invalid", ".localhost"))


def _unmarked(text: str) -> bool:
    """Whether it is no pseudonym, nor one behind the prefix of a provider."""
    return not is_marked(_b(text)) and not is_marked(_b(_PREFIX.sub("", text, count=1)))


def _number(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 8 <= len(digits) <= 15 and not is_marked_number(_b(digits))


def _named(text: str) -> bool:
    """Whether a value under a telling name is a secret; an account may stand there, too."""
    if re.fullmatch(r"\d{17}[\dX]", text):  # a national number: these carry no mark
        return False
    marked = is_marked_number(_b(text)) if text.isdigit() else is_marked_iban(_b(text))
    return _unmarked(text) and not marked


def _jwt(text: str) -> bool:
    signature = text.rpartition(".")[2]
    return len(signature) >= 12 and not is_marked(_b(signature))


def _random(text: str) -> bool:
    """A long string of mixed characters whose entropy is that of chance."""
    if not re.search(r"\d", text) or text.isdigit():
        return False
    if 2 * in_words(_b(text), 0.6) > len(text):
        return False
    shares = [text.count(each) / len(text) for each in set(text)]
    bits = -sum(share * math.log2(share) for share in shares)
    least = 3.0 if re.fullmatch(r"[0-9A-Fa-f-]+", text) else 3.6
    return bits >= least and _plain_base64(text) is None and _unmarked(text)


_PATTERNS: tuple[tuple[str, re.Pattern[str], Judge], ...] = tuple(
    (kind, re.compile(pattern), judge)
    for kind, pattern, judge in (
        ("e-mail", r"//[^\s:/@]*:[^\s/@]*@"
         r"|[^\s@<>\"'(),;:=&/?\\|]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,24}\b", _mail),
        ("URL credentials", r"//[^\s:/@]*:([^\s/@:]{12,})@", _unmarked),
        ("card", r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])", _card),
        ("IBAN", r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", _iban),
        ("SSN", r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", _ssn),
        ("IP address", r"(?<![\d./])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", _ip),
        ("IPv6 address", r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,7}:?[0-9A-Fa-f:]{1,19}", _ipv6),
        ("MAC", r"\b[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}\b",
         lambda text: not is_marked_mac(_b(text))),
        ("phone", r"(?<![\w+])\+\d[\d ().-]{6,18}\d(?!\w)", _number),
        ("JWT", r"eyJ[\w-]+\.[\w-]+\.[\w-]+", _jwt),
        ("private key", r"PRIVATE KEY-----[^-]{20,}", lambda text: _unmarked(text[16:])),
        ("provider key", r"(?:AKIA|ASIA|AIza|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-"
         r"|[srp]k_(?:live|test)_|whsec_|ya29\.|(?<!\w)SG\.|(?<!\w)sk-)([\w-]{14,})", _unmarked),
        ("named secret", r"(?i)(?:passw(?:or)?d|secret|api_?key|access_?token|auth_?token)"
         r"[\"']?\s?[=:]\s?[\"']?(?!eyJ)([A-Za-z0-9+/_-]{16,128})", _named),
        ("random string", r"(?:(?<=%)[0-9A-Fa-f]{2}|(?<![\w+/%-]))"
         r"/?([A-Za-z0-9_+-]{24,256})(?![\w+-])(?!/\w{16})", _random),
    )
)  # fmt: skip


@functools.cache
def _borrowed() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The patterns of detect-secrets' detectors of keys."""
    from importlib import import_module

    from detect_secrets.plugins.base import RegexBasedDetector

    found: list[tuple[str, re.Pattern[str]]] = []
    for name in _PLUGINS:
        for each in vars(import_module(f"detect_secrets.plugins.{name}")).values():
            if isinstance(each, type) and issubclass(each, RegexBasedDetector):
                patterns: Any = each.__dict__.get("denylist", ())
                if not callable(patterns) and not isinstance(patterns, property):
                    found += ((str(each.secret_type), pattern) for pattern in patterns)
    return tuple(found)


_PLUGINS = (
    "artifactory", "azure_storage_key", "cloudant", "discord", "github_token", "gitlab_token",
    "ibm_cos_hmac", "mailchimp", "npm", "openai", "pypi_token", "sendgrid", "slack", "softlayer",
    "square_oauth", "stripe", "telegram_token", "twilio",
)  # fmt: skip
_PREFIX = re.compile(r"(?:[a-zA-Z]{2,12}[_-]){1,2}|AKIA|ASIA|AIza|AC|SK|SG\.|AccountKey=")


def suspects(data: bytes) -> Iterator[Suspect]:
    """What is suspect in bytes, in whatever spelling."""
    for view in views(data):
        text = view.decode("latin-1")
        for kind, pattern, judge in _PATTERNS:
            for match in pattern.finditer(text):
                whole = kind in ("MAC",) or not match.lastindex
                found = match[0] if whole else match[match.lastindex or 0]
                if judge(found):
                    yield Suspect(kind, _name(text, match.start()), len(found))
        for kind, pattern in _borrowed():
            for match in pattern.finditer(text):
                if _unmarked(match[0]) and len(match[0]) >= 20:
                    yield Suspect(kind, _name(text, match.start()), len(match[0]))


_NAMED = re.compile(r"([A-Za-z][\w.-]{0,40})[\"']?\s{0,2}[=:]\s{0,2}[\"']?[^=&\"'{}\n]*$")


def _name(text: str, at: int) -> str:
    match = _NAMED.search(text[max(0, at - 120) : at])
    return match[1] if match else ""


def views(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The data as it is, and as it reads in each spelling that it holds."""
    yield data
    if not depth:
        return
    seen = {data}
    for view in (*_respelt(data), *_runs(data)):
        if view not in seen:
            seen.add(view)
            yield from views(view, depth - 1)


_CONTROL = bytes(set(range(32)) - set(b"\0\t\r\n"))
_ESCAPE = re.compile(rb"\\(.)")
_UNICODE = re.compile(rb"\\u00([0-9A-Fa-f]{2})")


def _respelt(data: bytes) -> Iterator[bytes]:
    if re.search(rb"(?:[ -~]\0){6}|(?:\0[ -~]){6}", data):
        yield data.replace(b"\0", b"")
    if (len(data) - len(data.translate(None, _CONTROL))) * 50 > len(data):
        return  # a picture or the like: what looks like an escape in it is chance
    if re.search(rb"%[0-9A-Fa-f]{2}", data):
        yield unquote_to_bytes(data)
    if re.search(rb'\\["\\/bfnrtu]', data):
        plain = _UNICODE.sub(lambda match: bytes.fromhex(match[1].decode()), data)
        yield _ESCAPE.sub(lambda m: b"\n" if m[1] in b"bfnrt" else m[1], plain)
    if re.search(rb"&#?\w{2,6};", data):
        yield html.unescape(data.decode("latin-1")).encode("latin-1", "replace")
    if _CHUNK_LINE.search(data):
        yield _CHUNK_LINE.sub(b"", data)


_CHUNK_LINE = re.compile(rb"\r?\n[0-9A-Fa-f]{1,8}\r?\n")


def _runs(data: bytes) -> Iterator[bytes]:
    for run in re.findall(rb"[A-Za-z0-9+/_-]{16,}", data):
        plain = _plain_base64(run.decode())
        if plain is not None:
            yield plain


def _plain_base64(text: str) -> bytes | None:
    """The text that a run of base64 spells; None where it spells none."""
    body = text.replace("-", "+").replace("_", "/")
    try:
        plain = base64.b64decode(body[: len(body) // 4 * 4] if len(body) % 4 == 1
                                 else body + "=" * (-len(body) % 4))  # fmt: skip
    except (ValueError, binascii.Error):
        return None
    odd = sum(not (32 <= byte < 127 or byte in b"\r\n\t\0") for byte in plain)
    return plain if odd * 20 <= len(plain) else None


def _b(text: str) -> bytes:
    return text.encode("latin-1")
