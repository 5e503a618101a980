"""What proxies say before the HTTP begins is taken off, counted, and believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.accounts import APART, BYTES
from capture.prefaces import MORE, preface
from tests.capture.conversation import CLIENT, Talk, get, hear, ok

REAL = bytes([192, 0, 2, 7])
SIX = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07"
V2 = b"\r\n\r\n\0\r\nQUIT\n"
VERSION_1 = b"PROXY TCP4 192.0.2.7 10.0.0.2 51000 80\r\n"
VERSION_1_SIX = b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 80\r\n"
VERSION_2 = V2 + b"\x21\x11\0\x0c" + REAL + bytes(4) + (51000).to_bytes(2, "big") + b"\0\x50"
VERSION_2_SIX = (
    V2
    + b"\x21\x21\0\x2b"
    + SIX
    + bytes(16)
    + (51000).to_bytes(2, "big")
    + b"\0\x50"
    + b"\4\0\4tlvs"
)
SOCKS_5 = b"\x05\x01\x00" + b"\x05\x01\x00\x03\x0ashop.local\x00\x50"
SOCKS_5_ANSWER = b"\x05\x00" + b"\x05\x00\x00\x01\x0a\0\0\2\x00\x50"
SOCKS_5_PASSWORD = b"\x05\x02\x00\x02" + b"\x01\x02me\x02pw" + b"\x05\x01\x00\x01\x0a\0\0\2\x00\x50"
SOCKS_4 = b"\x04\x01\x00\x50\x0a\0\0\2me\0"
SOCKS_4A = b"\x04\x01\x00\x50\0\0\0\1me\0shop.local\0"
TELLING = [(VERSION_1, REAL), (VERSION_1_SIX, SIX), (VERSION_2, REAL), (VERSION_2_SIX, SIX)]
SILENT = [SOCKS_5, SOCKS_5_PASSWORD, SOCKS_4, SOCKS_4A, b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0"]


@pytest.mark.parametrize(("said", "address"), TELLING)
@pytest.mark.parametrize("part", [1, 7, 1000])
def test_the_client_that_a_proxy_tells_of_is_the_client(
    said: bytes, address: bytes, part: int
) -> None:
    talk = Talk()
    opening = talk.opening()
    data = said + get("/1")
    packets = [talk.up(data[at : at + part]) for at in range(0, len(data), part)]
    heard = hear([*opening, *packets, talk.down(ok()), talk.up(get("/2")), talk.down(ok())])
    assert heard.requests() == [get("/1"), get("/2")]
    assert {(one.client, one.client_port) for one in heard.exchanges} == {(address, 51000)}
    assert heard.connections[0].client == address
    assert heard.connections[0].client_bytes == len(get("/1") + get("/2"))
    assert heard.ledger.count(BYTES, APART) == len(said)


@pytest.mark.parametrize("said", SILENT)
def test_what_else_is_said_to_a_proxy_is_no_part_of_the_request(said: bytes) -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.up(said), talk.up(get()), talk.down(ok())])
    assert heard.requests() == [get()]
    assert heard.exchanges[0].client == CLIENT
    assert heard.ledger.count(BYTES, APART) == len(said)


def test_what_a_socks_proxy_answers_is_no_part_of_the_response() -> None:
    talk = Talk()
    heard = hear([
        *talk.opening(), talk.up(SOCKS_5[:3]), talk.down(SOCKS_5_ANSWER[:2]), talk.up(SOCKS_5[3:]),
        talk.down(SOCKS_5_ANSWER[2:]), talk.up(get()), talk.down(ok()), *talk.closing(),
    ])  # fmt: skip
    assert [(one.request, one.status) for one in heard.exchanges] == [(get(), 200)]
    assert heard.exchanges[0].response_bytes == len(ok())
    assert heard.ledger.count(BYTES, APART) == len(SOCKS_5 + SOCKS_5_ANSWER)


@pytest.mark.parametrize("said", [each for each, _ in TELLING] + SILENT)
def test_a_preface_is_told_by_its_first_bytes_and_ends_where_it_ends(said: bytes) -> None:
    for end in range(6, len(said)):
        found = preface(said[:end])
        assert found is None or not found.size or found.size <= end
    found = preface(said + b"GET / HTTP/1.1\r\n")
    assert found is not None
    assert found.size == len(said)


@pytest.mark.parametrize("said", [b"PROPFIND /", b"POST /", b"\r\nGET /", b"GET /", b"\x05\0\0\3"])
def test_what_only_looks_a_little_like_one_is_none(said: bytes) -> None:
    assert preface(said) is None


@given(
    st.binary(max_size=80), st.sampled_from([V2, b"PROXY ", b"\x05", b"\x04\x01", b"\0\x5a", b""])
)
def test_any_bytes_are_a_preface_or_none_or_too_few(data: bytes, start: bytes) -> None:
    found = preface(start + data)
    assert found in (None, MORE) or found.size > 0
