"""Each kind of secret in each line of a head, beside each mark: also where framing reads it."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator

import pytest

from capture.exchange import Exchange, Kind
from capture.sanitize.policy import Policy
from capture.sanitize.rewrite import Sanitizer

from .planting import Maker, Secret
from .test_odd_places import got, sent

KINDS = tuple(Maker(0).all())
FRAMES = (
    "Transfer-Encoding", "Upgrade", "Content-Length", "Content-Type", "Content-Encoding",
    "Connection", "Proxy-Connection", "Keep-Alive", "Expect", "TE", "Trailer", "Range", "If-Range",
    "Content-Range", "Host", "Accept", "Accept-Encoding", "Sec-WebSocket-Version", "Via", "Date",
    "User-Agent", "X-Note",
)  # fmt: skip
OF_HOSTS = {"ipv4", "ipv6", "phone", "token"}
"""What a name or an address of a server may look like, which a Host keeps."""
SLASHED = {"url-credentials", "basic-auth"}
MARKS = {
    "a full stop": (b"it is ", b". Bye"),
    "the last full stop": (b"it is ", b"."),
    "a comma": (b"a,", b",b"),
    "a semicolon": (b"a;", b"; b"),
    "quotes": (b'say "', b'"'),
    "single quotes": (b"say '", b"'"),
    "brackets": (b"so (", b")"),
    "angle brackets": (b"so <", b">"),
    "an equals sign": (b"note=", b"&n=1"),
    "a colon": (b"note: ", b"! no"),
    "a bar": (b"1|", b"|2"),
    "tabs": (b"1\t", b"\t2"),
    "newlines": (b"1\n", b"\n2"),
    "a question mark": (b"is it ", b"?"),
}


LEVELS = ("standard", "strict")
BY_LEVEL = {level: Sanitizer(Policy.built_in(level), b"k" * 32, "body") for level in LEVELS}


def exchange(request: bytes, response: bytes, level: str) -> Exchange:
    done = Exchange()
    done.kind, done.request, done.response = Kind.HTTP1, request, response
    done.head_bytes = request.find(b"\r\n\r\n") + 4
    done.response_head_bytes = response.find(b"\r\n\r\n") + 4
    BY_LEVEL[level].exchange(done)
    return done


def sanitized(request: bytes, level: str = "standard") -> bytes:
    return exchange(request, b"HTTP/1.1 200 OK\r\n\r\n", level).request


def broken(request: bytes) -> dict[str, bytes]:
    """The request, malformed in one way."""
    return {
        "method": request.replace(b"GET", b"G(T", 1),
        "version": request.replace(b" HTTP/1.1", b"", 1),
        "no colon": request.replace(b"Host: a\r\n", b"Host a\r\n", 1),
        "bare LF": request.replace(b"\r\n", b"\n"),
        "control": request.replace(b"Host: a", b"Ho\0st: a", 1),
        "cut": request[:-2],
    }


def cases(kind: str) -> Iterator[tuple[str, Secret, bytes]]:
    """Requests with a secret that must not be left where it stands."""
    secret = Maker(KINDS.index(kind)).all()[kind]
    for place, request in lines(secret):
        if place.startswith("Host") and kind in OF_HOSTS:
            continue
        if place.startswith("Content-Length") and secret.whole.isdigit():
            continue  # it is how long the body is
        yield place, secret, request


def headed(line: bytes) -> bytes:
    return got(b"/", line + b"\r\n").request


def lines(secret: Secret) -> Iterator[tuple[str, bytes]]:
    """The secret as the value of a header, alone and after a word, in one line and in two."""
    for name in FRAMES:
        head = name.encode() + b":"
        yield name, headed(head + b" " + secret.whole)
        yield f"{name} after a word", headed(head + b" a, " + secret.whole)
        for fold in (b"\r\n ", b"\r\n\t", b"\n "):
            yield f"{name} folded", headed(head + fold + secret.whole)
        yield f"{name} folded later", headed(head + b" x;\r\n  " + secret.whole)


def read(request: bytes) -> bytes:
    """What a reader may see: folds as they are, as a space and as nothing."""
    return b"\0".join((request, *(re.sub(rb"\r?\n[ \t]+", by, request) for by in (b" ", b""))))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_a_head_keeps_a_secret(kind: str, level: str) -> None:
    for place, secret, case in cases(kind):
        request = sanitized(case, level)
        assert secret.secret in read(case), place
        assert secret.secret not in read(request), place
        assert len(request) == len(case), place


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_a_malformed_request_keeps_a_secret(kind: str, level: str) -> None:
    for place, secret, case in cases(kind):
        for how, malformed in broken(case).items():
            request = sanitized(malformed, level)
            assert secret.secret not in read(request), (place, how)
            assert len(request) == len(malformed), (place, how)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_a_response_keeps_a_secret(kind: str, level: str) -> None:
    for place, secret, case in cases(kind):
        response = b"HTTP/1.1 200 OK\r\n" + case.partition(b"\r\n")[2]
        kept = exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", response, level).response
        assert secret.secret not in read(kept), place
        assert len(kept) == len(response), place


@pytest.mark.parametrize("kind", sorted(OF_HOSTS))
def test_a_host_that_is_an_address_or_a_name_stays_for_the_replay(kind: str) -> None:
    secret = Maker(5).all()[kind].whole
    for host in (secret, secret + b":8080", secret + b".shop.example"):
        request = sanitized(headed(b"Host: " + host))
        assert b"Host: " + host + b"\r\n" in request


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", [each for each in KINDS if each not in SLASHED | {"pem"}])
def test_no_segment_of_a_path_keeps_a_secret(kind: str, level: str) -> None:
    secret = Maker(KINDS.index(kind)).all()[kind]
    quoted = urllib.parse.quote_from_bytes(secret.whole, safe="@:,+").encode()
    for path in (b"/%s", b"/a/%s/b", b"/users/%s", b"/v2/ip/%s?x=1", b"/%s;v=1", b"/%s.json"):
        if path == b"/%s.json" and kind in OF_HOSTS | {"email", "url-credentials"}:
            continue
        request = sanitized(got(path % quoted).request, level)
        for spelt in (secret.secret, quoted[len(secret.before) :] if not secret.after else quoted):
            assert spelt not in request, path


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", [each for each in KINDS if each != "pem"])
def test_no_mark_beside_a_secret_hides_it(kind: str, level: str) -> None:
    secret = Maker(KINDS.index(kind)).all()[kind]
    for mark, (before, after) in MARKS.items():
        case = sent(before + secret.whole + after, b"text/plain").request
        request = sanitized(case, level)
        assert secret.secret not in request, mark
        assert len(request) == len(case), mark


def test_versions_in_a_product_stay() -> None:
    agent = b"User-Agent: Mozilla/5.0 (X11) Chrome/119.0.6045.159 nginx/1.2.3.4\r\n"
    request = sanitized(got(b"/", agent).request)
    assert agent in request
