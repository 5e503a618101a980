"""The sanitizer: nothing secret comes out, lengths stay, equal secrets stay equal."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.exchange import Exchange, Flag, Kind
from capture.sanitize import Policy, Sanitizer, codings
from capture.sanitize.marks import is_marked, is_marked_iban
from capture.sanitize.pseudonym import Pseudonyms
from capture.sanitize.scanner import apart
from capture.sanitize.validators import is_card, is_iban, luhn_sum

DRAW = random.Random(7)


def card() -> bytes:
    front = b"4" + bytes(DRAW.choice(b"0123456789") for _ in range(14))
    return front + b"%d" % (-luhn_sum(front + b"0") % 10)


def text(size: int, letters: bytes = b"abcdefghjkmnpqrstuvwxyz23456789") -> bytes:
    return bytes(DRAW.choice(letters) for _ in range(size))


SECRETS = {
    "email": lambda: text(7) + b"@" + text(6) + b".com",
    "card": card,
    "aws": lambda: b"AKI" + b"A" + text(16, b"ABCDEFGHJKLMNP234567"),
    "github": lambda: b"gh" + b"p_" + text(36),
    "jwt": lambda: b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (b'{"alg":"HS256"}', b'{"sub":"%s"}' % text(9), text(32))
    ),
    "ssn": lambda: b"%d-%d-%d" % tuple(map(DRAW.randint, (100, 10, 1000), (600, 99, 9999))),
}  # fmt: skip


def exchange(request: bytes, kind: Kind = Kind.HTTP1) -> Exchange:
    made = Exchange()
    made.kind, made.request, made.request_bytes = kind, request, len(request)
    made.head_bytes = request.find(b"\r\n\r\n") + 4 if kind == Kind.HTTP1 else 0
    return made


def post(body: bytes, kind: bytes = b"application/json", more: bytes = b"") -> bytes:
    return (
        b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s"
        % (kind, more, len(body), body)
    )


@functools.cache
def sanitizer(level: str = "standard") -> Sanitizer:
    """One for all tests: compiling its patterns takes longer than most of them."""
    return Sanitizer(Policy.built_in(level), b"k" * 32)


def sanitized(request: bytes, kind: Kind = Kind.HTTP1, level: str = "standard") -> bytes:
    return sanitizer(level).exchange(exchange(request, kind)).exchange.request


PLACES = {
    "query": lambda s: b"GET /a?zz=%s HTTP/1.1\r\nHost: shop\r\n\r\n" % s,
    "header": lambda s: b"GET /a HTTP/1.1\r\nX-Note: %s\r\nHost: shop\r\n\r\n" % s,
    "cookie": lambda s: b"GET /a HTTP/1.1\r\nCookie: zz=%s\r\nHost: shop\r\n\r\n" % s,
    "json": lambda s: post(b'{"zz":"%s"}' % s),
    "form": lambda s: post(b"zz=%s&b=1" % s, b"application/x-www-form-urlencoded"),
    "text": lambda s: post(b"so %s it is" % s, b"text/plain"),
    "xml": lambda s: post(b"<a><zz>%s</zz></a>" % s, b"application/xml"),
}
SPELLINGS = {
    "plain": lambda s: s,
    "percent": lambda s: quote(s, safe="").encode(),
    "all percent": lambda s: b"".join(b"%%%02x" % byte for byte in s),
    "base64": lambda s: base64.b64encode(b"v=" + s + b" "),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", [Kind.HTTP1, Kind.MALFORMED])
def test_a_secret_planted_anywhere_in_any_spelling_is_gone(
    secret: str, place: str, spelling: str, kind: Kind
) -> None:
    plain = SECRETS[secret]()
    request = PLACES[place](SPELLINGS[spelling](plain))
    new = sanitized(request, kind)
    assert SPELLINGS[spelling](plain) not in new
    assert len(new) == len(request)


@given(st.binary(max_size=400), st.sampled_from([Kind.HTTP1, Kind.MALFORMED]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_keep_their_length_and_never_raise(data: bytes, kind: Kind) -> None:
    request = post(data, b"text/plain") if kind == Kind.HTTP1 else data
    assert len(sanitized(request, kind)) == len(request)


def test_equal_secrets_have_equal_pseudonyms_wherever_they_stand() -> None:
    mail = SECRETS["email"]()
    new = sanitized(post(b'{"email":"%s","note":"to %s"}' % (mail, mail)))
    name = new.split(b'"email":"')[1].split(b'"')[0]
    assert new.count(name) == 2


def test_a_compressed_body_is_opened_and_its_length_repaired() -> None:
    mail = SECRETS["email"]()
    request = post(gzip.compress(b'{"a":"%s"}' % mail), more=b"Content-Encoding: gzip\r\n")
    done = Sanitizer(Policy.built_in(), b"k").exchange(exchange(request)).exchange
    body = done.request[done.head_bytes :]
    assert mail not in gzip.decompress(body)
    assert b"Content-Length: %d\r\n" % len(body) in done.request
    assert done.request_bytes == len(request)  # as it was on the wire
    assert bool(done.flags & Flag.RESIZED) == (len(done.request) != len(request))


def test_pseudonyms_keep_checksums_and_carry_a_mark() -> None:
    made = Pseudonyms(b"key")
    number = card()
    assert is_card(made.card(number))
    assert made.card(number) != number
    assert is_marked(made.text(text(20)))
    assert not is_marked(text(20))
    front = b"DE00" + text(18, b"0123456789")
    from capture.sanitize.validators import iban_remainder

    whole = front[:2] + b"%02d" % (98 - iban_remainder(front)) + front[4:]
    assert is_iban(whole)
    assert is_iban(made.iban(whole))
    assert is_marked_iban(made.iban(whole))
    assert not is_marked_iban(whole)


def test_framing_headers_are_left_alone() -> None:
    request = b"POST /a HTTP/1.1\r\nContent-Length: %s\r\nHost: a\r\n\r\n" % card()
    assert sanitized(request) == request
    assert sanitized(request, Kind.MALFORMED) == request


def test_an_address_at_a_short_domain_stays_one_that_nobody_can_own() -> None:
    made = Pseudonyms(b"key")
    assert made.email(b"q@x.io").endswith(b".zz")
    assert made.email(b"someone@ab.de").endswith(b".zz")
    assert made.email(b"someone@shop.com").endswith(b".test")


def test_a_scheme_is_kept_and_its_credentials_are_not() -> None:
    for kind in (Kind.HTTP1, Kind.MALFORMED):
        new = sanitized(b"GET / HTTP/1.1\r\nAuthorization: Basic x\r\n\r\n", kind)
        assert b"Authorization: Basic " in new
        assert b"Basic x" not in new
    new = sanitized(b'GET / HTTP/1.1\r\nAuthorization: Digest username="bob", nc=0001\r\n\r\n')
    assert b'Digest username="' in new
    assert b"bob" not in new


@pytest.mark.parametrize("kind", [Kind.HTTP1, Kind.MALFORMED])
def test_strict_replaces_a_body_of_plain_text(kind: Kind) -> None:
    new = sanitized(post(b"call Gertrude about her illness", b"text/plain"), kind, "strict")
    assert not any(word in new for word in (b"Gertrude", b"illness", b"about"))
    assert b"Content-Type: text/plain" in new


def test_strict_leaves_json_valid() -> None:
    body = json.dumps({"a": None, "b": True, "c": 1.5e300, "d": -1, "e": [0.5, "x"]}).encode()
    new = sanitized(post(body), level="strict").split(b"\r\n\r\n", 1)[1]
    assert json.loads(new).keys() == json.loads(body).keys()
    assert json.loads(new)["d"] != -1


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"compress", b"gzip, br"])
def test_a_body_that_cannot_be_opened_becomes_filler_of_its_type(coding: bytes) -> None:
    secret = text(40)
    request = post(secret, more=b"Content-Encoding: %s\r\n" % coding)
    done = sanitizer().exchange(exchange(request)).exchange
    assert done.flags & Flag.FILLED
    assert len(json.loads(done.request[done.head_bytes :])) == len(secret) - 2


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_body_that_is_larger_than_the_cap_when_opened_is_not_opened(coding: bytes) -> None:
    packed = codings.closed(b"a" * 100_000, [coding])
    assert codings.opened(packed, [coding], 100_000) == b"a" * 100_000
    assert codings.opened(packed, [coding], 99_999) is None
    assert codings.opened(packed[:-1], [coding], 100_000) is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(0, 5)), max_size=12))
def test_spans_apart_give_each_byte_to_the_first_row_that_has_it(
    drawn: list[tuple[int, int, int]],
) -> None:
    spans = [(start, start + size, rank) for start, size, rank in drawn]
    expected = {
        at: min(rank for a, b, rank in spans if a <= at < b)
        for s, e, _ in spans
        for at in range(s, e)
    }
    got = [(at, rank) for start, end, rank in apart(spans) for at in range(start, end)]
    assert got == sorted(expected.items())
