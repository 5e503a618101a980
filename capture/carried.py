"""What connections carry: bytes are held until they tell, then framed as HTTP/1 or refused.

Where the capture began in mid-stream they also tell which end is the client; so does a request
from the end that was called, if the caller has said nothing.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b

from .addresses import endpoint_name
from .exchange import Exchange
from .flow import MOST_WAITING, Flow
from .http1.connection import Http1
from .http1.head import Heads
from .recognise import HTTP2, NOT_YET, OTHER, REQUEST, RESPONSE, TLS, recognise

_HELD_LIMIT = 1 << 16


class Carried:
    """Gives the bytes of each flow a reader. Exchanges are appended to `out`."""

    def __init__(
        self, out: list[Exchange], digest: blake2b, max_body: int, keep_bodies: bool, asked: bool
    ) -> None:
        self._out = out
        self._digest = digest
        self._max_body = max_body
        self._keep_bodies = keep_bodies
        self._asked = asked  # for these ports: what looks like nothing known is malformed HTTP
        self._heads = Heads()

    def watch(self, flow: Flow) -> None:
        """Read a new flow."""
        for stream, is_first in ((flow.first, True), (flow.second, False)):
            stream.deliver = partial(self._data, flow, is_first)
            stream.miss = partial(self._gap, flow, is_first)

    def end(self, flow: Flow) -> None:
        """A flow has ended: what it has said is all there will be to tell by."""
        if flow.http is None and flow.held and not flow.refused:
            if self._asked:
                self._begin(flow)
            else:
                self._refuse(flow, OTHER)

    def _data(self, flow: Flow, is_first: bool, time_ns: int, data: bytes) -> None:
        flow.held.append((is_first, time_ns, data, 0))
        flow.held_bytes += len(data)
        kind = recognise(data)
        if kind == NOT_YET:
            kind = recognise(b"".join(item[2] for item in flow.held if item[0] is is_first))
        if kind in (TLS, HTTP2, OTHER):
            self._refuse(flow, kind)
        elif kind in (REQUEST, RESPONSE):
            self._known(flow, is_first, kind == REQUEST)
        else:
            self._limit(flow)

    def _gap(self, flow: Flow, is_first: bool, time_ns: int, count: int) -> None:
        flow.held.append((is_first, time_ns, b"", count))
        self._limit(flow)

    def _limit(self, flow: Flow) -> None:
        if flow.held_bytes > _HELD_LIMIT or len(flow.held) > MOST_WAITING:
            if self._asked:
                self._begin(flow)
            else:
                self._refuse(flow, OTHER)

    def _known(self, flow: Flow, is_first: bool, from_client: bool) -> None:
        alone = from_client and all(item[0] is is_first for item in flow.held)
        if from_client == (is_first == flow.swapped) and (alone or not flow.connection.open_seen):
            self._swap(flow)
        if from_client == (is_first != flow.swapped):
            self._begin(flow)

    def _begin(self, flow: Flow) -> None:
        http = Http1(
            flow.connection, self._out, self._heads, self._digest, self._max_body,
            self._keep_bodies,
        )  # fmt: skip
        flow.http = http
        client, server = flow.client, flow.server
        client.deliver, client.miss = http.client, http.client_gap
        server.deliver, server.miss = http.server, http.server_gap
        held, flow.held = flow.held, []
        for is_first, time_ns, data, gap in held:
            stream = flow.first if is_first else flow.second
            if gap:
                stream.miss(time_ns, gap)
            else:
                stream.deliver(time_ns, data)

    def _refuse(self, flow: Flow, reason: str) -> None:
        flow.refused = reason
        flow.held.clear()
        flow.first.silence()
        flow.second.silence()

    def _swap(self, flow: Flow) -> None:
        """The client is the other end: its bytes say so."""
        flow.swapped = not flow.swapped
        src, dst, sport, dport = flow.key
        if flow.swapped:
            src, dst, sport, dport = dst, src, dport, sport
        connection = flow.connection
        connection.client, connection.client_port = src, sport
        connection.server = endpoint_name(dst, dport)
