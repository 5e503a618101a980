"""Pseudonyms: what replaces a secret, of the same length and character class at each position.

A pseudonym is a keyed BLAKE2 hash of the plaintext, spelt in the plaintext's classes: equal secrets
get equal pseudonyms under one key, others collide no more often than chance, and without the key
nobody can try a dictionary. Each kind keeps what makes it valid (Luhn, mod 97, an e-mail's shape).

Every pseudonym also carries a mark that needs no key: the last characters of each run of 12 or more
letters and digits are a checksum of the run's beginning (`is_marked`). So an audit can tell a
pseudonym from a secret that was missed, years after the key is gone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from zlib import crc32

from .validators import digits_of, iban_remainder, is_jwt, is_ssn, luhn_sum

_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()
_DIGITS = b"0123456789"
_HEX = re.compile(rb"(?=[^0-9]*[0-9])(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?:-[0-9a-fA-F]{4,12})*")
_RUN = re.compile(rb"[A-Za-z0-9]{12,}")
MARK = 4
"""Characters of a run that are its mark."""

Kind = Callable[["Pseudonyms", bytes], bytes]


def _alphabets(hexadecimal: bool) -> list[bytes]:
    table = [bytes([byte]) for byte in range(256)]
    for byte in _LOWER:
        table[byte] = b"abcdef" if hexadecimal else _LOWER
    for byte in _UPPER:
        table[byte] = b"ABCDEF" if hexadecimal else _UPPER
    for byte in _DIGITS:
        table[byte] = _DIGITS
    return table


_PLAIN, _HEXED = _alphabets(False), _alphabets(True)


def _wide(text: bytes, out: bytearray, stream: bytes) -> None:
    """Bytes over 0x7f: the last of each UTF-8 sequence moves within its block of 64."""
    for at, byte in enumerate(text):
        if byte < 0x80:
            continue
        after = text[at + 1] if at + 1 < len(text) else 0
        if 0x80 <= after < 0xC0:
            continue
        lead = text[at - 1] if at else 0
        if byte >= 0xC0:
            out[at] = 0xE0 | (stream[at] & 0x1F)
        else:
            out[at] = 0xA0 | (stream[at] & 0x1F) if lead == 0xC2 else 0x80 | (stream[at] & 0x3F)


def mark(text: bytes, alphabets: list[bytes]) -> bytes:
    """The text with the last characters of its long runs set to their checksum."""
    out = bytearray(text)
    for match in _RUN.finditer(text):
        start, end = match.span()
        check = crc32(out[start : end - MARK])
        for at in range(end - MARK, end):
            letters = alphabets[out[at]]
            check, rest = divmod(check, len(letters))
            out[at] = letters[rest]
    return bytes(out)


def is_marked(text: bytes) -> bool:
    """Whether every long run in the text, and there is one, carries the mark of a pseudonym."""
    if not _RUN.search(text):
        return False
    return mark(text, _PLAIN) == text or mark(text, _HEXED) == text


class Pseudonyms:
    """Makes pseudonyms under one key; remembers none (callers cache whole results)."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"wiretape-pseudo").digest()

    def stream(self, text: bytes, size: int, turn: int = 0) -> bytes:
        """Keyed bytes that the text determines."""
        salt = turn.to_bytes(2, "little")
        digest = hashlib.blake2b(text, key=self._key, salt=salt).digest()
        return digest if size <= 64 else hashlib.shake_128(digest).digest(size)

    def number(self, text: bytes) -> int:
        """A keyed 64-bit number that the text determines."""
        return int.from_bytes(
            hashlib.blake2b(text, digest_size=8, key=self._key).digest(), "little"
        )

    def make(self, kind: str, text: bytes) -> bytes:
        """The pseudonym of a text of a kind."""
        return KINDS.get(kind, Pseudonyms.text)(self, text)

    def text(self, text: bytes) -> bytes:
        """Same class at each position; a number does not begin with a new zero."""
        alphabets = _HEXED if _HEX.fullmatch(text) else _PLAIN
        for turn in range(64):
            stream = self.stream(text, len(text), turn)
            out = bytearray(
                [
                    letters[draw % len(letters)]
                    for letters, draw in zip(map(alphabets.__getitem__, text), stream, strict=False)
                ]
            )
            if not text.isascii():
                _wide(text, out, stream)
            done = mark(bytes(out), alphabets) if len(text) >= 12 else bytes(out)
            if done != text and (done[:1] != b"0" or text[:1] == b"0"):
                return done
        return done

    def email(self, text: bytes) -> bytes:
        """An address at a domain that nobody can own (.test), of the same length."""
        local, _, domain = text.rpartition(b"@")
        seen = self.text(text.lower())
        if len(domain) < 6:
            return seen[: len(local)] + b"@" + b"x" * max(0, len(domain) - 2) + b"zz"[: len(domain)]
        new = self._recased(seen[: len(local)], local)
        host = bytes(
            letter if byte != 46 else 45
            for letter, byte in zip(seen[len(local) + 1 : -5], domain[:-5], strict=True)
        )
        return new + b"@" + (host.strip(b"-").ljust(len(host), b"x")) + b".test"

    @staticmethod
    def _recased(new: bytes, like: bytes) -> bytes:
        return bytes(
            n - 32 if 65 <= o <= 90 and 97 <= n <= 122 else n
            for n, o in zip(new, like, strict=True)
        )

    def _respelt(self, text: bytes, digits: bytes) -> bytes:
        """The text with its digits replaced in order."""
        source = iter(digits)
        return bytes(next(source) if 48 <= byte <= 57 else byte for byte in text)

    def digits(self, text: bytes) -> bytes:
        """A number written with separators: its digits change, the last ones are its mark."""
        plain = digits_of(text)
        for turn in range(64):
            stream = self.stream(plain, len(plain), turn)
            new = bytes(48 + draw % 10 for draw in stream[: len(plain)])
            if plain[:1] != b"0" and new[:1] == b"0":
                new = b"%d" % (1 + stream[0] % 9) + new[1:]
            if len(new) >= 7:
                new = new[:-3] + b"%03d" % (crc32(new[:-3]) % 1000)
            if new != plain:
                break
        return self._respelt(text, new)

    def card(self, text: bytes) -> bytes:
        """A card number of the same issuer digit, with the Luhn check and the mark."""
        plain = digits_of(text)
        for turn in range(64):
            stream = self.stream(plain, len(plain), turn)
            free = plain[:1] + bytes(48 + draw % 10 for draw in stream[1 : len(plain) - 5])
            free += b"%04d" % (crc32(free) % 10000)
            new = free + b"%d" % (-luhn_sum(free + b"0") % 10)
            if new != plain:
                break
        return self._respelt(text, new)

    def iban(self, text: bytes) -> bytes:
        """An IBAN of the same country and length, with right check digits."""
        packed = bytes(byte for byte in text if byte not in b" -")
        new = self.text(packed.upper()) if packed.isalnum() else packed
        new = mark(packed[:2].upper() + b"00" + new[4:], _PLAIN)
        # The mark covers the check digits' place: they are set last, and is_marked_iban knows it.
        new = new[:2] + b"%02d" % (98 - iban_remainder(new)) + new[4:]
        source = iter(new.lower() if packed[:2].islower() else new)
        return bytes(byte if byte in b" -" else next(source) for byte in text)

    def ssn(self, text: bytes) -> bytes:
        """A social security number that was never issued (area 9xx, group 00-49)."""
        stream = self.stream(digits_of(text), 8)
        group, serial = stream[2] % 50, int.from_bytes(stream[3:7], "little") % 9999 + 1
        new = b"9%02d%02d%04d" % (int.from_bytes(stream[:2], "little") % 100, group, serial)
        return self._respelt(text, new) if len(digits_of(text)) == 9 else self.digits(text)

    def ipv4(self, text: bytes) -> bytes:
        """An address of the same prefix class (private stays private) and the same octet widths."""
        parts = text.split(b".")
        keep = _private_octets(parts)
        for turn in range(64):
            stream = self.stream(text, 16, turn)
            new = parts[:keep] + [
                _octet(part, stream[at]) for at, part in enumerate(parts[keep:], keep)
            ]
            new[3] = _octet(parts[3], crc32(b".".join(new[:3])) & 0xFF) if not keep else new[3]
            if new != parts:
                break
        return b".".join(new)

    def ipv6(self, text: bytes) -> bytes:
        """The same spelling with other hexadecimal digits; the class of the prefix is kept."""
        head = re.match(rb"(?i)(?:fe80|f[cd]|ff0|2001:db8|[23]|::ffff:|::)?", text)
        kept = head[0] if head else b""
        stream = self.stream(text.lower(), len(text))
        tail = bytes(
            b"123456789abcdef"[draw % 15] if byte not in b":." else byte
            for byte, draw in zip(text[len(kept) :], stream, strict=False)
        )
        return kept + (tail.upper() if text.isupper() else tail)

    def hex(self, text: bytes) -> bytes:
        """Hexadecimal digits stay so, whatever stands between them (a MAC address)."""
        stream = self.stream(text.lower(), len(text))
        return bytes(
            _HEXED[byte][draw % len(_HEXED[byte])] for byte, draw in zip(text, stream, strict=False)
        )

    def key(self, text: bytes) -> bytes:
        """The secret part of a provider's key, whose prefix is kept."""
        return self.text(text)

    def jwt(self, text: bytes) -> bytes:
        """A token with the same header, claims of the same names, and a signature of noise."""
        head, _, rest = text.partition(b".")
        claims, dot, signature = rest.partition(b".")
        return head + b"." + self._claims(claims) + dot + self.text(signature or b"")

    def _claims(self, claims: bytes) -> bytes:
        try:
            plain = base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))
            json.loads(plain)
        except (ValueError, binascii.Error):
            return self.text(claims)
        new = _STRING_VALUE.sub(lambda match: match[1] + self.text(match[2]), plain)
        return base64.urlsafe_b64encode(new).rstrip(b"=")

    def basic(self, text: bytes) -> bytes:
        """Basic credentials: both halves replaced inside the base64."""
        try:
            plain = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            return self.text(text)
        user, colon, password = plain.partition(b":")
        new = self.value(user) + colon + self.value(password)
        return base64.b64encode(new) if len(new) == len(plain) else self.text(text)

    def date(self, text: bytes) -> bytes:
        """Another day of the same year, in the same spelling."""
        stream = self.stream(text, 2)
        month, day = 1 + stream[0] % 12, 1 + stream[1] % 28
        match = _DATE.fullmatch(text)
        if match is None:
            return self.text(text)
        year_first = match["first"] is not None
        numbers = iter((month, day) if year_first else (day % 12 + 1, month))
        return _PART.sub(
            lambda part: (
                part[0]
                if len(part[0]) == 4
                else b"%0*d" % (len(part[0]), min(next(numbers), 10 ** len(part[0]) - 1))
            ),
            text,
        )

    def value(self, text: bytes) -> bytes:
        """The pseudonym of a whole value, of whatever kind it is."""
        if not text:
            return text
        for pattern, kind, valid in _WHOLE:
            if pattern.fullmatch(text) and (valid is None or valid(text)):
                return self.make(kind, text)
        return self.text(text)


