"""Where a response ends, however its bytes come; and what is no response."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.sending.framing import Garbage, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok"),
    b"HTTP/1.0 404 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n": (404, b""),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, b""),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 304 \r\n\r\n": (304, b""),
    CHUNKED + b"2\r\nok\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n": (200, b"ok0123456789"),
    CHUNKED + b"0002 \r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n": (200, b"ok"),
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok": (200, b"ok"),
}
NONE = [
    b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    CHUNKED + b"\r\n",
    CHUNKED + b"-2\r\nok\r\n",
    CHUNKED + b"+2\r\nok\r\n",
    CHUNKED + b"0x2\r\nok\r\n",
    CHUNKED + b"1_0\r\n",
    CHUNKED + b"2 2\r\nok\r\n",
    CHUNKED + b"f" * 40 + b"\r\n",
]


def read(pieces: list[bytes]) -> tuple[ResponseReader, bytes]:
    reader, left = ResponseReader({}, keep=True), b""
    for piece in pieces:
        left += reader.feed(piece) if not reader.done else piece
    return reader, left


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 90), max_size=6))
def test_a_response_ends_where_it_ends_however_it_is_split(data: bytes, cuts: list[int]) -> None:
    whole = data + b"HTTP/1.1 "
    edges = sorted({0, *(min(cut, len(whole)) for cut in cuts), len(whole)})
    reader, left = read([whole[a:b] for a, b in pairwise(edges)])
    assert reader.done
    assert (reader.status, reader.body) == WHOLE[data]
    assert left == b"HTTP/1.1 "
    assert reader.bytes_in == len(data)


@pytest.mark.parametrize("data", NONE)
def test_what_is_no_response_is_garbage_whole_and_byte_by_byte(data: bytes) -> None:
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        with pytest.raises(Garbage):
            read(pieces)


def test_a_response_of_no_known_length_ends_with_its_connection() -> None:
    reader, _ = read([b"HTTP/1.1 200 OK\r\n\r\n", b"some", b" text"])
    assert not reader.done
    assert reader.end()
    assert reader.body == b"some text"
