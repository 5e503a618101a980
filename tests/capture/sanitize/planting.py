"""Secrets of every detector, made at run time, and requests in which they are planted.

A planted request knows at which bytes each secret stands, so that what became of it is read back
at its place and decoded: a secret that was replaced in half is seen.
"""

from __future__ import annotations

import base64
import random
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from capture.sanitize import national_ids as id_
from capture.sanitize.validators import iban_remainder, luhn_sum

ALNUM = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"
LOWER = "abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True)
class Secret:
    """A secret with what stands around it; only the secret must go."""

    before: bytes
    secret: bytes
    after: bytes = b""

    @property
    def whole(self) -> bytes:
        return self.before + self.secret + self.after


class Maker:
    """Makes secrets, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.choice, self.number = self._random.choice, self._random.randint

    def some(self, size: int, letters: str = ALNUM) -> bytes:
        drawn = [self.choice(letters) for _ in range(size)]
        if size > 10:  # a digit and letters of both cases, as keys have
            drawn[3], drawn[7] = "7", letters[1]
        return "".join(drawn).encode()

    def digits(self, size: int) -> bytes:
        return b"%d" % self.number(10 ** (size - 1), 10**size - 1)

    def until(self, make: Callable[[], bytes], valid: Callable[[bytes], bool]) -> bytes:
        while not valid(made := make()):
            pass
        return made

    def card(self) -> bytes:
        front = b"4" + self.digits(14)
        return front + b"%d" % (-luhn_sum(front + b"0") % 10)

    def iban(self) -> bytes:
        account = self.digits(18)
        return b"%02d" % (98 - iban_remainder(b"DE00" + account)) + account

    def nir(self) -> bytes:
        front = b"2%02d%02d%s" % (self.number(40, 99), self.number(1, 12), self.digits(8))
        return front + b"%02d" % (97 - int(front) % 97)

    def tax_id(self) -> bytes:
        drawn = self._random.sample("123456789", 9)
        drawn.insert(self.number(1, 9), drawn[0])
        return "".join((*drawn, self.choice("0123456789"))).encode()

    def codice_fiscale(self) -> bytes:
        front = self.some(6, LOWER.upper()) + b"%02dA%02dF%03d" % (
            self.number(40, 99), self.number(1, 28), self.number(100, 999),
        )  # fmt: skip
        ends = (front + bytes((last,)) for last in range(65, 91))
        return next(each for each in ends if id_.is_codice_fiscale(each))

    def jwt(self) -> Secret:
        head, claims = (
            base64.urlsafe_b64encode(part).rstrip(b"=")
            for part in (b'{"alg":"HS256"}', b'{"sub":"%s"}' % self.some(12))
        )
        return Secret(head + b"." + claims + b".", self.some(43))

    def address(self) -> bytes:
        # A public one: of a private one the beginning is kept.
        return b".".join(b"%d" % self.number(100 + 29 * (not at), 171) for at in range(4))

    def all(self) -> dict[str, Secret]:
        """A new secret of each detector."""
        some, digits, make = self.some, self.digits, self.until
        return {
            "jwt": self.jwt(),
            "pem": Secret(b"-----BEGIN PRIVATE " + b"KEY-----", some(64), b"-----END"),
            "basic-auth": Secret(b"Basic ", base64.b64encode(some(9) + b":" + some(11))),
            "bearer": Secret(b"Bearer ", some(30)),
            "url-credentials": Secret(b"https://", some(8) + b":" + some(12), b"@host/"),
            "email": Secret(b"", some(9, LOWER) + b"@" + some(8, LOWER) + b".com"),
            "aws-key": Secret(b"AKI" + b"A", some(16, LOWER.upper())),
            "gcp-key": Secret(b"AI" + b"za", some(35)),
            "gcp-token": Secret(b"ya" + b"29.", some(40)),
            "github-key": Secret(b"gh" + b"p_", some(36)),
            "gitlab-key": Secret(b"glp" + b"at-", some(20)),
            "slack-key": Secret(b"xox" + b"b-", some(30)),
            "stripe-key": Secret(b"sk_" + b"live_", some(24)),
            "twilio-key": Secret(b"A" + b"C", some(32, "0123456789abcdef")),
            "sendgrid-key": Secret(b"S" + b"G.", some(22) + b"." + some(43)),
            "openai-key": Secret(b"s" + b"k-", some(40)),
            "azure-key": Secret(b"AccountKey=", some(44)),
            "iban": Secret(b"DE", self.iban()),
            "cn-id": Secret(b"", make(
                lambda: b"3%s19%d0115%s" % (digits(5), self.number(40, 99), digits(4)), id_.is_cn_id
            )),
            "card": Secret(b"", self.card()),
            "fr-nir": Secret(b"", self.nir()),
            "br-cpf": Secret(b"", make(
                lambda: b"%s.%s.%s-%s" % (digits(3), digits(3), digits(3), digits(2)), id_.is_cpf
            )),
            "in-aadhaar": Secret(b"", make(
                lambda: b"%s %s %s" % (digits(4), digits(4), digits(4)), id_.is_aadhaar
            )),
            "de-tax-id": Secret(b"", make(self.tax_id, id_.is_de_tax_id)),
            "jp-number": Secret(b"", make(
                lambda: b"%s-%s-%s" % (digits(4), digits(4), digits(4)), id_.is_jp_number
            )),
            "uk-nhs": Secret(b"", make(
                lambda: b"%s %s %s" % (digits(3), digits(3), digits(4)), id_.is_nhs_number
            )),
            "ca-sin": Secret(b"", make(
                lambda: b"%s-%s-%s" % (digits(3), digits(3), digits(3)), id_.is_ca_sin
            )),
            "it-cf": Secret(b"", self.codice_fiscale()),
            "us-ssn": Secret(b"", b"%d-%d-%d" % (
                self.number(100, 599), self.number(10, 99), self.number(1000, 9999)
            )),
            "ipv4": Secret(b"", self.address()),
            "ipv6": Secret(b"2001:", b"%x:%x:0:1:%x:%x:%x" % tuple(
                self.number(0x1000, 0xFFFF) for _ in range(5)
            )),
            "mac": Secret(b"", b":".join(self.choice([b"30", b"4b", b"c8"]) for _ in range(6))),
            "phone": Secret(b"+", b"4930" + digits(8)),
            "coordinates": Secret(b"", b"%d.%s, %d.%s" % (
                self.number(30, 60), digits(6), self.number(10, 60), digits(6)
            )),
            "token": Secret(b"", some(40)),
        }  # fmt: skip


def _units(form: Callable[[int], bytes]) -> Callable[[bytes], bytes]:
    return lambda plain: b"".join(form(byte) for byte in plain)


def _padded(plain: bytes) -> bytes:
    return plain + b" " * (-len(plain) % 3)


def _base64(plain: bytes) -> bytes:
    return base64.b64encode(_padded(plain))


def _from_base64(coded: bytes) -> bytes:
    return base64.b64decode(coded.translate(bytes.maketrans(b"-_", b"+/")))


ENCODINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "plain": (bytes, bytes),
    "percent": (_units(lambda byte: b"%%%02X" % byte), urllib.parse.unquote_to_bytes),
    "percent lower": (_units(lambda byte: b"%%%02x" % byte), urllib.parse.unquote_to_bytes),
    "JSON escapes": (
        _units(lambda byte: b"\\u%04x" % byte),
        lambda coded: re.sub(rb"\\u00(..)", lambda m: bytes.fromhex(m[1].decode()), coded),
    ),
    "entities": (
        _units(lambda byte: b"&#x%02x;" % byte),
        lambda coded: bytes(int(part[3:], 16) for part in coded.split(b";") if part),
    ),
    "base64": (_base64, _from_base64),
    "base64url": (
        lambda plain: base64.urlsafe_b64encode(_padded(plain)),
        _from_base64,
    ),
    "UTF-16": (
        lambda plain: plain.decode().encode("utf-16-le"),
        lambda coded: coded[::2],
    ),
}


@dataclass
class Planted:
    """A request with secrets in it, and at which bytes each one's encoded form stands."""

    data: bytearray = field(default_factory=bytearray)
    at: list[list[int]] = field(default_factory=list)

    def write(self, text: bytes) -> None:
        self.data += text

    def plant(self, coded: bytes, breaks: list[bytes]) -> None:
        """Write a coded secret, with the breaks spread over it."""
        places: list[int] = []
        step = max(1, len(coded) // (len(breaks) + 1))
        for number, start in enumerate(range(0, len(coded), step)):
            piece = coded[start : start + step]
            places += range(len(self.data), len(self.data) + len(piece))
            self.data += piece
            if number < len(breaks):
                self.data += breaks[number]
        self.at.append(places)

    def read(self, data: bytes, number: int) -> bytes:
        """What stands now where a secret was planted."""
        return bytes(data[at] for at in self.at[number])


HEAD_PLACES: dict[str, tuple[bytes, bytes, bytes]] = {
    "query": (b"GET /a?z=1", b"&q%d=", b""),
    "path": (b"GET /a", b"/s%d/", b"/"),
    "header": (b"GET /a HTTP/1.1", b"\r\nX-Note-%d: ", b""),
    "cookie": (b"GET /a HTTP/1.1\r\nCookie: z=1", b"; k%d=", b""),
    "referer": (b"GET /a HTTP/1.1\r\nReferer: https://host/p?z=1", b"&q%d=", b""),
}
BODY_PLACES: dict[str, tuple[bytes, bytes, bytes, bytes, bytes]] = {
    "form": (b"application/x-www-form-urlencoded", b"z=1", b"&q%d=", b"", b""),
    "json": (b"application/json", b'{"z":1', b',"q%d":"', b'"', b"}"),
    "json array": (b"application/json", b'{"z":[1', b',{"q%d":["', b'"]}', b"]}"),
    "xml element": (b"application/xml", b"<z>", b"<q%d>", b"</q0>", b"</z>"),
    "xml attribute": (b"application/xml", b"<z ", b' q%d="', b'"', b"/>"),
    "multipart": (
        b"multipart/form-data; boundary=zz", b"",
        b'--zz\r\nContent-Disposition: form-data; name="q%d"\r\n\r\n', b"\r\n", b"--zz--\r\n",
    ),
    "text": (b"text/plain", b"so it is", b" and %d then ", b" ", b"."),
}  # fmt: skip
SPLIT_HEADS = ("header", "cookie", "referer")


def planted_head(place: str, coded: list[bytes], split: bool) -> Planted:
    """A request with secrets in its head; split ones stand over folded lines."""
    start, before, after = HEAD_PLACES[place]
    made = Planted()
    made.write(start)
    for number, each in enumerate(coded):
        made.write(before % number)
        made.plant(each, [b"\r\n "] if split else [])
        made.write(after)
    in_line = place in ("query", "path")
    made.write((b" HTTP/1.1" if in_line else b"") + b"\r\nHost: shop\r\n\r\n")
    return made


def planted_body(place: str, coded: list[bytes], split: bool) -> Planted:
    """A request with secrets in its body; split ones stand over boundaries of chunks."""
    kind, start, before, after, end = BODY_PLACES[place]
    size = len(start) + len(end) + sum(
        len(before % number) + len(each) + len(after) for number, each in enumerate(coded)
    )  # fmt: skip
    made = Planted()
    framing = b"Transfer-Encoding: chunked" if split else b"Content-Length: %d" % size
    made.write(
        b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Type: %s\r\n%s\r\n\r\n" % (kind, framing)
    )
    lead = start
    for number, each in enumerate(coded):
        lead += before % number
        if not split:
            made.write(lead)
            made.plant(each, [])
        else:
            half = max(1, len(each) // 2)
            made.write(b"%x\r\n%s" % (len(lead) + half, lead))
            made.plant(each, [b"\r\n%x\r\n" % (len(each) - half)])
            made.write(b"\r\n")
        lead = after
    lead += end
    made.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(lead), lead) if split else lead)
    return made


def matrix() -> Iterator[tuple[str, str, bool]]:
    """Place, encoding and whether split: each of them once."""
    for encoding in ENCODINGS:
        for place in (*HEAD_PLACES, *BODY_PLACES):
            for split in (False, True):
                if not split or place in BODY_PLACES or place in SPLIT_HEADS:
                    yield place, encoding, split
