"""Fuzzing of HTTP/1 framing: no exception on any bytes, and no byte of the client lost.

    python -m tests.fuzz.from_source http1 -max_total_time=600

The first bytes of an input say how its rest is cut into segments of either side, and gaps.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["capture"]):
    from capture.exchange import Close, Connection, Exchange
    from capture.http1.connection import Http1
    from capture.http1.digest import Digester
    from capture.http1.framing import Framing

_DIGESTER = Digester(b"fuzz")
_MOST_KEPT = 1 << 19
_TOKENS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil close",
    b"GET /old\r\n",
    b"\r\n",
    b"\x00\xff garbage\r\n",
)


def one_input(data: bytes) -> None:
    """Frame one input; fails where an exception escapes, or bytes are lost or kept for ever."""
    given = atheris.FuzzedDataProvider(data)
    out: list[Exchange] = []
    connection = Connection(0, b"\0\0\0\1", 1, "a:1", 0, bool(given.ConsumeBool()))
    max_body = given.PickValueInList([0, 1, 16, 1 << 16])
    http = Http1(connection, Framing(out, _DIGESTER, max_body, bool(given.ConsumeBool())))
    sent = answered = now = 0
    while given.remaining_bytes():
        now += given.PickValueInList([0, 1000, 5_000_000])
        what = given.ConsumeIntInRange(0, 15)
        if what >= 14:
            count = given.ConsumeIntInRange(1, 1 << 20)
            (http.client_gap if what == 14 else http.server_gap)(now, count)
            sent, answered = sent + count * (what == 14), answered + count * (what == 15)
            continue
        if what >= 8:
            part = given.PickValueInList(list(_TOKENS)) * given.ConsumeIntInRange(1, 3)
        else:
            part = given.ConsumeBytes(given.ConsumeIntInRange(1, 200))
        if what % 2:
            sent += len(part)
            http.client(now, part)
        else:
            answered += len(part)
            http.server(now, part)
    http.close(Close(given.ConsumeIntInRange(0, 6)))
    assert sum(each.request_bytes for each in out) == sent, "bytes of the client lost"
    assert sum(each.response_bytes for each in out) <= answered, "bytes of the server made up"
    assert connection.exchanges == len(out)
    assert sorted(each.position for each in out) == list(range(len(out)))
    for each in out:
        assert len(each.request) <= each.request_bytes
        assert len(each.request) <= max_body + _MOST_KEPT
        assert each.head_bytes <= len(each.request)
        assert len(each.response) <= each.response_bytes


def main() -> None:
    """Run until told to stop."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
