"""TCP packets become connections, and their streams exchanges.

    flows = Flows(ledger)
    exchanges = flows.feed(packets)     # packets: (time_ns, src, dst, sport, dport, seq, ack,
    connections = flows.closed()        #           flags, payload, cut), see packets/frames.py
    exchanges = flows.finish()

A packet that continues its stream is handed on at once; any other waits in its stream until what
is missing comes, or is given up: after a while, or when too much waits for it. A connection that
ended lingers a second, so that late copies of its packets are not taken for a new one.
Whether it is HTTP is found from the bytes; what is not is counted in the ledger, by reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from .accounts import BYTES, account, told
from .addresses import Ends, endpoint_name
from .carried import Undecided
from .exchange import Close, Connection, Exchange
from .flow import PATIENCE_NS, Flow, Key, key_of
from .http1.digest import Digester
from .http1.framing import Framing
from .ledger import Ledger
from .packets.frames import Packet
from .packets.tcp import ACK, FIN, RST, SYN, URG
from .recent import Recent
from .recognise import REQUEST, RESPONSE, recognise
from .rivals import Packets, Rivals
from .stream import EASY, MASK, UPWARD, Piece, Stream

_NOT_EASY: Final = FIN | SYN | RST | URG
_SECOND: Final = 1_000_000_000  # a connection that ended lingers for one
_WINDOW: Final = 1 << 16
_FIN_REACH: Final = 1 << 20  # so much may be missing before an end that is believed


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
        self._idle_ns = idle_ns
        self._out: list[Exchange] = []
        self._framing = Framing(self._out, Digester(digest_key), max_body, keep_bodies)
        self._closed: list[Connection] = []
        self._flows: dict[Key, Flow] = {}
        self._stuck: dict[Key, Flow] = {}
        self._ending: deque[tuple[int, Flow]] = deque()
        self._recent = Recent()
        self._rivals = Rivals(ledger)
        self._ends = Ends()
        self._number = 0
        self._order = 0
        self._now = 0
        self._swept = 0

    def feed(self, packets: Sequence[Packet]) -> list[Exchange]:
        """Take packets in the order they were seen; the exchanges that are whole now."""
        flows = self._flows
        self._recent.begin(packets)
        seen = 0
        for packet in packets:
            time_ns, src, dst, sport, dport, seq, ack, flags, payload, cut = packet
            size = len(payload)
            seen += size
            if sport < dport or (sport == dport and src < dst):
                flow = flows.get((src, dst, sport, dport))
                if flow is None:
                    self._odd(packet, None, None)
                    continue
                stream, other = flow.first, flow.second
            else:
                flow = flows.get((dst, src, dport, sport))
                if flow is None:
                    self._odd(packet, None, None)
                    continue
                stream, other = flow.second, flow.first
            if (
                seq != stream.next
                or not stream.state & EASY
                or ack != other.next
                or flags & _NOT_EASY
                or not size
                or cut
            ):
                self._odd(packet, flow, stream)
                continue
            stream.next = (seq + size) & MASK
            stream.offset += size
            flow.last_ns = time_ns
            if stream.state & UPWARD:
                flow.reader.client(time_ns, payload)
            else:
                flow.reader.server(time_ns, payload)
        if packets:
            self._now = max(self._now, packets[-1][0])
            self._ledger.saw(BYTES, seen)
            self._tidy()
        return self._drain()

    def closed(self) -> list[Connection]:
        """The connections that have ended since this was last asked."""
        closed, self._closed = self._closed, []
        return closed

    def expire(self, now_ns: int) -> list[Exchange]:
        """No packet came, but time passes: what has waited or been silent too long is given up."""
        self._now = max(self._now, now_ns)
        self._tidy()
        return self._drain()

    def finish(self) -> list[Exchange]:
        """The capture has ended: what was still open."""
        while self._flows:
            for flow in list(self._flows.values()):
                self._over(flow, Close.CAPTURE_END)
        self._ending.clear()
        self._stuck.clear()
        return self._drain()

    def follows(self, packet: Packet) -> bool:
        """Whether the connection of a packet is followed."""
        return key_of(packet)[0] in self._flows

    def let_go(self, which: Callable[[Key], bool]) -> int:
        """Follow some connections no longer, though they have not ended; how many."""
        keys = [key for key, flow in self._flows.items() if not flow.done and which(key)]
        for key in keys:
            while key in self._flows:
                self._over(self._flows[key], Close.CAPTURE_END)
        return len(keys)

    @property
    def open(self) -> int:
        """How many connections are followed."""
        return len(self._flows)

    def _drain(self) -> list[Exchange]:
        ready, self._out[:] = self._out[:], []  # the framers go on appending to this very list
        return ready

    # --- packets that need thought

    def _odd(self, packet: Packet, flow: Flow | None, stream: Stream | None) -> None:
        time_ns, _, _, sport, dport, seq, ack, flags, payload, cut = packet
        if self._ports and sport not in self._ports and dport not in self._ports:
            self._ledger.became(BYTES, "of another port", len(payload))
            return
        if flags & SYN:
            flow, stream = self._opened(packet, flow, stream)
            seq = (seq + 1) & MASK
        elif flow is None or stream is None:
            if not payload:
                return
            flow, stream = self._found(packet)
        other = flow.other(stream)
        if stream.next < 0:
            stream.next = seq
        if flags & ACK and other.next < 0:
            other.next = ack
        start = stream.at(seq)
        inside = -1 <= start <= stream.offset + 1 and start > stream.offset - (1 << 30)
        if not inside or flow.done or self._rivals:
            heirs = self._rivals.judge(packet, flow, stream)
            if heirs is not None:
                self._succeed(flow, heirs)
                return
        if flow.done:
            self._ledger.became(BYTES, "repeated", len(payload))
            return
        flow.last_ns = time_ns
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
        acked = other.reached(ack) if flags & ACK else -1
        if not payload and not flags & FIN and start in (stream.offset + 1, stream.past_fin):
            start -= 1  # an end, seen or unseen, takes a number but is no byte
        if payload or cut or (acked > other.offset and start >= stream.offset):
            if payload and start < stream.offset:
                flow.note().differing += self._recent.differing(packet)
            urgent = start + (flags >> 16) - 1 if flags & URG else -1
            self._order += 1
            stream.add(Piece(start, self._order, time_ns, payload, cut, acked, urgent))
        end = start + len(payload) + cut
        if not stream.ended and 0 <= stream.fin < end:
            stream.fin = -1
            self._ledger.book("ends", "contradicted by what came after, ignored")
        if flags & FIN and stream.fin < 0:
            if stream.offset <= end <= stream.offset + _FIN_REACH:
                stream.fin = end
            else:
                self._ledger.book("ends", "outside the window, ignored")
        self._settle(flow, time_ns)

    def _opened(
        self, packet: Packet, flow: Flow | None, stream: Stream | None
    ) -> tuple[Flow, Stream]:
        _, _, _, _, _, seq, ack, flags, _, _ = packet
        answer = bool(flags & ACK)
        due = (seq + 1) & MASK
        if flow is not None and stream is not None:
            other = flow.other(stream)
            fresh = stream.next < 0 or abs(stream.at(due)) > _WINDOW * 4
            same = stream.next >= 0 and stream.at(due) == 0
            if answer and (fresh or same) and not stream.offset and not flow.done:
                stream.next = due
                stream.set(EASY, other.next >= 0)
                other.set(EASY, other.next >= 0)
                return flow, stream
            if same or (answer and not flow.done):
                return flow, stream
            while (before := self._flows.get(flow.key)) is not None:
                self._over(before, Close.REUSED)
        flow, stream = self._new(packet, from_server=answer, open_seen=True)
        stream.next = due
        if answer:
            flow.begin(stream, ack)
        return flow, stream

    def _found(self, packet: Packet) -> tuple[Flow, Stream]:
        """A connection that was open before the capture began."""
        kind = recognise(packet[8])
        low = packet[3] < packet[4]
        from_server = kind == RESPONSE or (kind != REQUEST and low)
        flow, stream = self._new(packet, from_server=from_server, open_seen=False)
        stream.next = packet[5]
        if packet[7] & ACK:
            flow.begin(stream, packet[6])
        return flow, stream

    def _new(self, packet: Packet, *, from_server: bool, open_seen: bool) -> tuple[Flow, Stream]:
        """The flow and the stream of a packet that is the first of its connection."""
        time_ns = packet[0]
        src, dst, sport, dport = self._ends(packet)
        client, server = (
            ((dst, dport), (src, sport)) if from_server else ((src, sport), (dst, dport))
        )
        connection = Connection(
            self._number, client[0], client[1], endpoint_name(*server), time_ns, open_seen
        )
        self._number += 1
        is_first = (sport, src) < (dport, dst)
        key = (src, dst, sport, dport) if is_first else (dst, src, dport, sport)
        flow = self._flows[key] = Flow(key, connection, swapped=from_server is is_first)
        flow.last_ns = time_ns
        flow.reader = Undecided(flow, self._framing, bool(self._ports))
        return flow, flow.first if is_first else flow.second

    def _reset(self, flow: Flow, stream: Stream, other: Stream, packet: Packet) -> None:
        if not -_WINDOW <= stream.at(packet[5]) - stream.offset <= _WINDOW:
            self._ledger.book("resets", "outside the window, ignored")
            return
        self._ledger.book("resets", "believed")
        if flow.closing is None:
            by_client = stream is flow.client
            flow.closing = Close.RST_CLIENT if by_client else Close.RST_SERVER
            self._ending.append((packet[0] + _SECOND, flow))
            stream.set(EASY, False)
            other.set(EASY, False)

    def _settle(self, flow: Flow, time_ns: int) -> None:
        if flow.settle(time_ns):
            self._stuck[flow.key] = flow
            return
        self._stuck.pop(flow.key, None)
        if flow.ended and not flow.done:
            self._close(flow, flow.closing or Close.FIN_CLIENT)
            self._ending.append((time_ns + _SECOND, flow))

    # --- ends

    def _tidy(self) -> None:
        while self._ending and self._ending[0][0] <= self._now:
            _, flow = self._ending.popleft()
            self._over(flow, Close.FIN_CLIENT)
        late = self._now - 2 * PATIENCE_NS
        for flow in [one for one in self._stuck.values() if one.note().stuck_ns < late]:
            flow.give_up()
            self._settle(flow, flow.last_ns)
        if self._now - self._swept > self._idle_ns // 8:
            self._swept = self._now
            old = self._now - self._idle_ns
            for flow in list(self._flows.values()):
                if flow.last_ns < old:
                    self._over(flow, Close.IDLE)

    def _succeed(self, flow: Flow, heirs: Packets) -> None:
        """Packets are not of a flow: they are set aside, or the first of its successor."""
        if heirs:
            self._ledger.book("port pairs used again", "no opening seen")
            self._end(flow, Close.REUSED)
            self._inherit(heirs)

    def _over(self, flow: Flow, how: Close) -> None:
        """A flow has ended, in this way if in no other; who waited to succeed it does so."""
        heirs = self._rivals.heirs(flow)
        self._end(flow, how)
        self._inherit(heirs)

    def _end(self, flow: Flow, how: Close) -> None:
        if not flow.done:
            flow.give_up()
            self._close(flow, flow.closing or how)
        if self._flows.get(flow.key) is flow:
            del self._flows[flow.key]
            flow.let_go()
        self._stuck.pop(flow.key, None)

    def _inherit(self, heirs: Packets) -> None:
        for packet in heirs:
            key, is_first = key_of(packet)
            flow = self._flows.get(key)
            stream = None if flow is None else flow.first if is_first else flow.second
            self._odd(packet, flow, stream)

    def _close(self, flow: Flow, how: Close) -> None:
        if flow.done:
            return
        flow.done = True
        if isinstance(flow.reader, Undecided):
            flow.reader.decide()
        if (http := flow.http) is not None:
            http.close(how)
            self._closed.append(told(flow, how))
        account(flow, self._ledger)
        flow.first.set(EASY, False)
        flow.second.set(EASY, False)
        flow.silence()
