"""What the rules of a policy do, and that a malformed request stays malformed in the same way."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.exchange import Exchange, Flag, Kind
from capture.http1.head import read_fields, read_line
from capture.sanitize import Policy, Sanitizer
from capture.sanitize.suspects import suspects

POLICY = """
level = "standard"

[[rule]]
places = ["json"]
names = ["masked"]
action = "mask"

[[rule]]
places = ["json"]
names = ["dropped"]
action = "drop"

[[rule]]
places = ["json", "header"]
names = ["constant"]
action = "fixed"
value = "same"

[[rule]]
places = ["json"]
paths = ["order.**.place", "list.*.at"]

[[rule]]
places = ["graphql"]
names = ["*"]

[[rule]]
places = ["xml"]
names = ["holder"]

[[rule]]
places = ["header"]
names = ["x gone"]
action = "drop"

[[rule]]
places = ["body"]
types = ["text/csv"]
action = "mask"
"""


@pytest.fixture(scope="module")
def ruled() -> Sanitizer:
    return Sanitizer(Policy.parse(POLICY, "a test"), b"k" * 32)


@pytest.fixture(scope="module")
def built_in() -> dict[str, Sanitizer]:
    return {level: Sanitizer(Policy.built_in(level), b"k" * 32) for level in ("standard", "strict")}


def sent(sanitizer: Sanitizer, body: bytes, kind: bytes, more: bytes = b"") -> Exchange:
    made = Exchange()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n" % (
        kind, more, len(body),
    )  # fmt: skip
    made.request, made.head_bytes = head + body, len(head)
    made.request_bytes = len(made.request)
    return sanitizer.exchange(made).exchange


def body_of(exchange: Exchange) -> bytes:
    return exchange.request[exchange.head_bytes :]


def test_mask_drop_and_fixed_do_as_they_say_and_the_length_is_repaired(ruled: Sanitizer) -> None:
    body = b'{"masked":"Ab1","dropped":"gone","constant":"different"}'
    done = sent(ruled, body, b"application/json", b"X-Gone: a\r\nConstant: b\r\n")
    assert json.loads(body_of(done)) == {"masked": "Xx9", "dropped": "", "constant": "same"}
    assert b"Content-Length: %d\r\n" % len(body_of(done)) in done.request
    assert b"X-Gone" not in done.request
    assert b"Constant: same\r\n" in done.request
    assert done.flags & Flag.RESIZED
    assert done.request_bytes > len(done.request)  # as it was on the wire


def test_paths_reach_through_objects_and_lists(ruled: Sanitizer) -> None:
    body = b'{"order":{"a":{"b":{"place":"home"}},"other":"kept"},"list":[{"at":"work"}]}'
    new = json.loads(body_of(sent(ruled, body, b"application/json")))
    assert new["order"]["a"]["b"]["place"] != "home"
    assert new["list"][0]["at"] != "work"
    assert new["order"]["other"] == "kept"


def test_variables_of_a_graphql_query_are_a_place_of_their_own(ruled: Sanitizer) -> None:
    body = b'{"query":"{ user }","variables":{"any":"thing"}}'
    new = json.loads(body_of(sent(ruled, body, b"application/json")))
    assert new["query"] == "{ user }"
    assert new["variables"]["any"] != "thing"


def test_literals_under_telling_names_in_a_graphql_document_are_replaced(
    built_in: dict[str, Sanitizer],
) -> None:
    query = 'mutation M($id: ID) { login(password: "hunter22", pin: 4711, id: $id) { token } }'
    body = json.dumps({"query": query, "variables": {"email": "x", "page": "y"}}).encode()
    for _ in range(3):  # the structure of the body repeats
        new = json.loads(body_of(sent(built_in["standard"], body, b"application/json")))
        assert "hunter22" not in new["query"]
        assert "4711" not in new["query"]
        assert 'mutation M($id: ID) { login(password: "' in new["query"]
        assert ", id: $id) { token } }" in new["query"]
        assert new["variables"]["email"] != "x"
        assert new["variables"]["page"] == "y"


SEGMENTS = """
level = "{level}"
default = "{default}"
[[rule]]
places = ["path"]
names = ["public id"]
action = "keep"
[[rule]]
places = ["path"]
names = ["reset password"]
[[rule]]
places = ["path"]
paths = ["/users/*", "/files/**"]
action = "mask"
"""


@pytest.mark.parametrize(("level", "default"), [("standard", "scan"), ("strict", "pseudonym")])
def test_rules_take_segments_of_paths_by_the_name_before_them_or_by_their_path(
    level: str, default: str
) -> None:
    sanitizer = Sanitizer(
        Policy.parse(SEGMENTS.format(level=level, default=default), "x"), b"k" * 32
    )
    for target, new in {
        b"/users/ann/orders/mine": b"/users/xxx/orders/mine",
        b"/files/My/own.txt?page=x": b"/files/Xx/xxx.xxx?page=",
        b"http://shop/users/a%20b": b"http://shop/users/x%20x",
        b"/public-id/ab12/x": b"/public-id/ab12/x",
        b"/users;a=b/ann": b"/users;",
        b"/a/users/ann": b"/a/users/ann",
    }.items():
        made = Exchange()
        made.request = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        made.head_bytes = len(made.request)
        assert sanitizer.exchange(made).exchange.request.startswith(b"GET " + new), target
    made = Exchange()
    made.request = b"GET /resetPassword/horse HTTP/1.1\r\nHost: a\r\n\r\n"
    made.head_bytes = len(made.request)
    assert b"horse" not in sanitizer.exchange(made).exchange.request


def test_dates_of_birth_stay_dates_of_their_year_and_coordinates_stay_on_earth(
    built_in: dict[str, Sanitizer],
) -> None:
    body = {"dateOfBirth": "1970-09-29T00:00:00Z", "dob": "29/09/1970", "lat": 52.520008,
            "at": "13.404954,52.520008"}  # fmt: skip
    raw = json.dumps(body).encode()
    new = json.loads(body_of(sent(built_in["standard"], raw, b"application/json")))
    born = datetime.fromisoformat(new["dateOfBirth"])
    assert born.year == 1970
    assert new["dateOfBirth"] != body["dateOfBirth"]
    assert datetime.strptime(new["dob"], "%d/%m/%Y").year == 1970
    assert new["lat"] != body["lat"]
    assert 10 <= new["lat"] < 90
    assert all(10 <= float(each) < 90 for each in new["at"].split(","))
    assert new["at"] != body["at"]


def test_elements_and_attributes_of_xml_are_named(ruled: Sanitizer) -> None:
    new = body_of(sent(ruled, b'<a holder="Ann"><Holder>Bob</Holder><c>Cat</c></a>', b"text/xml"))
    assert b"Ann" not in new
    assert b"Bob" not in new
    assert b"<c>Cat</c>" in new


def test_a_rule_for_a_content_type_takes_the_whole_body(ruled: Sanitizer) -> None:
    assert body_of(sent(ruled, b"Ann;12", b"text/csv; charset=utf-8")) == b"Xxx;99"


LINES = st.sampled_from(
    [
        b"GET /a?b=c HTTP/1.1", b"GET  /a HTTP/1.1", b"GET /a", b"get /a HTTP/1.1", b"/a HTTP/1.1",
        b"POST /a HTTP/2.7", b"Host: a", b"Host : a", b"no colon", b"Content-Length: 3",
        b"Content-Length: 4", b"Content-Length: x1", b"Transfer-Encoding: chunked", b" folded",
        b"Transfer-Encoding: gzip, x", b"X-User: someone", b"Bad Name: a", b"X: a\x00b", b"3",
        b"Authorization: Basic x", b"Cookie: a=b; c", b"token=abc&d=e",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\n"])


@pytest.mark.parametrize("level", ["standard", "strict"])
@given(parts=st.lists(st.tuples(LINES, ENDS), min_size=1, max_size=8))
@example(parts=[(b"Authorization: Basic x", b"\r\n"), (b"3", b"\r\n"),
                (b"Transfer-Encoding: gzip, x", b"\r\n")])  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_malformed_bytes_keep_their_length_and_their_defects(
    built_in: dict[str, Sanitizer], level: str, parts: list[tuple[bytes, bytes]]
) -> None:
    raw = b"".join(line + end for line, end in parts)  # a head: no line of it is empty
    made = Exchange()
    made.kind, made.request, made.request_bytes = Kind.MALFORMED, raw, len(raw)
    new = built_in[level].exchange(made).exchange.request
    assert len(new) == len(raw)
    first, _, rest = raw.partition(b"\n")
    first_now, _, rest_now = new.partition(b"\n")
    assert read_line(first_now).defects == read_line(first).defects
    assert read_fields(rest_now).defects == read_fields(rest).defects


@given(data=st.text("ab@.:/=&%+-_ 0123456789", max_size=120))
@settings(max_examples=150, deadline=None)
def test_what_was_sanitized_holds_nothing_that_an_audit_would_find(
    built_in: dict[str, Sanitizer], data: str
) -> None:
    done = sent(built_in["strict"], b"z=" + data.encode(), b"application/x-www-form-urlencoded")
    kinds = {suspect.kind for suspect in suspects(done.request)}
    assert not kinds & {"card", "IBAN", "SSN", "JWT", "provider key"}
