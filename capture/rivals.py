"""A pair of ports used again by a connection whose opening was not seen.

Its numbers are its own: both what a packet carries and what it acknowledges lie where the streams
of the connection before have never been, nor can get to. An old copy lies within those streams
however far behind it is, and after a gap one direction at most has gone far.

A connection that has ended is succeeded at once. One that has not might be alive, and the packet
forged: what begins a request in numbers of its own is set aside, and succeeds only once the other
end has acknowledged it, or if nothing more is heard of the connection before. What is set aside is
bounded in every way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .accounts import BYTES
from .flow import Flow
from .ledger import Ledger
from .packets.frames import Packet
from .packets.tcp import ACK, RST, SYN
from .recognise import REQUEST, recognise
from .stream import Stream, ahead

_BACK: Final = 1 << 20  # so far before its first byte may an older copy of the stream lie
_AHEAD: Final = 1 << 24  # a gap of more than this in both directions at once is another connection
_WINDOW: Final = 1 << 30  # nothing further behind is sent again
_NEAR: Final = 1 << 20
_MOST_PACKETS: Final = 16
_MOST_RIVALS: Final = 256

Packets = Sequence[Packet]


class _Rival:
    """Packets of the client of what may be another connection, from a request on."""

    __slots__ = ("packets",)

    def __init__(self, packet: Packet) -> None:
        self.packets = [packet]

    def continued(self, packet: Packet) -> bool:
        """Whether a packet of the client has its numbers."""
        first = self.packets[0]
        return 0 <= ahead(packet[5], first[5]) < _NEAR and 0 <= ahead(packet[6], first[6]) < _NEAR

    def answered(self, packet: Packet) -> bool:
        """Whether a packet of the server acknowledges bytes of it, in the numbers it expects."""
        first = self.packets[0]
        acked = ahead(packet[6], first[5]) if packet[7] & ACK else 0
        return 0 < acked <= _NEAR and 0 <= ahead(packet[5], first[6]) < _NEAR


class Rivals:
    """Who may succeed a connection that has not ended."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rivals: dict[int, _Rival] = {}  # by the number of the connection before

    def __len__(self) -> int:
        return len(self._rivals)

    def judge(self, packet: Packet, flow: Flow, stream: Stream) -> Packets | None:
        """None for a packet of the flow; else what succeeds it: nothing yet where it is empty."""
        if packet[7] & (SYN | RST):
            return None
        elsewhere = _elsewhere(packet, flow, stream)
        rival = self._rivals.get(flow.connection.connection)
        if flow.done:
            if not elsewhere or not packet[8]:
                return None
            self._rivals.pop(flow.connection.connection, None)
            return [*rival.packets, packet] if rival else [packet]
        if rival is not None:
            if stream is flow.client and rival.continued(packet):
                self._add(rival, packet)
                return ()
            if stream is flow.server and rival.answered(packet):
                del self._rivals[flow.connection.connection]
                return [*rival.packets, packet]
        if not elsewhere:
            return None
        if stream is flow.client and recognise(packet[8]) == REQUEST:
            self._set_aside(flow, packet)
        else:
            self._refuse(packet)
        return ()

    def heirs(self, flow: Flow) -> Packets:
        """What succeeds a flow that ends: nothing, if it was heard after its rival."""
        rival = self._rivals.pop(flow.connection.connection, None)
        if rival is None:
            return ()
        if flow.last_ns <= rival.packets[0][0]:
            return rival.packets
        for packet in rival.packets:
            self._refuse(packet)
        return ()

    def _add(self, rival: _Rival, packet: Packet) -> None:
        if len(rival.packets) < _MOST_PACKETS:
            rival.packets.append(packet)
        else:
            self._refuse(packet)

    def _set_aside(self, flow: Flow, packet: Packet) -> None:
        """The latest that may succeed a connection is the one that can."""
        number = flow.connection.connection
        if number not in self._rivals and len(self._rivals) >= _MOST_RIVALS:
            number = next(iter(self._rivals))
        if (before := self._rivals.pop(number, None)) is not None:
            for one in before.packets:
                self._refuse(one)
        self._rivals[flow.connection.connection] = _Rival(packet)

    def _refuse(self, packet: Packet) -> None:
        self._ledger.became(BYTES, "outside the window", len(packet[8]))


def _elsewhere(packet: Packet, flow: Flow, stream: Stream) -> bool:
    """Whether neither number of a packet can be one of the flow's."""
    if not packet[7] & ACK:
        return False
    seen, ended = flow.connection.open_seen, flow.done or flow.closing is not None
    return _far(stream, packet[5], seen, ended) and _far(flow.other(stream), packet[6], seen, ended)


def _far(stream: Stream, number: int, open_seen: bool, ended: bool) -> bool:
    if stream.next < 0:
        return False
    at = stream.at(number)
    lowest = max(-1 if open_seen else -_BACK, stream.offset - _WINDOW)
    highest = max(stream.offset, stream.fin) + 1
    return not lowest <= at <= highest + (0 if ended else _AHEAD)
