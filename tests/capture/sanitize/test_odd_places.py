"""Secrets in odd places: structures within others, lines that frame, chunks, responses."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
import zlib
from dataclasses import dataclass

import pytest

from capture.exchange import Exchange, Kind
from capture.sanitize.policy import Policy
from capture.sanitize.rewrite import Sanitizer
from capture.sanitize.suspects import suspects

from .planting import LOWER, Maker

MAKE = Maker(41)
HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\n"
FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"


@dataclass(frozen=True)
class Case:
    """A request, or a response, that holds a word."""

    request: bytes
    response: bytes = b""


def sent(body: bytes, kind: bytes, more: bytes = b"") -> Case:
    length = b"" if b"chunked" in more else b"Content-Length: %d\r\n" % len(body)
    return Case(HEAD + b"Content-Type: " + kind + b"\r\n" + more + length + b"\r\n" + body)


def got(target: bytes, more: bytes = b"") -> Case:
    return Case(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")


def part(head: bytes, value: bytes, kind: bytes = b"multipart/form-data; boundary=b") -> Case:
    return sent(
        b"--b\r\nContent-Disposition: " + head + b"\r\n\r\n" + value + b"\r\n--b--\r\n", kind
    )


def sanitized(
    case: Case, policy: str | Policy = "standard", responses: str = "body"
) -> tuple[bytes, bytes]:
    policy = Policy.built_in(policy) if isinstance(policy, str) else policy
    exchange = Exchange()
    exchange.kind, exchange.request = Kind.HTTP1, case.request
    exchange.head_bytes = case.request.find(b"\r\n\r\n") + 4
    exchange.response = case.response
    exchange.response_head_bytes = case.response.find(b"\r\n\r\n") + 4 if case.response else 0
    Sanitizer(policy, b"k" * 32, responses).exchange(exchange)
    return exchange.request, exchange.response


def named(word: bytes) -> dict[str, Case]:
    """The word stands under a telling name; by its looks no detector would know it."""
    inner = json.dumps({"id": 1, "password": word.decode()})
    quoted = urllib.parse.quote(inner).encode()
    return {
        "JSON in a string of JSON": sent(json.dumps({"payload": inner}).encode(), JSON),
        "JSON in a form": sent(b"data=" + quoted, FORM),
        "JSON in a query": got(b"/x?filter=" + quoted),
        "JSON in UTF-16": sent(inner.encode("utf-16-le"), JSON),
        "a query in a query": got(b"/x?next=%2Fin%3Fpassword%3D" + word + b"%26a%3D1"),
        "a GraphQL query in a query": got(
            b"/g?query=" + urllib.parse.quote(b'{in(password: "' + word + b'")}').encode()
        ),
        "JSON that is sent as a form": sent(inner.encode() + b"=", FORM),
        "JSON without quotes at names": sent(b"{password: '" + word + b"'}", JSON),
        "JSON in a part": part(b'form-data; name="meta"', inner.encode()),
        "a part with an encoded name": part(b"form-data; name*=UTF-8''password", word),
        "a part with a folded head": part(b'form-data;\r\n name="password"', word),
        "a part of another boundary": part(
            b'form-data; name="password"', word, b"multipart/form-data; boundary=other"
        ),
        "after a sign of more in XML": sent(
            b'<r a="x>y" password="' + word + b'"><q/></r>', b"text/xml"
        ),
        "a fragment": got(b"/cb#access_token=" + word + b"&state=1"),
        "a parameter of the path": got(b"/a;password=" + word + b"/b"),
        "after a semicolon": sent(b"a=1;password=" + word, FORM),
        "after a space": sent(b"password=horse " + word + b"&a=1", FORM),
        "after a hash": sent(b"password=horse#" + word, FORM),
        "an extension of a chunk": sent(
            b"3;password=" + word + b"\r\nabc\r\n0\r\n\r\n", JSON, b"Transfer-Encoding: chunked\r\n"
        ),
        "JSON with a comment": sent(b'{"a":1, // password: ' + word + b'\n"b":2}', JSON),
        "JSON after a comment with a quote": sent(
            b"{\"a\":1, /* it's \"odd */ 'password' : '" + word + b"',}", JSON
        ),
        "a bare word in JSON": sent(b'{"a":[1,],"password":' + word + b"}", JSON),
        "JSON in lines, with a mark": sent(
            b'\xef\xbb\xbf{"a":1}\n{"password":"' + word + b'"}\n', JSON
        ),
        "JSON in UTF-32": sent(inner.encode("utf-32"), JSON),
        "JSON in UTF-16 with letters beyond it": sent(
            inner.replace("1", '"\u05d0"', 1).encode("utf-16"), JSON
        ),
        "a form that says it is JSON": sent(b"a=1&password=" + word, JSON),
        "a subprotocol": got(b"/ws", b"Sec-WebSocket-Protocol: mqtt, bearer, " + word + b"\r\n"),
        "a part with spaces at its name": part(b'form-data; name = "password"', word),
        "an attribute without quotes": sent(b"<r password=" + word + b" />", b"text/xml"),
        "before the first part": sent(
            b"password=" + word + b'\r\n--b\r\nX-A: b\r\n\r\n1\r\n--b--\r\n',
            b"multipart/form-data; boundary=b",
        ),
        "after the last part": sent(
            b'--b\r\nX-A: b\r\n\r\n1\r\n--b--\r\npassword=' + word,
            b"multipart/form-data; boundary=b",
        ),
        "after a bare CR": got(b"/", b"Accept: a\rX-Api-Key: " + word + b"\r\n"),
        "a header of a key": got(b"/", b"X-Api-Secret-Key: " + word + b"\r\n"),
        "the answer's JSON in a string": Case(
            HEAD + b"\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"x": json.dumps(inner)}).encode(),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("place", named(b"word"))
@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_value_under_a_telling_name_is_found_in_odd_places(place: str, level: str) -> None:
    word = MAKE.some(9)
    case = named(word)[place]
    request, response = sanitized(case, level)
    for before, after in ((case.request, request), (case.response, response)):
        assert word not in after.replace(b"\0", b"")
        assert len(after) == len(before)


def test_a_name_in_base64_tells_of_its_value() -> None:
    word = MAKE.some(9)
    inner = json.dumps({"password": word.decode(), "id": 12345})
    request, _ = sanitized(sent(b"data=" + base64.urlsafe_b64encode(inner.encode()), FORM))
    opened = json.loads(base64.urlsafe_b64decode(request.partition(b"data=")[2]))
    assert opened["id"] == 12345
    assert opened["password"] != word.decode()


@pytest.mark.parametrize("level", ["standard", "strict"])
@pytest.mark.parametrize(
    "name",
    ["Content-Type", "Content-Encoding", "Connection", "Keep-Alive", "Expect", "TE", "Trailer",
     "Range", "Content-Range", "Upgrade"],
)  # fmt: skip
def test_detectors_look_at_headers_that_frame(name: str, level: str) -> None:
    mail = MAKE.some(9, LOWER) + b"@" + MAKE.some(8, LOWER) + b".com"
    case = got(b"/", name.encode() + b": x; y=" + mail + b"\r\n")
    request, _ = sanitized(case, level)
    assert mail not in request
    assert len(request) == len(case.request)


@pytest.mark.parametrize(
    "line",
    ["Range: bytes=1234567890-1234567899", "Content-Length: 0", "Host: shop.example:8080",
     "Content-Range: bytes 4000000000-4999999999/5000000000", "Connection: keep-alive, Upgrade",
     "Content-Type: application/vnd.shop.orders.v2+json; charset=utf-8"],
)  # fmt: skip
@pytest.mark.parametrize("level", ["standard", "strict"])
def test_headers_that_frame_stay_as_they_are(line: str, level: str) -> None:
    request, _ = sanitized(got(b"/", line.encode() + b"\r\n"), level)
    assert line.encode() in request


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_boundary_stays_however_random_it_is(level: str) -> None:
    boundary = b"----Form" + MAKE.some(32)
    request, _ = sanitized(sent(b"", b"multipart/form-data; boundary=" + boundary), level)
    assert boundary in request


@pytest.mark.parametrize("responses", ["short", "headers", "body"])
@pytest.mark.parametrize("level", ["standard", "strict"])
def test_detectors_look_at_reasons_and_harmless_headers_of_responses(
    responses: str, level: str
) -> None:
    mail = MAKE.some(9, LOWER) + b"@" + MAKE.some(8, LOWER) + b".com"
    answer = b"HTTP/1.1 404 no %s\r\nServer: %s\r\nContent-Type: a/b; x=%s\r\n\r\n"
    case = Case(HEAD + b"\r\n", answer % (mail, mail, mail))
    _, response = sanitized(case, level, responses)
    assert mail not in response
    assert len(response) == len(case.response)


def test_a_compressed_body_that_nothing_announces_is_opened() -> None:
    word = MAKE.some(9)
    request, _ = sanitized(sent(gzip.compress(b'{"password":"%s"}' % word), JSON))
    opened = gzip.decompress(request.partition(b"\r\n\r\n")[2])
    assert word not in opened
    assert b'"password"' in opened


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


@pytest.mark.parametrize("level", ["standard", "strict"])
@pytest.mark.parametrize("more", [b"", b"Content-Encoding: identity\r\n"])
@pytest.mark.parametrize("size", [1, 300])
def test_deflate_that_nothing_announces_is_opened_and_closed_alike(
    level: str, more: bytes, size: int
) -> None:
    word = MAKE.some(9)
    inner = b'{"password":"%s"}' % word * size
    for close, wbits in ((zlib.compress, 15), (raw_deflate, -15)):
        for times in (1, 2):
            body = close(inner) if times == 1 else close(close(inner))
            request, _ = sanitized(sent(body, JSON, more), level)
            opened = request.partition(b"\r\n\r\n")[2]
            for _ in range(times):
                opened = zlib.decompress(opened, wbits)
            assert word not in opened
            assert opened.count(b'"password"') == size


def test_deflate_without_its_header_stays_so_where_it_is_announced() -> None:
    word = MAKE.some(9)
    body = raw_deflate(b'{"password":"%s"}' % word)
    request, _ = sanitized(sent(body, JSON, b"Content-Encoding: deflate\r\n"))
    assert word not in zlib.decompress(request.partition(b"\r\n\r\n")[2], -15)


@pytest.mark.parametrize(
    "pieces", ["{}", "a=1&{}", "{}&a=1", "a=1&={}", "a b?{}&a=1", "a=1&{}&b", "a=1#{}"]
)
def test_strict_takes_what_is_no_pair_of_a_form_or_a_query(pieces: str) -> None:
    word = MAKE.some(9)
    text = pieces.format(word.decode()).encode()
    for case in (sent(text, FORM), got(b"/x?" + text.replace(b" ", b"+"))):
        request, _ = sanitized(case, "strict")
        assert word not in request
        assert len(request) == len(case.request)


def test_strict_takes_names_of_files_and_headers_of_parts() -> None:
    word = MAKE.some(9)
    for head in (b'form-data; name="a"; filename="%s.txt"', b'form-data; name="a"\r\nX-Note: %s'):
        assert word not in sanitized(part(head % word, b"x"), "strict")[0]


def test_subprotocols_that_are_known_stay() -> None:
    line = b"Sec-WebSocket-Protocol: graphql-transport-ws, v4.channel.k8s.io, bearer"
    assert line in sanitized(got(b"/", line + b"\r\n"))[0]


def test_the_name_of_a_file_in_a_compressed_body_is_not_kept() -> None:
    word = MAKE.some(9)
    body = bytearray(gzip.compress(b'{"a":1}'))
    body[3] = 8
    body[10:10] = word + b"\0"
    request, _ = sanitized(sent(bytes(body), JSON, b"Content-Encoding: gzip\r\n"))
    assert word not in request
    assert gzip.decompress(request.partition(b"\r\n\r\n")[2]) == b'{"a":1}'


@pytest.mark.parametrize("escape", [b"\\n", b"%20", b"\\u0041"])
def test_an_escape_on_one_side_of_a_named_value_hides_nothing_on_the_other(escape: bytes) -> None:
    mail = MAKE.some(9, LOWER) + b"@" + MAKE.some(8, LOWER) + b".com"
    body = b'{"note":"%s","password":"horse","more":"a%sb"}' % (mail, escape)
    request, _ = sanitized(sent(body, JSON))
    assert mail not in request


@pytest.mark.parametrize("level", ["standard", "strict", "none"])
def test_an_audit_lets_our_pseudonyms_pass_wherever_they_stand_and_no_secret(level: str) -> None:
    make = Maker(42)
    secrets = make.all()
    user, word = make.some(8), make.some(20)
    planted = {
        "address": b"https://" + user + b":" + word + b"@db.shop.com/x?y=1",
        **{name: secrets[name].whole for name in ("bearer", "azure-key", "jwt", "iban", "card")},
    }
    for name, secret in planted.items():
        spelt = urllib.parse.quote(secret, safe="").encode()
        for case in (
            sent(b'{"password":"%s"}' % secret, JSON),
            sent(b"a=" + spelt, FORM),
            got(b"/", b"Authorization: Bearer " + spelt + b"\r\n"),
        ):
            request = case.request if level == "none" else sanitized(case, level)[0]
            found = {suspect.kind for suspect in suspects(request)}
            assert bool(found) == (level == "none"), (name, found)


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_values_within_values_are_replaced_once(level: str) -> None:
    nested = b'"password":{"a":1,\n"query":"{u(id:\\"1\\")}""\\u0041"x":[1,{"card":"4111'
    line = b"password: x Content-Length: 5\r\n"
    for body in (nested, line * 2, nested + line + nested):
        made = Exchange()
        made.request = b"POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n" + body
        made.request_bytes, made.head_bytes = len(made.request), len(made.request) - len(body)
        assert len(
            Sanitizer(Policy.built_in(level), b"k" * 32).exchange(made).exchange.request
        ) == (made.request_bytes)
