"""What holds for any bytes: nothing is raised, none of the client is lost, cuts do not matter."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.exchange import Close, Exchange, Flag
from tests.capture.conversations import (
    Split,
    Turn,
    byte_by_byte,
    client,
    client_gap,
    converse,
    facts,
    framer,
    server,
    server_gap,
)

METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"BREW"])
TARGETS = st.sampled_from([b"/", b"/a?b=c", b"/\xc3\xa9", b"http://h/p", b"*"])
BODIES = st.binary(max_size=40)
HEADERS = st.lists(
    st.sampled_from([b"Accept: */*", b"X: y", b"Connection: close", b"content-type: a/b", b"Y:"]),
    max_size=3,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


def _sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunked(bodies: list[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies if body)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


FRAMED = BODIES.map(_sized) | st.lists(BODIES, max_size=3).map(_chunked)
REQUESTS = st.builds(
    lambda method, target, headers, rest: (
        method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n" + headers + rest
    ),
    METHODS,
    TARGETS,
    HEADERS,
    FRAMED | st.just(b"\r\n"),
)
ANSWERS = st.builds(
    lambda interim, status, headers, rest: interim + b"HTTP/1.1 %d X\r\n" % status + headers + rest,
    st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]),
    st.sampled_from([200, 201, 301, 404, 503]),
    HEADERS,
    FRAMED,
)
PAIRS = st.lists(st.tuples(REQUESTS.filter(lambda r: r[:4] != b"HEAD"), ANSWERS), max_size=5)


def splits(draw_from: st.DataObject) -> Split:
    sizes = draw_from.draw(st.lists(st.integers(1, 60), min_size=1, max_size=12))

    def split(data: bytes) -> list[bytes]:
        parts, number = [], 0
        while data:
            size = sizes[number % len(sizes)]
            parts.append(data[:size])
            data, number = data[size:], number + 1
        return parts

    return split


def turns(pairs: list[tuple[bytes, bytes]], pipelined: bool) -> list[Turn]:
    if pipelined:
        return [
            client(b"".join(request for request, _ in pairs)),
            server(b"".join(answer for _, answer in pairs)),
        ]
    return [turn for request, answer in pairs for turn in (client(request), server(answer))]


@given(pairs=PAIRS, pipelined=st.booleans(), keep=st.booleans(), data=st.data())
def test_the_glance_and_the_slow_way_come_to_the_same_under_any_split(
    pairs: list[tuple[bytes, bytes]], pipelined: bool, keep: bool, data: st.DataObject
) -> None:
    script = turns(pairs, pipelined)
    quick = converse(script, keep_bodies=keep)
    slow = converse(script, keep_bodies=keep, slow=True)
    parts = converse(script, splits(data), keep_bodies=keep)
    assert [facts(each) for each in quick] == [facts(each) for each in slow]
    assert [facts(each) for each in quick] == [facts(each) for each in parts]
    assert [each.request for each in quick] == [request for request, _ in pairs]


LIKELY = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\n", b"\r", b" ", b"Content-Length: 3\r\n",
     b"0", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200 OK\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n",
     b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
     b"GET /\r\n", b"HTTP/1.1 101 X\r\n\r\n", b"HTTP/1.1 100 X\r\n\r\n", b"Content-Length: x\r\n"]
)  # fmt: skip
ANYTHING = st.lists(LIKELY | st.binary(max_size=8), max_size=8).map(b"".join)
TURNS = st.lists(
    st.builds(client, ANYTHING)
    | st.builds(server, ANYTHING)
    | st.builds(client_gap, st.integers(1, 300))
    | st.builds(server_gap, st.integers(1, 300)),
    max_size=10,
)


@settings(max_examples=300)
@given(script=TURNS, close=st.sampled_from(Close), size=st.sampled_from([0, 3, 1 << 20]),
       data=st.data())  # fmt: skip
def test_no_bytes_and_no_gaps_raise_anything_or_get_lost(
    script: list[Turn], close: Close, size: int, data: st.DataObject
) -> None:
    for keep in (False, True):
        out = converse(script, splits(data), close, max_body=size, keep_bodies=keep)
        assert [each.position for each in out] == list(range(len(out)))
        for each in out:
            assert len(each.request) <= each.request_bytes
            assert each.missing_bytes <= each.request_bytes
            cut = len(each.request) < each.request_bytes
            assert bool(each.flags & Flag.CUT_BY_CAPTURE) == cut


@settings(max_examples=300)
@given(sent=ANYTHING, data=st.data())
def test_what_a_client_sends_comes_out_the_same_under_any_split(
    sent: bytes, data: st.DataObject
) -> None:
    whole = converse([client(sent)], close=Close.FIN_CLIENT)
    parts = converse([client(sent)], splits(data), Close.FIN_CLIENT)
    assert b"".join(each.request for each in whole) == sent
    assert [facts(each) for each in whole] == [facts(each) for each in parts]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize("slow", [False, True])
def test_a_request_larger_than_the_limit_is_cut_and_says_so(slow: bool) -> None:
    (exchange,) = converse([client(HEAD + b"a" * 100), server(OK)], max_body=30, slow=slow)
    assert exchange.request == HEAD + b"a" * 30
    assert exchange.request_bytes == len(HEAD) + 100
    assert exchange.flags == Flag.CUT_BY_CAPTURE
    assert exchange.head_bytes == len(HEAD)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(("limit", "kept"), [(5, OK), (1, OK[:-1])])
def test_of_a_response_its_head_is_kept_and_on_demand_its_body_up_to_the_limit(
    slow: bool, limit: int, kept: bytes
) -> None:
    script = [client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), server(OK)]
    (head_only,) = converse(script, slow=slow, max_body=limit)
    (with_body,) = converse(script, slow=slow, max_body=limit, keep_bodies=True)
    assert (head_only.response, with_body.response) == (OK[:-2], kept)
    assert head_only.response_bytes == with_body.response_bytes == len(OK)


def answered(body: bytes, key: bytes = b"k") -> Exchange:
    get = client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    (exchange,) = converse([get, server(b"HTTP/1.1 200 OK\r\n" + body)], key=key)
    return exchange


def test_the_digest_of_a_body_depends_on_its_key_and_bytes_and_not_on_its_coding() -> None:
    sized, chunked = answered(_sized(b"abcdef")), answered(_chunked([b"abc", b"def"]))
    assert sized.response_digest == chunked.response_digest != 0
    assert answered(_sized(b"abcdeg")).response_digest != sized.response_digest
    assert answered(_sized(b"abcdef"), b"other").response_digest != sized.response_digest
    assert answered(_sized(b"")).response_digest == answered(_chunked([])).response_digest == 0
    assert answered(_sized(b"abcdef")[:-1]).response_digest == 0, "a part has no digest"


def test_huge_bodies_pass_in_constant_memory() -> None:
    out: list[Exchange] = []
    http = framer(out, max_body=1 << 10, keep_bodies=True)
    part = bytes(1 << 16)
    http.client(0, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(part) * 1000))
    tracemalloc.start()
    for _ in range(1000):
        http.client(0, part)
    http.server(0, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        http.server(0, b"10000\r\n" + part + b"\r\n")
    http.server(0, b"0\r\n\r\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(out) == 1
    assert out[0].request_bytes > len(part) * 1000
    assert out[0].response_bytes > len(part) * 1000
    assert peak < 1 << 20


def test_requests_without_any_answers_do_not_pile_up() -> None:
    out: list[Exchange] = []
    http = framer(out)
    for _ in range(5000):
        http.client(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(http.waiting) < 1500
    assert all(each.flags & Flag.NO_RESPONSE for each in out)
    http.server(0, OK)
    assert out[-1].flags & Flag.UNSOLICITED_RESPONSE, "never the answer of another request"


def test_hostile_streams_of_any_length_lose_no_byte_and_do_not_recurse() -> None:
    fatal = b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"
    tunnel = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"
    for unit in (fatal, tunnel, b"\r\n", b"GET / HTTP/1.1\n", b"\x00", b"GET /\r\n"):
        converse([client(unit * ((1 << 17) // len(unit)))])
    for unit in (b"y", b"\r\n", b"GET / HTTP/1.1\r\nX: y\r\n"):
        converse([client(unit * ((1 << 17) // len(unit)))], byte_by_byte)
