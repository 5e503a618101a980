"""Reads a capture of the corpus through the whole of capture, short of sanitizing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from capture.exchange import Connection, Exchange, Kind
from capture.flows import Flows
from capture.ledger import Ledger
from capture.packets.decap import Decapsulator
from capture.packets.sources import open_capture

Line = tuple[str, str]


def read_capture(path: Path) -> tuple[list[Exchange], list[Connection], Ledger]:
    """All exchanges and connections of a file, and what became of its packets and bytes."""
    ledger = Ledger()
    decapsulator, flows = Decapsulator(ledger), Flows(ledger)
    exchanges: list[Exchange] = []
    connections: list[Connection] = []
    for frames in open_capture(str(path)).frames():
        exchanges += flows.feed(decapsulator.packets(frames))
        connections += flows.closed()
    decapsulator.close()
    exchanges += flows.finish()
    return exchanges, connections + flows.closed(), ledger


def request_lines(exchanges: list[Exchange]) -> Counter[Line]:
    """Method and the beginning of the target of every request, well-formed or not."""
    asked = (one for one in exchanges if one.request_bytes and one.kind <= Kind.MALFORMED)
    return Counter(request_line(one) for one in asked)


def request_line(exchange: Exchange) -> Line:
    """What stands where the method and the target belong."""
    words = exchange.request.lstrip(b"\r\n").split(b"\n", 1)[0].split()
    method = words[0].decode("latin-1") if words else ""
    return short(method, words[1].decode("latin-1") if len(words) > 1 else "")


def short(method: str, target: str) -> Line:
    """As the tables of differences write it."""
    return method[:24], target[:48]
