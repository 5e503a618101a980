"""What is said of a request is read from its bytes, however odd they are."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.describe import Describer, template
from capture.exchange import Exchange, Kind
from capture.sanitize import Policy, Sanitizer


class Description(NamedTuple):
    method: str
    endpoint: str
    target: str
    host: str
    content_type: str
    session: int


def describe(describer: Describer, exchange: Exchange) -> Description:
    line, fields = describer.note(exchange)
    said, told = describer.lines[line], describer.fields[fields]
    host = said.authority or told.host
    return Description(
        said.method, said.endpoint, said.target, host, told.content_type, told.session
    )


def described(request: bytes, kind: Kind = Kind.HTTP1) -> Description:
    exchange = Exchange()
    exchange.kind = kind
    exchange.request = request
    exchange.head_bytes = request.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in request else 0
    return describe(Describer(), exchange)


def test_method_target_host_and_content_type_are_as_they_stand() -> None:
    said = described(
        b"POST /orders/17?full=1 HTTP/1.1\r\nHOST: Shop.Test\r\n"
        b"content-type: application/json; charset=utf-8\r\n\r\n{}"
    )
    assert said[:5] == (
        "POST", "POST /orders/{id}", "/orders/17?full=1", "shop.test", "application/json",
    )  # fmt: skip


def test_the_authority_of_an_absolute_target_goes_before_the_host_header() -> None:
    said = described(b"GET http://a.test/x/9 HTTP/1.1\r\nHost: b.test\r\n\r\n")
    assert (said.host, said.endpoint) == ("a.test", "GET /x/{id}")
    assert described(b"GET http://a.test HTTP/1.1\r\n\r\n").endpoint == "GET /"


def test_empty_lines_before_a_request_are_passed_over() -> None:
    assert described(b"\r\n\r\nGET /a HTTP/1.1\r\n\r\n").target == "/a"
    assert described(b"\nGET /a HTTP/1.1\r\n\r\n").target == "/a"


def test_a_session_cookie_goes_before_a_token_and_both_before_nothing() -> None:
    cookie = described(b"GET / HTTP/1.1\r\nCookie: theme=dark; PHPSESSID=abc\r\n\r\n")
    same = described(b"GET /x HTTP/1.1\r\nCookie: PHPSESSID=abc; theme=light\r\n\r\n")
    other = described(b"GET / HTTP/1.1\r\nCookie: PHPSESSID=abd\r\n\r\n")
    token = described(b"GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n")
    assert cookie.session == same.session != other.session
    assert token.session not in (0, cookie.session)
    assert described(b"GET / HTTP/1.1\r\n\r\n").session == 0


def test_one_users_token_and_theme_cookie_are_one_session() -> None:
    describer = Describer()
    sessions = set()
    for theme in (b"dark", b"light"):
        exchange = Exchange()
        exchange.request = (
            b"GET / HTTP/1.1\r\nCookie: theme=" + theme + b"\r\nAuthorization: Bearer t\r\n\r\n"
        )
        exchange.head_bytes = len(exchange.request)
        sessions.add(describe(describer, exchange).session)
    assert len(sessions) == 1


def test_two_users_with_the_same_plain_cookie_are_two_sessions() -> None:
    describer = Describer()
    sessions = set()
    for user in (b"a", b"b"):
        exchange = Exchange()
        exchange.request = (
            b"GET / HTTP/1.1\r\nCookie: theme=dark\r\nAuthorization: Bearer " + user + b"\r\n\r\n"
        )
        exchange.head_bytes = len(exchange.request)
        sessions.add(describe(describer, exchange).session)
    assert len(sessions) == 2


def test_what_is_no_request_has_its_kind_as_endpoint() -> None:
    assert described(b"\x16\x03\x01\x02", Kind.MALFORMED).endpoint == "(malformed)"
    assert described(b"whatever it is", Kind.WEBSOCKET).endpoint == "(websocket)"


@given(st.binary(max_size=200), st.sampled_from(list(Kind)))
def test_any_bytes_are_described_without_failing(request: bytes, kind: Kind) -> None:
    said = described(request, kind)
    assert all(text.encode().decode() == text for text in said[:5])


@given(st.lists(st.tuples(st.binary(max_size=60), st.sampled_from(list(Kind))), max_size=8))
def test_what_was_met_before_is_described_as_if_for_the_first_time(
    met: list[tuple[bytes, Kind]],
) -> None:
    describer = Describer()
    for request, kind in [*met, *met]:
        exchange = Exchange()
        exchange.kind, exchange.request = kind, request
        assert describe(describer, exchange) == describe(Describer(), exchange)


@given(st.text(max_size=80))
def test_a_template_has_as_many_segments_as_its_path(path: str) -> None:
    path = path.replace("#", "").replace(";", "")
    assert template(path).count("/") == path[:200].count("/") or len(path) > 100


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nCookie:" + b" " * (1 << 18) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + b"user" * (1 << 16) + b"\r\n\r\n",
        b"GET /" + b"a1" * (1 << 17) + b"! HTTP/1.1\r\n\r\n",
    ],
    ids=["a run of spaces", "a name without an end", "a segment without an end"],
)
@pytest.mark.parametrize("level", ["standard", "strict"])
def test_what_is_made_to_be_looked_at_again_and_again_is_looked_at_once(
    request_: bytes, level: str
) -> None:
    exchange = Exchange(client=b"\x7f\0\0\1")
    exchange.request, exchange.head_bytes = request_, len(request_)
    assert describe(Describer(), exchange).method == "GET"
    clean = Sanitizer(Policy.built_in(level), bytes(32)).exchange(exchange).exchange
    assert len(clean.request) == len(request_)