def _octet(like: bytes, draw: int) -> bytes:
    low, high = ((1, 9), (10, 99), (100, 223))[len(like) - 1]
    return b"%d" % (low + draw % (high - low + 1))


def _private_octets(parts: list[bytes]) -> int:
    """How many leading octets make the class of the address."""
    if parts[0] in (b"10", b"127"):
        return 1
    if parts[:2] in ([b"192", b"168"], [b"169", b"254"]):
        return 2
    return 2 if parts[0] == b"172" and 16 <= int(parts[1]) <= 31 else 0


def is_marked_number(text: bytes) -> bool:
    """Whether a card or another long number carries the mark of a pseudonym."""
    digits = digits_of(text)
    if len(digits) < 7:
        return False
    card = digits[-5:-1] == b"%04d" % (crc32(digits[:-5]) % 10000)
    return card or digits[-3:] == b"%03d" % (crc32(digits[:-3]) % 1000)


def is_marked_ipv4(text: bytes) -> bool:
    """Whether a public address carries the mark: its last octet follows from the others."""
    parts = text.split(b".")
    return bool(_private_octets(parts)) or parts[3] == _octet(
        parts[3], crc32(b".".join(parts[:3])) & 0xFF
    )


_STRING_VALUE = re.compile(rb'("\s*:\s*"|"\s*:\s*(?=\d))((?<=")(?:[^"\\]|\\.)*|\d+)', re.S)
_DATE = re.compile(rb"(?P<first>\d{4})([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4}")
_PART = re.compile(rb"\d+")


