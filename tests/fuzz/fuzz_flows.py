"""Fuzzes reassembly and framing: python -m tests.fuzz.from_source flows -max_total_time=60

One invariant: nothing is raised, the ledger balances, and every byte of a client, missing ones
included, is in exactly one exchange.
"""

from __future__ import annotations

import sys

from capture.packets.frames import Packet
from tests.capture.conversation import CLIENT, SERVER, check, get, hear, ok, post
from tests.fuzz.instrument import instrument

_WORDS = (  # what most inputs are made of
    b"",
    get(),
    ok(),
    post(b"abc"),
    b"HTTP/1.1 200 OK\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 9\r\n",
    b"HTTP/1.1 101 x\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01",
    b"x",
    b"PROXY TCP4 192.0.2.7 10.0.0.2 5 80\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x0a\0\0\2\0\5\0\x50",
    b"\x05\1\0",
    b"\x05\0",
    b"\x05\1\0\3\1a\0\x50",
    b"\x05\0\0\1\x0a\0\0\2\0\x50",
)
_HEAD = 5


def packets_of(data: bytes) -> list[Packet]:
    """Packets that some bytes describe: small moves of the sequence numbers, words or raw bytes."""
    found: list[Packet] = []
    due = [0xFFFFFF00, 100]  # of the client's stream, which wraps soon, and of the server's
    at = time_ns = 0
    while at + _HEAD <= len(data):
        how, flags, move, pause, word = data[at : at + _HEAD]
        at += _HEAD
        if word < 128:
            payload = _WORDS[word % len(_WORDS)]
        else:
            payload = data[at : at + word - 128]
            at += len(payload)
        up = how & 1
        ends = (CLIENT, SERVER, 9 + (how >> 7), 80) if up else (SERVER, CLIENT, 80, 9 + (how >> 7))
        seq = due[up] + (move - 128 if how & 2 else 0)
        if not how & 4:
            due[up] += len(payload)
        time_ns += pause * 8_000_000
        kind = flags if how & 8 else 16
        kind |= move << 16 if kind & 32 else 0
        cut = move if how & 0x30 == 0x30 else 0
        found.append(
            (time_ns, *ends, seq & 0xFFFFFFFF, due[1 - up] & 0xFFFFFFFF, kind, payload, cut)
        )
    return found


def one_input(data: bytes) -> None:
    """The invariant, for one input."""
    asked = {"ports": [80]} if data[:1] > b"\x80" else {}
    check(hear(packets_of(data[1:]), batch=3, **asked))


def main() -> None:
    """Let atheris search."""
    import atheris

    instrument(atheris, "flows", "flow", "carried", "prefaces", "recent", "stream",
               "http1.connection", "http1.request", "http1.response")  # fmt: skip
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
