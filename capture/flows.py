"""TCP packets become connections, and their streams exchanges.

    flows = Flows(ledger)
    exchanges = flows.feed(packets)     # packets: (time_ns, src, dst, sport, dport, seq, ack,
    connections = flows.closed()        #           flags, payload, cut), see capture/packets.py
    exchanges = flows.finish()

A packet that continues its stream is handed on at once; any other waits in its stream until what
is missing comes, or is given up: after a while, or when too much waits for it. A connection that
ended lingers a second, so that late copies of its packets are not taken for a new one.
Whether it is HTTP is found from the bytes; what is not is counted in the ledger, by reason.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Sequence

from .exchange import Close, Connection, Exchange
from .http1 import Http1
from .http1_head import Heads
from .ledger import Ledger
from .recognise import HTTP2, NOT_YET, OTHER, REQUEST, RESPONSE, TLS, recognise
from .stream import MASK, Piece, Stream

Packet = tuple[int, bytes, bytes, int, int, int, int, int, bytes, int]
Key = tuple[bytes, bytes, int, int]

FIN, SYN, RST, ACK = 1, 2, 4, 16
_SECOND = 1_000_000_000
_LINGER_NS = _SECOND
_PATIENCE_NS = _SECOND // 2
_MOST_WAITING = 256
_HELD_LIMIT = 1 << 16
_WINDOW = 1 << 16
BYTES = "stream bytes"


class Flow:
    """A connection while it is followed."""

    __slots__ = (
        "closing", "connection", "done", "first", "held", "held_bytes", "http", "key", "last_ns",
        "refused", "second", "stuck_ns", "swapped",
    )  # fmt: skip

    def __init__(self, key: Key, connection: Connection) -> None:
        self.key = key  # of the direction in which `first` flows
        self.connection = connection
        self.first = Stream()
        self.second = Stream()
        self.swapped = False  # the server's stream is `first`
        self.http: Http1 | None = None
        self.held: list[tuple[bool, int, bytes, int]] = []
        self.held_bytes = 0
        self.refused = ""
        self.last_ns = 0
        self.stuck_ns = -1
        self.closing: Close | None = None
        self.done = False


class Flows:
    """Follows connections. `ports` narrows to connections with one of them on either side."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        ports: Collection[int] = (),
        max_body: int = 1 << 20,
        keep_bodies: bool = False,
        digest_key: bytes = b"",
        idle_ns: int = 300 * _SECOND,
    ) -> None:
        self._ledger = ledger
        self._ports = frozenset(ports)
        self._max_body = max_body
        self._keep_bodies = keep_bodies
        self._digest = hashlib.blake2b(key=digest_key, digest_size=8)
        self._idle_ns = idle_ns
        self._heads = Heads()
        self._out: list[Exchange] = []
        self._closed: list[Connection] = []
        self._flows: dict[Key, tuple[Flow, Stream, Stream]] = {}
        self._stuck: dict[Key, Flow] = {}
        self._ending: deque[tuple[int, Flow]] = deque()
        self._number = 0
        self._order = 0
        self._now = 0
        self._swept = 0

    def feed(self, packets: Sequence[Packet]) -> list[Exchange]:
        """Take packets in the order they were seen; the exchanges that are whole now."""
        flows = self._flows
        seen = 0
        for packet in packets:
            time_ns, _, _, _, _, seq, ack, flags, payload, cut = packet
            size = len(payload)
            seen += size
            entry = flows.get(packet[1:5])
            if entry is not None and size and not cut and not flags & 7:
                flow, stream, other = entry
                if seq == stream.next and stream.easy and ack == other.next:
                    stream.next = (seq + size) & MASK
                    stream.offset += size
                    flow.last_ns = time_ns
                    stream.deliver(time_ns, payload)
                    continue
            self._odd(packet, entry)
        if packets:
            self._now = max(self._now, packets[-1][0])
            self._ledger.saw(BYTES, seen)
            self._tidy()
        return self._drain()

    def closed(self) -> list[Connection]:
        """The connections that have ended since this was last asked."""
        closed, self._closed = self._closed, []
        return closed

    def finish(self) -> list[Exchange]:
        """The capture has ended: what was still open."""
        for flow in {id(entry[0]): entry[0] for entry in self._flows.values()}.values():
            self._give_up(flow)
            self._close(flow, flow.closing or Close.CAPTURE_END)
        self._flows.clear()
        self._ending.clear()
        self._stuck.clear()
        return self._drain()

    @property
    def open(self) -> int:
        """How many connections are followed."""
        return len(self._flows) // 2

    def _drain(self) -> list[Exchange]:
        ready = self._out.copy()
        self._out.clear()  # the framers go on appending to this very list
        return ready

    # --- packets that need thought

    def _odd(self, packet: Packet, entry: tuple[Flow, Stream, Stream] | None) -> None:
        time_ns, _, _, sport, dport, seq, ack, flags, payload, cut = packet
        if self._ports and sport not in self._ports and dport not in self._ports:
            self._ledger.became(BYTES, "of another port", len(payload))
            return
        if flags & SYN:
            entry = self._opened(packet, entry)
            seq = (seq + 1) & MASK
        elif entry is None:
            if not payload:
                return
            entry = self._found(packet)
        flow, stream, other = entry
        if flow.done:
            self._ledger.became(BYTES, "repeated", len(payload))
            return
        flow.last_ns = time_ns
        if stream.next < 0:
            stream.next = seq
        if flags & ACK and other.next < 0:
            other.next = ack
        start = stream.at(seq)
        if abs(start - stream.offset) > 1 << 30:
            self._ledger.became(BYTES, "outside the window", len(payload))
            return
        if flags & RST:
            self._reset(flow, stream, other, packet)
            self._ledger.became(BYTES, "in a reset", len(payload))
            return
        probe = start == stream.offset - 1 and len(payload) <= 1 and not flags & 3
        if payload and probe:
            self._ledger.became(BYTES, "repeated", len(payload))
            return
        if payload or cut:
            acked = other.reached(ack) if flags & ACK else -1
            self._order += 1
            stream.add(Piece(start, self._order, time_ns, payload, cut, acked))
        if flags & FIN and stream.fin < 0:
            end = start + len(payload) + cut
            if end >= stream.offset and end - stream.offset <= 1 << 24:
                stream.fin = end
        self._settle(flow, time_ns)

    def _opened(
        self, packet: Packet, entry: tuple[Flow, Stream, Stream] | None
    ) -> tuple[Flow, Stream, Stream]:
        time_ns, _, _, _, _, seq, ack, flags, _, _ = packet
        answer = bool(flags & ACK)
        due = (seq + 1) & MASK
        if entry is not None:
            flow, stream, other = entry
            fresh = stream.next < 0 or abs(stream.at(due)) > _WINDOW * 4
            same = stream.next >= 0 and stream.at(due) == 0
            if answer and (fresh or same) and not stream.offset and not flow.done:
                stream.next = due
                stream.easy = other.easy = other.next >= 0
                return entry
            if same or (answer and not flow.done):
                return entry
            self._give_up(flow)
            self._close(flow, flow.closing or Close.REUSED)
            self._forget(flow)
        flow = self._new(packet, swapped=answer, open_seen=True)
        flow.first.next = due
        if answer:
            flow.second.next = ack
            flow.first.easy = flow.second.easy = True
        flow.last_ns = time_ns
        return self._flows[packet[1:5]]

    def _found(self, packet: Packet) -> tuple[Flow, Stream, Stream]:
        """A connection that was open before the capture began."""
        kind = recognise(packet[8])
        low = packet[3] < packet[4]
        swapped = kind == RESPONSE or (kind != REQUEST and low)
        flow = self._new(packet, swapped=swapped, open_seen=False)
        flow.first.next = packet[5]
        if packet[7] & ACK:
            flow.second.next = packet[6]
            flow.first.easy = flow.second.easy = True
        return self._flows[packet[1:5]]

    def _new(self, packet: Packet, *, swapped: bool, open_seen: bool) -> Flow:
        time_ns, src, dst, sport, dport = packet[:5]
        client, server = ((dst, dport), (src, sport)) if swapped else ((src, sport), (dst, dport))
        connection = Connection(
            self._number, client[0], client[1], _name(*server), time_ns, open_seen
        )
        self._number += 1
        key = (src, dst, sport, dport)
        flow = Flow(key, connection)
        flow.swapped = swapped
        self._flows[key] = (flow, flow.first, flow.second)
        self._flows[(dst, src, dport, sport)] = (flow, flow.second, flow.first)
        for stream, is_first in ((flow.first, True), (flow.second, False)):
            stream.deliver = _Sniff(self, flow, is_first).data
            stream.miss = _Sniff(self, flow, is_first).gap
        return flow

    def _reset(self, flow: Flow, stream: Stream, other: Stream, packet: Packet) -> None:
        if not -_WINDOW <= stream.at(packet[5]) - stream.offset <= _WINDOW:
            self._ledger.book("resets", "outside the window, ignored")
            return
        self._ledger.book("resets", "believed")
        if flow.closing is None:
            by_client = (stream is flow.first) != flow.swapped
            flow.closing = Close.RST_CLIENT if by_client else Close.RST_SERVER
            self._ending.append((packet[0] + _LINGER_NS, flow))
            stream.easy = other.easy = False

    # --- putting in order

    def _settle(self, flow: Flow, time_ns: int) -> None:
        first, second = flow.first, flow.second
        moved = True
        while moved:
            moved = False
            for stream, other in ((first, second), (second, first)):
                while stream.pending and stream.ready(other):
                    stream.hand_on()
                    moved = True
                if 0 <= stream.fin <= stream.offset and not stream.ended:
                    stream.ended = moved = True
                    self._half_closed(flow, stream)
        waiting = len(first.pending) + len(second.pending)
        open_ = first.next >= 0 and second.next >= 0 and flow.closing is None
        first.easy = second.easy = open_ and not waiting and first.fin < 0 and second.fin < 0
        if not waiting:
            if flow.stuck_ns >= 0:
                flow.stuck_ns = -1
                self._stuck.pop(flow.key, None)
            if first.ended and second.ended and not flow.done:
                self._close(flow, flow.closing or Close.FIN_CLIENT)
                self._ending.append((time_ns + _LINGER_NS, flow))
            return
        if flow.stuck_ns < 0:
            flow.stuck_ns = time_ns
            self._stuck[flow.key] = flow
        if waiting > _MOST_WAITING or time_ns - flow.stuck_ns > _PATIENCE_NS:
            self._jump(flow, time_ns)
            flow.stuck_ns = time_ns
            self._settle(flow, time_ns)

    def _jump(self, flow: Flow, time_ns: int) -> None:
        """Give up the oldest missing bytes."""
        pairs = [(flow.first, flow.second), (flow.second, flow.first)]
        waiting = [pair for pair in pairs if pair[0].pending]
        stream, other = min(waiting, key=lambda pair: pair[0].pending[0].order)
        head = stream.pending[0]
        if head.acked > other.offset:
            limit = other.pending[0].start if other.pending else head.acked
            if limit > other.offset:
                other.skip(time_ns, min(head.acked, limit) - other.offset)
            else:
                # Each waits for the other: the acknowledgements cannot be true.
                stream.pending[0] = head._replace(acked=-1)
        elif head.start > stream.offset:
            stream.skip(head.time_ns, head.start - stream.offset)

    def _give_up(self, flow: Flow) -> None:
        while flow.first.pending or flow.second.pending:
            self._jump(flow, flow.last_ns)
            for stream, other in ((flow.first, flow.second), (flow.second, flow.first)):
                while stream.pending and stream.ready(other):
                    stream.hand_on()

    def _half_closed(self, flow: Flow, stream: Stream) -> None:
        by_client = (stream is flow.first) != flow.swapped
        if flow.closing is None:
            flow.closing = Close.FIN_CLIENT if by_client else Close.FIN_SERVER
        if flow.http is not None:
            if by_client:
                flow.http.client_end(flow.closing)
            else:
                flow.http.server_end(True)

    # --- ends

    def _tidy(self) -> None:
        while self._ending and self._ending[0][0] <= self._now:
            _, flow = self._ending.popleft()
            self._give_up(flow)
            self._close(flow, flow.closing or Close.FIN_CLIENT)
            self._forget(flow)
        for flow in [f for f in self._stuck.values() if self._now - f.stuck_ns > 2 * _PATIENCE_NS]:
            self._give_up(flow)
            self._settle(flow, flow.last_ns)
        if self._now - self._swept > self._idle_ns // 8:
            self._swept = self._now
            old = self._now - self._idle_ns
            for flow in {id(e[0]): e[0] for e in self._flows.values()}.values():
                if flow.last_ns < old:
                    self._give_up(flow)
                    self._close(flow, flow.closing or Close.IDLE)
                    self._forget(flow)

    def _forget(self, flow: Flow) -> None:
        src, dst, sport, dport = flow.key
        for key in (flow.key, (dst, src, dport, sport)):
            entry = self._flows.get(key)
            if entry is not None and entry[0] is flow:
                del self._flows[key]
        self._stuck.pop(flow.key, None)

    def _close(self, flow: Flow, how: Close) -> None:
        if flow.done:
            return
        flow.done = True
        first, second = flow.first, flow.second
        if flow.http is None and not flow.refused and self._ports and flow.held:
            self.begin(flow)
        if flow.http is None and flow.held and not flow.refused:
            self.refuse(flow, OTHER)
        client, server = (second, first) if flow.swapped else (first, second)
        connection = flow.connection
        if flow.http is not None:
            flow.http.close(how)
            connection.close = how
            connection.closed_ns = flow.last_ns if how != Close.CAPTURE_END else -1
            connection.client_bytes, connection.server_bytes = client.offset, server.offset
            connection.missing_bytes = client.missing + server.missing
            self._closed.append(connection)
            fate = "put in order"
        else:
            fate = flow.refused or "no data"
            self._ledger.book("connections", fate)
        for stream in (first, second):
            self._ledger.became(BYTES, fate, stream.offset - stream.missing)
            self._ledger.became(BYTES, "repeated", stream.repeated)
            if stream.differing:
                self._ledger.book("differing second copies", "ignored", stream.differing)
            if stream.missing:
                self._ledger.book("missing bytes", "given up", stream.missing)
        for stream in (first, second):
            stream.easy = False
            stream.deliver = stream.miss = _dropped
        flow.http = None
        flow.held.clear()

    # --- what it carries

    def sniff(self, flow: Flow, is_first: bool, time_ns: int, data: bytes, gap: int) -> None:
        """Bytes of a connection that was not recognised yet."""
        if flow.refused:
            return
        flow.held.append((is_first, time_ns, data, gap))
        flow.held_bytes += len(data)
        kind = recognise(data) if data else NOT_YET
        if kind == NOT_YET and data:
            kind = recognise(b"".join(item[2] for item in flow.held if item[0] is is_first))
        if kind in (REQUEST, RESPONSE):
            from_client = kind == REQUEST
            if from_client == (is_first == flow.swapped) and not flow.connection.open_seen:
                self._swap(flow)
            if from_client == (is_first != flow.swapped):
                self.begin(flow)
        elif kind in (TLS, HTTP2, OTHER):
            self.refuse(flow, kind)
        elif flow.held_bytes > _HELD_LIMIT or len(flow.held) > _MOST_WAITING:
            if self._ports:
                self.begin(flow)
            else:
                self.refuse(flow, OTHER)

    def begin(self, flow: Flow) -> None:
        """It is HTTP/1: frame what was held, and all that follows."""
        http = Http1(
            flow.connection, self._out, self._heads, self._digest, self._max_body,
            self._keep_bodies,
        )  # fmt: skip
        flow.http = http
        client, server = (flow.first, flow.second)
        if flow.swapped:
            client, server = server, client
        client.deliver, client.miss = http.client, http.client_gap
        server.deliver, server.miss = http.server, http.server_gap
        held, flow.held = flow.held, []
        for is_first, time_ns, data, gap in held:
            stream = flow.first if is_first else flow.second
            if gap:
                stream.miss(time_ns, gap)
            else:
                stream.deliver(time_ns, data)

    def refuse(self, flow: Flow, reason: str) -> None:
        """It is something else: count it, keep nothing."""
        flow.refused = reason
        flow.held.clear()
        for stream in (flow.first, flow.second):
            stream.deliver = stream.miss = _dropped

    def _swap(self, flow: Flow) -> None:
        """The client is the other end: its bytes say so."""
        flow.swapped = not flow.swapped
        src, dst, sport, dport = flow.key
        if flow.swapped:
            src, dst, sport, dport = dst, src, dport, sport
        connection = flow.connection
        connection.client, connection.client_port = src, sport
        connection.server = _name(dst, dport)


class _Sniff:
    """Where a stream's bytes go until the connection is recognised."""

    __slots__ = ("_first", "_flow", "_flows")

    def __init__(self, flows: Flows, flow: Flow, is_first: bool) -> None:
        self._flows, self._flow, self._first = flows, flow, is_first

    def data(self, time_ns: int, data: bytes) -> None:
        """Bytes."""
        self._flows.sniff(self._flow, self._first, time_ns, data, 0)

    def gap(self, time_ns: int, count: int) -> None:
        """Bytes that were never seen."""
        self._flows.sniff(self._flow, self._first, time_ns, b"", count)


def _dropped(_time_ns: int, _what: object) -> None:
    """Nobody reads this connection."""


def _name(address: bytes, port: int) -> str:
    import ipaddress

    text = str(ipaddress.ip_address(address))
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"
