"""What connections carry: bytes are held until they tell, then framed as HTTP/1 or refused.

Where the capture began in mid-stream they also tell which end is the client; so does a request
from the end that was called, if the caller has said nothing. What proxies put before the HTTP is
taken off first.

What reads a stream is a `Reader`: at first an `Undecided`, then an `Http1`, or nobody.
"""

from __future__ import annotations

from .addresses import endpoint_name
from .flow import MOST_WAITING, Flow
from .http1.connection import Http1
from .http1.framing import Framing
from .prefaces import preface
from .recognise import HTTP2, NOT_YET, OTHER, REQUEST, RESPONSE, TLS, recognise

_HELD_LIMIT = 1 << 16

Part = tuple[bool, int, bytes, int]
"""Whether it is of the flow's first stream, its time, its bytes, how many are missing instead."""


class Undecided:
    """Reads a flow whose bytes have not told yet what they are."""

    __slots__ = ("_asked", "_flow", "_framing", "_held", "_size")

    def __init__(self, flow: Flow, framing: Framing, asked: bool) -> None:
        self._flow = flow
        self._framing = framing
        self._asked = asked  # for these ports: what looks like nothing known is malformed HTTP
        self._held: list[Part] = []
        self._size = 0

    def client(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of whoever is taken for the client."""
        self._data(not self._flow.swapped, time_ns, data)

    def server(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the other end."""
        self._data(self._flow.swapped, time_ns, data)

    def client_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the client's stream were never seen."""
        self._gap(not self._flow.swapped, time_ns, count)

    def server_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the server's stream were never seen."""
        self._gap(self._flow.swapped, time_ns, count)

    def decide(self) -> None:
        """The flow has ended: what it has said is all there will be to tell by."""
        if not self._held:
            return
        if self._asked:
            self._begin()
        else:
            self._refuse(OTHER)

    def _data(self, is_first: bool, time_ns: int, data: bytes) -> None:
        self._held.append((is_first, time_ns, data, 0))
        self._size += len(data)
        kind = self._kind(is_first)
        if kind in (TLS, HTTP2, OTHER):
            self._refuse(kind)
        elif kind in (REQUEST, RESPONSE):
            self._known(is_first, kind == REQUEST)
        else:
            self._limit()

    def _kind(self, is_first: bool) -> str:
        """What one side of the flow carries."""
        said = b"".join([part[2] for part in self._held if part[0] is is_first])
        while (before := preface(said)) is not None:
            if not before.size:
                return NOT_YET
            self._take_off(is_first, before.size)
            said = said[before.size :]
            if before.client:
                self._flow.connection.client = before.client
                self._flow.connection.client_port = before.port
        return recognise(said)

    def _take_off(self, is_first: bool, count: int) -> None:
        """The first bytes of one side are no part of what it carries."""
        self._flow.set_apart(self._flow.first if is_first else self._flow.second, count)
        for place, (side, time_ns, data, gap) in enumerate(self._held):
            if side is is_first and count:
                self._held[place] = (side, time_ns, data[count:], gap)
                count -= min(count, len(data))

    def _gap(self, is_first: bool, time_ns: int, count: int) -> None:
        self._held.append((is_first, time_ns, b"", count))
        self._limit()

    def _limit(self) -> None:
        if self._size > _HELD_LIMIT or len(self._held) > MOST_WAITING:
            self.decide()

    def _known(self, is_first: bool, from_client: bool) -> None:
        flow = self._flow
        alone = from_client and all(part[0] is is_first for part in self._held if part[2])
        if from_client == (is_first == flow.swapped) and (alone or not flow.connection.open_seen):
            _swap(flow)
        if from_client == (is_first != flow.swapped):
            self._begin()

    def _begin(self) -> None:
        flow = self._flow
        flow.reader = Http1(flow.connection, self._framing)
        held, self._held = self._held, []
        for is_first, time_ns, data, gap in held:
            stream = flow.first if is_first else flow.second
            if gap:
                stream.miss(time_ns, gap)
            elif data:
                stream.deliver(time_ns, data)

    def _refuse(self, reason: str) -> None:
        self._flow.note().refused = reason
        self._held.clear()
        self._flow.silence()


def _swap(flow: Flow) -> None:
    """The client is the other end: its bytes say so."""
    flow.swap()
    src, dst, sport, dport = flow.key
    if flow.swapped:
        src, dst, sport, dport = dst, src, dport, sport
    connection = flow.connection
    connection.client, connection.client_port = src, sport
    connection.server = endpoint_name(dst, dport)
