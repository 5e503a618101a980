"""Scripted conversations: what each side says when, framed whole, byte by byte or split at random.

A script is a list of turns, one a line: `client(b"…")`, `server(b"…")`, `pause(ms)`, gaps and, at
last, how the connection closed. Every turn is a millisecond after the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

from capture.exchange import Close, Connection, Exchange
from capture.http1.connection import Http1
from capture.http1.digest import Digester
from capture.http1.framing import Framing

MS = 1_000_000
Split = Callable[[bytes], Iterable[bytes]]


class Turn(NamedTuple):
    """Something that one side says (or that is missing), or a pause, or the end of its stream."""

    what: str
    data: bytes = b""
    count: int = 0


def client(data: bytes) -> Turn:
    return Turn("client", data)


def server(data: bytes) -> Turn:
    return Turn("server", data)


def client_gap(count: int) -> Turn:
    return Turn("client gap", b"", count)


def server_gap(count: int) -> Turn:
    return Turn("server gap", b"", count)


def pause(ms: int) -> Turn:
    return Turn("pause", b"", ms)


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def at_random(seed: int) -> Split:
    random = Random(seed)

    def split(data: bytes) -> list[bytes]:
        parts = []
        while data:
            size = random.choice((1, 2, 3, 7, 20, 100, len(data)))
            parts.append(data[:size])
            data = data[size:]
        return parts

    return split


SPLITS: dict[str, Split] = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    **{f"at random {seed}": at_random(seed) for seed in range(3)},
}


def framer(
    out: list[Exchange], *, key: bytes = b"k", max_body: int = 1 << 20, keep_bodies: bool = False
) -> Http1:
    """What frames one connection."""
    connection = Connection(0, b"\x0a\0\0\1", 40000, "10.0.0.2:80", 0, True)
    return Http1(connection, Framing(out, Digester(key), max_body, keep_bodies))


def converse(
    script: Sequence[Turn],
    split: Split = whole,
    close: Close = Close.CAPTURE_END,
    *,
    key: bytes = b"k",
    max_body: int = 1 << 20,
    keep_bodies: bool = False,
    slow: bool = False,
) -> list[Exchange]:
    """Play a script; its exchanges. `slow` goes past what recognises exchanges at a glance."""
    out: list[Exchange] = []
    http = framer(out, key=key, max_body=max_body, keep_bodies=keep_bodies)
    take = {
        "client": lambda *part: http.asking().data(*part) if slow else http.client(*part),
        "server": lambda *part: http.answering().data(*part) if slow else http.server(*part),
    }
    now = 0
    for turn in script:
        now += MS
        if turn.what == "pause":
            now += turn.count * MS
        elif turn.what == "client gap":
            http.client_gap(now, turn.count)
        elif turn.what == "server gap":
            http.server_gap(now, turn.count)
        else:
            for part in split(turn.data):
                take[turn.what](now, part)
    http.close(close)
    assert http.connection.exchanges == len(out)
    sent = sum(len(turn.data) if turn.what == "client" else 0 for turn in script)
    missing = sum(turn.count for turn in script if turn.what == "client gap")
    assert sum(each.request_bytes for each in out) == sent + missing, "bytes lost"
    answered = sum(len(turn.data) if turn.what == "server" else 0 for turn in script)
    assert sum(each.response_bytes for each in out) <= answered + sum(
        turn.count for turn in script if turn.what == "server gap"
    )
    return sorted(out, key=lambda each: each.position)


def facts(exchange: Exchange) -> dict[str, object]:
    """Everything about an exchange, to be compared."""
    return {name: getattr(exchange, name) for name in dir(exchange) if not name.startswith("_")}