def _whole() -> tuple[tuple[re.Pattern[bytes], str, Callable[[bytes], bool] | None], ...]:
    from . import validators as is_

    return (
        (re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "jwt", is_jwt),
        (re.compile(rb"[^@\s]+@[^@\s]+\.[A-Za-z]{2,24}"), "email", None),
        (re.compile(rb"\d(?:[ -]?\d){11,18}"), "card", is_.is_card),
        (re.compile(rb"[A-Za-z]{2}\d\d[A-Za-z0-9 -]{10,40}"), "iban", is_.is_iban),
        (re.compile(rb"\d{3}-\d\d-\d{4}"), "ssn", is_ssn),
        (_DATE, "date", None),
        (re.compile(rb"(?:\d{1,3}\.){3}\d{1,3}"), "ipv4", is_.is_ipv4),
        (re.compile(rb"(?i)[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}"), "hex", None),
        (re.compile(rb"[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:]+"), "ipv6", is_.is_ipv6),
        (re.compile(rb"[+(\d][\d ().-]{5,18}\d"), "digits", None),
        (re.compile(rb"\d{7,}"), "digits", None),
    )


_WHOLE = _whole()

KINDS: dict[str, Kind] = {
    "text": Pseudonyms.text, "value": Pseudonyms.value, "email": Pseudonyms.email,
    "card": Pseudonyms.card, "iban": Pseudonyms.iban, "ssn": Pseudonyms.ssn,
    "ipv4": Pseudonyms.ipv4, "ipv6": Pseudonyms.ipv6, "hex": Pseudonyms.hex,
    "jwt": Pseudonyms.jwt, "basic": Pseudonyms.basic, "digits": Pseudonyms.digits,
    "phone": Pseudonyms.digits, "key": Pseudonyms.key, "date": Pseudonyms.date,
}  # fmt: skip
"""Every kind of pseudonym; a detector names one."""
