"""Conversations written down as packets, and what reassembly makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from capture.exchange import Connection, Exchange
from capture.flows import Flows
from capture.ledger import Ledger
from capture.packets.frames import Packet
from capture.packets.tcp import ACK, FIN, RST, SYN

CLIENT, SERVER = b"\x0a\0\0\1", b"\x0a\0\0\2"
MS = 1_000_000
MASK = 0xFFFFFFFF


def get(target: str = "/", host: str = "a") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def post(body: bytes, target: str = "/up") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ok(body: bytes = b"hello") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Talk:
    """Both ends of a connection; each call is a packet, a millisecond after the one before."""

    port: int = 40000
    client_seq: int = 1000
    server_seq: int = 9000
    time_ns: int = 1_000_000_000

    def up(self, data: bytes = b"", flags: int = ACK, *, at: int = 0, cut: int = 0) -> Packet:
        """From the client; `at` moves it within the stream without moving what is due."""
        packet = self._packet(True, data, flags, at, cut)
        if not at:
            self.client_seq += len(data) + cut + bool(flags & SYN) + bool(flags & FIN)
        return packet

    def down(self, data: bytes = b"", flags: int = ACK, *, at: int = 0, cut: int = 0) -> Packet:
        """From the server."""
        packet = self._packet(False, data, flags, at, cut)
        if not at:
            self.server_seq += len(data) + cut + bool(flags & SYN) + bool(flags & FIN)
        return packet

    def opening(self) -> list[Packet]:
        return [self.up(flags=SYN), self.down(flags=SYN | ACK)]

    def closing(self) -> list[Packet]:
        return [self.up(flags=FIN | ACK), self.down(flags=FIN | ACK)]

    def reset(self, *, at: int = 0) -> Packet:
        return self.down(flags=RST, at=at)

    def _packet(self, up: bool, data: bytes, flags: int, at: int, cut: int) -> Packet:
        self.time_ns += MS
        seq, ack = self.client_seq, self.server_seq
        if not up:
            seq, ack = ack, seq
        ends = (CLIENT, SERVER, self.port, 80) if up else (SERVER, CLIENT, 80, self.port)
        ack = ack & MASK if flags & ACK else 0
        return (self.time_ns, *ends, (seq + at) & MASK, ack, flags, data, cut)


@dataclass
class Heard:
    """What came out, checked: the ledger balances, no byte of a client is in no exchange."""

    exchanges: list[Exchange]
    connections: list[Connection]
    ledger: Ledger

    def requests(self) -> list[bytes]:
        return [one.request for one in self.exchanges]


def hear(packets: Iterable[Packet], *, batch: int = 1, **options: object) -> Heard:
    ledger = Ledger()
    flows = Flows(ledger, **options)  # type: ignore[arg-type]
    exchanges: list[Exchange] = []
    listed = list(packets)
    for start in range(0, len(listed), batch):
        exchanges += flows.feed(listed[start : start + batch])
    exchanges += flows.finish()
    heard = Heard(exchanges, flows.closed(), ledger)
    check(heard)
    return heard


def check(heard: Heard) -> None:
    assert heard.ledger.imbalances() == []
    sent: Counter[int] = Counter()
    for one in heard.exchanges:
        sent[one.connection] += one.request_bytes
        assert 0 <= one.missing_bytes <= one.request_bytes
    told = {one.connection: one.client_bytes for one in heard.connections if one.client_bytes}
    assert +sent == told
    assert sum(one.exchanges for one in heard.connections) == len(heard.exchanges)


def summary(heard: Heard) -> list[tuple[object, ...]]:
    """What of the exchanges must not depend on how packets came."""
    return [
        (one.kind, one.request, one.request_bytes, one.missing_bytes, one.status,
         one.response_bytes, one.response_digest, one.defects, one.position)
        for one in heard.exchanges
    ]  # fmt: skip
