"""docs/malformed.md lists every class of defect, its kind, and an example that has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.defects import FATAL, HARMLESS, Defect, verdict
from capture.exchange import Close, Kind, RequestEnd
from tests.capture.conversations import Split, byte_by_byte, client, client_gap, converse, whole

DOC = Path(__file__).parents[2] / "docs" / "malformed.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", re.M)
ROWS = {name: (kind, example) for name, kind, _, example in ROW.findall(DOC.read_text())}
WITHOUT_EXAMPLE = {"HEAD_TOO_LARGE", "GAP_IN_HEAD"}


def test_every_class_is_described_and_nothing_else_is() -> None:
    assert list(ROWS) == [each.name for each in Defect]


@pytest.mark.parametrize("name", ROWS)
def test_the_kind_of_a_class_is_the_one_it_says(name: str) -> None:
    assert verdict(Defect[name]) == ROWS[name][0]


def test_no_class_is_both_fatal_and_harmless() -> None:
    assert not FATAL & HARMLESS


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
