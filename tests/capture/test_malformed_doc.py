"""docs/malformed.md lists every class of defect, its tier, and an example that has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.defects import FATAL, SEVERE, Defect, verdict
from capture.exchange import Close, Kind, RequestEnd
from tests.capture.conversations import (
    Split,
    byte_by_byte,
    client,
    client_gap,
    converse,
    server,
    whole,
)

DOC = Path(__file__).parents[2] / "docs" / "malformed.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", re.M)
ROWS = {name: (kind, example) for name, kind, _, example in ROW.findall(DOC.read_text())}
WITHOUT_EXAMPLE = {"HEAD_TOO_LARGE", "GAP_IN_HEAD", "AFTER_CLOSE"}


def test_every_class_is_described_and_nothing_else_is() -> None:
    assert list(ROWS) == [each.name for each in Defect]


@pytest.mark.parametrize("name", ROWS)
def test_the_tier_of_a_class_is_the_one_it_says(name: str) -> None:
    assert verdict(Defect[name]) == ROWS[name][0]


def test_each_severe_class_is_explained() -> None:
    explained = DOC.read_text().partition("## Why a class is severe")[2].partition("Not severe")[0]
    assert set(re.findall(r"`([A-Z0-9_]{2,})`", explained)) == {each.name for each in SEVERE}


@pytest.mark.parametrize("name", sorted(set(ROWS) - WITHOUT_EXAMPLE))
def test_an_example_has_its_defect_and_no_other(name: str) -> None:
    found = re.match(r"`(.+?)`(?: –|$)", ROWS[name][1])
    assert found, name
    raw = found[1].encode().decode("unicode_escape").encode("latin-1")
    for split in (whole, byte_by_byte):
        (exchange,) = converse([client(raw)], split, Close.FIN_CLIENT)
        assert Defect(exchange.defects) == Defect[name]
        fatal = bool(Defect[name] & FATAL)
        assert exchange.kind == (Kind.MALFORMED if fatal else Kind.HTTP1)
        assert exchange.request == raw


@pytest.mark.parametrize("split", [whole, byte_by_byte])
def test_a_head_that_is_too_large_is_malformed_and_the_next_request_is_found(
    split: Split,
) -> None:
    line = b"GET / HTTP/1.1\r\n"
    huge = line + b"X: y\r\n" * (1 << 16)
    first, second = converse([client(huge + line + b"Host: a\r\n\r\n")], split)
    assert (first.request, first.kind) == (huge, Kind.MALFORMED)
    assert first.defects & Defect.HEAD_TOO_LARGE
    assert (second.request, second.defects) == (line + b"Host: a\r\n\r\n", 0)


def test_a_gap_in_a_head_is_filled_and_measured_and_the_next_segment_begins_anew() -> None:
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    script = [client(b"GET / HT"), client_gap(9), client(b"st: a\r\n\r\n"), client(get)]
    first, second = converse(script)
    assert first.request == b"GET / HT" + b"x" * 9 + b"st: a\r\n\r\n"
    assert (first.kind, first.ended) == (Kind.MALFORMED, RequestEnd.GAP)
    assert (Defect(first.defects), first.missing_bytes) == (Defect.GAP_IN_HEAD, 9)
    assert (second.request, second.defects) == (get, 0)


def test_a_gap_in_a_body_keeps_the_exchange_and_its_framing() -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    script = [client(head + b"ab"), client_gap(3), client(b"\r\n0\r\n\r\n")]
    (exchange,) = converse(script)
    assert exchange.request == head + b"abxxx\r\n0\r\n\r\n"
    assert (exchange.kind, exchange.ended) == (Kind.HTTP1, RequestEnd.COMPLETE)
    assert (exchange.defects, exchange.missing_bytes) == (0, 3)


CLOSE, KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"


def request(version: bytes, headers: bytes = b"") -> bytes:
    return b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + headers + b"\r\n"


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        (request(b"1.1", CLOSE), True),
        (request(b"1.1", b"Connection: x, Close\r\n"), True),
        (request(b"1.0"), True),
        (b"GET /\r\n", True),
        (request(b"1.1"), False),
        (request(b"1.1", KEEP), False),
        (request(b"1.0", KEEP), False),
        (request(b"1.0", b"Proxy-Connection: Keep-Alive\r\n"), False),
    ],
)
def test_what_comes_after_the_last_request_is_told(
    first: bytes, last: bool, apart: bool, split: Split
) -> None:
    more = [request(b"1.1"), request(b"1.1", KEEP)]
    answer = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    script = (
        [client(each) for each in (first, *more)] if apart else [client(first + b"".join(more))]
    )
    if apart:
        script.insert(1, answer)
    out = converse(script, split, Close.FIN_CLIENT)
    told = Defect.AFTER_CLOSE if last else Defect.NONE
    assert [each.request for each in out] == [first, *more]
    assert [Defect(each.defects) & Defect.AFTER_CLOSE for each in out] == [0, told, told]


@pytest.mark.parametrize("split", [whole, byte_by_byte])
def test_an_empty_line_after_the_last_request_is_none(split: Split) -> None:
    out = converse([client(request(b"1.1", CLOSE) + b"\r\n")], split, Close.FIN_CLIENT)
    assert not any(each.defects & Defect.AFTER_CLOSE for each in out)


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize(
    ("extension", "wrong"),
    [
        (b";a", False),
        (b';a=b;c="d;\\"e"', False),
        (b" ; a = b", False),
        (b";", True),
        (b";a=", True),
        (b';a="b', True),
        (b";a b", True),
    ],
)
def test_extensions_of_chunks_are_looked_at(extension: bytes, wrong: bool, split: Split) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"1" + extension + b"\r\nx\r\n0\r\n\r\n"
    (exchange,) = converse([client(raw)], split)
    assert (exchange.request, exchange.kind) == (raw, Kind.HTTP1)
    assert Defect(exchange.defects) == (Defect.CHUNK_EXTENSION if wrong else Defect.NONE)


@pytest.mark.parametrize(
    ("line", "also"),
    [
        (b"Content-Length : 1\r\n", Defect.SPACE_BEFORE_COLON),
        (b"Transfer- Encoding: chunked\r\n", Defect.BAD_HEADER_NAME),
        (b"Tran\xc5\xbffer-Encoding: chunked\r\n", Defect.BAD_HEADER_NAME),
        (b"Transfer-Encod\xc4\xb1ng: chunked\r\n", Defect.BAD_HEADER_NAME),
        (b"\xc2\xa0Content-Length: 1\r\n", Defect.BAD_HEADER_NAME),
        (b"X: y\r\n\tContent-Length: 1\r\n", Defect.OBS_FOLD),
        (b"Content_Length: 1\r\n", Defect.NONE),
    ],
)
def test_a_line_that_may_frame_to_others_is_a_lookalike(line: bytes, also: Defect) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n"
    exchange = converse([client(head + b"x")], close=Close.FIN_CLIENT)[0]
    assert Defect(exchange.defects) == Defect.LOOKALIKE | also


@pytest.mark.parametrize(
    "line", [b"X : 1\r\n", b"X(1): 1\r\n", b"X: 1\r\n Y: 2\r\n", b"X: \x01\r\n"]
)
def test_a_line_that_frames_to_nobody_is_no_lookalike(line: bytes) -> None:
    (exchange,) = converse([client(b"PUT / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n")])
    assert verdict(exchange.defects) == "ambiguous"


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize(
    ("raw", "also"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", Defect.NONE),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n", Defect.NONE),
        (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Defect.BAD_TARGET),
    ],
)
def test_nul_and_cr_are_told_apart_from_other_control_bytes(
    raw: bytes, also: Defect, split: Split
) -> None:
    (exchange,) = converse([client(raw)], split)
    assert (exchange.request, exchange.kind) == (raw, Kind.HTTP1)
    assert Defect(exchange.defects) == Defect.NUL_OR_CR | also


@pytest.mark.parametrize("trailer", [b"X: \0\r\n", b"X: a\rb\r\n"])
def test_nul_and_cr_in_a_trailer_are_told(trailer: bytes) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    (exchange,) = converse([client(head + b"0\r\n" + trailer + b"\r\n")])
    assert Defect(exchange.defects) == Defect.NUL_OR_CR
