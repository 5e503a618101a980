"""Pseudonyms: what replaces a secret, of the same length and character class at each position.

A pseudonym is a keyed BLAKE2 hash of the plaintext, spelt in the plaintext's classes: equal secrets
get equal pseudonyms under one key, others collide no more often than chance, and without the key
nobody can try a dictionary. Each kind keeps what makes it valid (Luhn, mod 97, an e-mail's shape).

Every pseudonym that is long enough also carries a mark (`marks.py`), by which an audit knows it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Final
from zlib import crc32

from .kinds import DATE, kind_of
from .marks import HEXED, PLAIN, is_marked_mac, mark, mark_ipv6, octet, private_octets
from .spelling import digits as decimal
from .validators import digits_of, iban_remainder, luhn_sum

try:
    from .letters import characters
except ImportError:  # not compiled
    from .characters import characters

Kind = Callable[["Pseudonyms", bytes], bytes]


def _or_text(make: Kind) -> Kind:
    """A kind of which a policy's own detector may hand over what has not its form."""

    @wraps(make)
    def made(self: Pseudonyms, text: bytes) -> bytes:
        new = make(self, text)
        return new if new != text and len(new) == len(text) else self.text(text)

    return made


class Pseudonyms:
    """Makes pseudonyms under one key; remembers none (callers cache whole results)."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"wiretape-pseudo").digest()
        self._short = hashlib.blake2s(key=self._key)
        self._long = hashlib.blake2b(key=self._key)

    def stream(self, text: bytes, size: int, turn: int = 0) -> bytes:
        """Keyed bytes that the text determines, as many as asked for or more."""
        if turn:
            text = text + b"\0" + turn.to_bytes(2, "little")
        # The cheaper of the two hashes where its digest is long enough.
        hashed = self._short.copy() if size <= 32 else self._long.copy()
        hashed.update(text)
        return hashed.digest() if size <= 64 else hashlib.shake_128(hashed.digest()).digest(size)

    def number(self, text: bytes) -> int:
        """A keyed 64-bit number that the text determines."""
        return int.from_bytes(
            hashlib.blake2b(text, digest_size=8, key=self._key).digest(), "little"
        )

    def make(self, kind: str, text: bytes) -> bytes:
        """The pseudonym of a text of a kind."""
        return KINDS.get(kind, Pseudonyms.text)(self, text)

    def makers(self) -> dict[str, Callable[[bytes], bytes]]:
        """What makes each kind of pseudonym."""
        return {kind: partial(make, self) for kind, make in KINDS.items()}

    def text(self, text: bytes) -> bytes:
        """Same class at each position; a number does not begin with a new zero."""
        done = text
        for turn in range(64):
            done = characters(text, self.stream(text, len(text), turn))
            if done != text and (done[:1] != b"0" or text[:1] == b"0"):
                break
        return done

    def email(self, text: bytes) -> bytes:
        """An address at a domain that nobody can own, of the same length: .test, or .zz if short.

        ZZ is a code that ISO 3166 leaves to its users, so no registry has it.
        """
        local, at, domain = text.rpartition(b"@")
        seen = self.text(text.lower())
        if not at or len(domain) < 4:
            return seen
        end = b".test" if len(domain) > 5 else b".zz"
        host = seen[len(local) + 1 : -len(end)].replace(b".", b"-")
        host = host.strip(b"-").ljust(len(host), b"x")
        mine = seen[: len(local)]
        if local != local.lower():
            cased = zip(mine, local, strict=True)
            mine = bytes(n - 32 if 65 <= o <= 90 and 97 <= n <= 122 else n for n, o in cased)
        return mine + b"@" + host + end

    def _respelt(self, text: bytes, digits: bytes) -> bytes:
        """The text with its digits replaced in order."""
        source = iter(digits)
        return bytes(next(source) if 48 <= byte <= 57 else byte for byte in text)

    def digits(self, text: bytes) -> bytes:
        """A number written with separators: its digits change, the last ones are its mark."""
        plain = text if text.isdigit() else digits_of(text)
        if not plain:
            return self.text(text)
        for turn in range(64):
            stream = self.stream(plain, len(plain), turn)
            new = decimal(stream[: len(plain)])
            if plain[:1] != b"0" and new[:1] == b"0":
                new = b"%d" % (1 + stream[0] % 9) + new[1:]
            if len(new) >= 7:
                new = new[:-3] + b"%03d" % (crc32(new[:-3]) % 1000)
            if new != plain:
                break
        return new if plain is text else self._respelt(text, new)

    @_or_text
    def number_text(self, text: bytes) -> bytes:
        """A decimal number: its exponent is kept, so that it stays one that can be held."""
        mantissa, mark_of_it, exponent = text.replace(b"E", b"e").partition(b"e")
        tail = text[len(mantissa) :] if mark_of_it and exponent else b""
        return self.digits(mantissa) + tail

    @_or_text
    def degrees(self, text: bytes) -> bytes:
        """Coordinates: whole degrees of the same width that a latitude or longitude can have."""
        spans = [match.span(1) for match in _DEGREES.finditer(text)]
        for turn in range(64):
            stream = self.stream(text, 2 * len(text), turn)
            out = bytearray(self._respelt(text, decimal(stream[: len(text)])))
            for at, (start, end) in enumerate(spans):
                low, high = ((0, 9), (10, 89), (100, 179))[end - start - 1]
                out[start:end] = b"%d" % (low + stream[len(text) + at] % (high - low + 1))
            if out != text:
                break
        return bytes(out)

    @_or_text
    def card(self, text: bytes) -> bytes:
        """A card number of the same issuer digit, with the Luhn check and the mark."""
        plain = digits_of(text)
        for turn in range(64):
            stream = self.stream(plain, len(plain), turn)
            free = plain[:1] + decimal(stream[1 : max(1, len(plain) - 5)])
            free += b"%04d" % (crc32(free) % 10000)
            new = free + b"%d" % (-luhn_sum(free + b"0") % 10)
            if new != plain:
                break
        return self._respelt(text, new)

    def iban(self, text: bytes) -> bytes:
        """An IBAN of the same country and length, with right check digits."""
        packed = bytes(byte for byte in text if byte not in b" -")
        if not packed.isalnum() or len(packed) < 15:
            return self.text(text)
        for turn in range(64):
            drawn = self.text(packed.upper() + bytes(turn))[4 : len(packed)]
            # The check digits are set last: the mark is over all but them.
            body = mark(packed[:2].upper() + drawn, PLAIN)
            check = 98 - iban_remainder(body[:2] + b"00" + body[2:])
            new = body[:2] + b"%02d" % check + body[2:]
            if new != packed.upper():
                break
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
        if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 for part in parts):
            return self.text(text)
        keep = private_octets(parts)
        for turn in range(64):
            stream = self.stream(text, 16, turn)
            new = parts[:keep] + [
                octet(part, stream[at]) for at, part in enumerate(parts[keep:], keep)
            ]
            new[3] = octet(parts[3], crc32(b".".join(new[:3])) & 0xFF) if not keep else new[3]
            if all(a != b for a, b in zip(new[keep:], parts[keep:], strict=True)):
                break
        return b".".join(new)

    @_or_text
    def ipv6(self, text: bytes) -> bytes:
        """The same spelling with other hexadecimal digits; the class of the prefix is kept."""
        head = re.match(rb"(?i)(?:fe80|f[cd]|ff0|2001:db8|[23]|::ffff:|::)?", text)
        kept = head[0] if head else b""
        stream = self.stream(text.lower(), len(text))
        tail = bytes(
            b"123456789abcdef"[draw % 15] if byte not in b":." else byte
            for byte, draw in zip(text[len(kept) :], stream, strict=False)
        )
        new = mark_ipv6(kept + tail)
        return kept + new[len(kept) :].upper() if text.isupper() else new

    @_or_text
    def hex(self, text: bytes) -> bytes:
        """Hexadecimal digits stay so, whatever stands between them (a MAC address)."""
        stream = self.stream(text.lower(), len(text))
        new = bytearray(
            HEXED[byte][draw % len(HEXED[byte])] for byte, draw in zip(text, stream, strict=False)
        )
        if len(text) == 17 and is_marked_mac(new[:1] + b"2" + new[2:]):
            # As hardware addresses that nobody made go: the bit of local administration is set.
            choice = b"26" if 48 <= new[1] <= 57 else b"ae" if new[1] > 96 else b"AE"
            new[1] = choice[stream[1] & 1]
        return bytes(new)

    def key(self, text: bytes) -> bytes:
        """The secret part of a provider's key, whose prefix is kept."""
        return self.text(text)

    @_or_text
    def jwt(self, text: bytes) -> bytes:
        """A token with the same header, claims of the same names, and a signature of noise."""
        head, _, rest = text.partition(b".")
        claims, dot, signature = rest.partition(b".")
        # One run without - and _, so that however it falls it is long enough to carry the mark.
        noise = self.text(signature.translate(_SOLID)) if signature else b""
        return head + b"." + self._claims(claims) + dot + noise

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
        coded = base64.b64encode(new)
        return coded if len(coded) == len(text) else self.text(text)

    def date(self, text: bytes) -> bytes:
        """Another day of the same year, in the same spelling."""
        match = DATE.fullmatch(text)
        if match is None:
            return self.text(text)
        day_of_it, rest = text[: match.end("day")], text[match.end("day") :]
        for turn in range(64):
            stream = self.stream(text, 2, turn)
            month, day = 1 + stream[0] % 12, 1 + stream[1] % 28
            # Whether the day or the month comes first in 03/04/1970 is not known: both fit.
            numbers = iter((month, day) if match["first"] is not None else (day % 12 + 1, month))
            new = _PART.sub(
                lambda part: (
                    part[0]
                    if len(part[0]) == 4
                    else b"%0*d" % (len(part[0]), min(next(numbers), 10 ** len(part[0]) - 1))  # noqa: B023
                ),
                day_of_it,
            )
            if new != day_of_it:
                break
        return new + rest

    def value(self, text: bytes) -> bytes:
        """The pseudonym of a whole value, of whatever kind it is."""
        return self.make(kind_of(text), text) if text else text


_SOLID: Final = bytes.maketrans(b"-_", b"xX")
_STRING_VALUE: Final = re.compile(rb'("\s*:\s*"|"\s*:\s*(?=\d))((?<=")(?:[^"\\]|\\.)*|\d+)', re.S)
_DEGREES: Final = re.compile(rb"-?(\d{1,3})\.\d{4,15}")
_PART: Final = re.compile(rb"\d+")


KINDS: dict[str, Kind] = {
    "text": Pseudonyms.text, "value": Pseudonyms.value, "email": Pseudonyms.email,
    "card": Pseudonyms.card, "iban": Pseudonyms.iban, "ssn": Pseudonyms.ssn,
    "ipv4": Pseudonyms.ipv4, "ipv6": Pseudonyms.ipv6, "hex": Pseudonyms.hex,
    "jwt": Pseudonyms.jwt, "basic": Pseudonyms.basic, "digits": Pseudonyms.digits,
    "phone": Pseudonyms.digits, "degrees": Pseudonyms.degrees, "key": Pseudonyms.key,
    "date": Pseudonyms.date, "number": Pseudonyms.number_text,
}  # fmt: skip
"""Every kind of pseudonym; a detector names one."""
