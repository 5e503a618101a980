"""Tapes made up for tests, with connections that end as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capture.exchange import Close, Connection, Exchange, Flag, Kind, RequestEnd
from capture.sanitize.sanitized import Sanitized
from capture.tape import TapeHeader, TapeWriter
from tests.replay.recorder import BASE_NS

MS = 1_000_000


@dataclass(frozen=True)
class Request:
    """One request of a tape: on which connection, when, its bytes and what was odd about it."""

    connection: int
    at_ms: float
    raw: bytes
    flags: Flag = Flag.NONE
    ended: RequestEnd = RequestEnd.COMPLETE
    pieces: tuple[tuple[int, int], ...] = ()  # (offset, ms after the first byte)
    length: int = 0  # on the wire, where the capture kept less


def tape_of(
    path: Path,
    requests: list[Request],
    opened_ms: dict[int, float] | None = None,
    closed_ms: dict[int, tuple[float, Close]] | None = None,
    server: str = "203.0.113.7:80",
) -> Path:
    """A tape of these requests, and of the ends of their connections where they are given."""
    writer = TapeWriter(path, TapeHeader())
    opened = opened_ms or {}
    positions: dict[int, int] = {}
    for each in requests:
        exchange = Exchange(each.connection, positions.setdefault(each.connection, 0))
        positions[each.connection] += 1
        exchange.opened_ns = BASE_NS + round(opened.get(each.connection, 0) * MS)
        fill(exchange, each)
        writer.append(Sanitized(exchange, 1))
    for number, (at, close) in (closed_ms or {}).items():
        connection = Connection(number, b"\0\0\0\0", 1, server, BASE_NS, True)
        connection.closed_ns = BASE_NS + round(at * MS)
        connection.close = close
        connection.exchanges = positions[number]
        writer.append_connection(connection, 1)
    writer.close()
    return path


def fill(exchange: Exchange, request: Request) -> None:
    exchange.request = request.raw
    exchange.request_bytes = request.length or len(request.raw)
    head = request.raw.find(b"\r\n\r\n")
    exchange.head_bytes = head + 4 if head >= 0 else 0
    exchange.kind = Kind.HTTP1 if exchange.head_bytes else Kind.MALFORMED
    exchange.flags, exchange.ended = request.flags, request.ended
    exchange.request_first_ns = exchange.request_last_ns = BASE_NS + round(request.at_ms * MS)
    exchange.pieces = tuple(
        (offset, exchange.request_first_ns + after * MS) for offset, after in request.pieces
    )
    if not request.flags & Flag.NO_RESPONSE:
        exchange.response_first_ns = exchange.request_last_ns + MS // 2
        exchange.response_last_ns = exchange.response_first_ns
        exchange.status = 200
