"""HTTP/1 on one connection: both directions in, exchanges out. No sockets, no clock.

Requests and responses are framed apart and paired in order. Most traffic is a whole, well-formed
request in one segment and its whole answer in another: these are recognised at a glance here;
all else goes through the readers of each direction, which come to the same exchanges.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..exchange import Close, Connection, Exchange, Flag, Kind, RequestEnd
from .head import GLANCE, HEAD_LIMIT, METHODS, Heads, ResponseHead
from .request import Mode, Requests
from .response import Mode as Answering
from .response import Responses

if TYPE_CHECKING:
    from hashlib import blake2b

_MOST_WAITING = 1024
"""So many requests wait for their answers: where only one direction is captured, none comes."""

_HOW = {
    Close.FIN_CLIENT: RequestEnd.FIN,
    Close.FIN_SERVER: RequestEnd.SILENCE,
    Close.RST_CLIENT: RequestEnd.RST,
    Close.RST_SERVER: RequestEnd.RST,
    Close.IDLE: RequestEnd.SILENCE,
    Close.REUSED: RequestEnd.SILENCE,
    Close.CAPTURE_END: RequestEnd.CAPTURE_END,
}


class Http1:
    """Frames one connection. What becomes whole is appended to `out`."""

    __slots__ = (
        "_early", "_forgotten", "_kind", "_pipelines", "_position", "connection", "digest", "heads",
        "keep_bodies", "max_body", "out", "requests", "responses", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        out: list[Exchange],
        heads: Heads,
        digest: blake2b,
        max_body: int = 1 << 20,
        keep_bodies: bool = False,
    ) -> None:
        self.connection = connection
        self.out = out
        self.heads = heads
        self.digest = digest
        self.max_body = max_body
        self.keep_bodies = keep_bodies
        self.waiting: deque[Exchange] = deque()  # without a whole answer, oldest first
        self._early: Exchange | None = None  # answered before its request was whole
        self._position = 0
        self._kind = Kind.TCP
        self._pipelines = False
        self._forgotten = 0  # requests given out while their answers may yet come
        self.requests = Requests(self)
        self.responses = Responses(self)

    def client(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the client's stream."""
        if self.requests.mode == 0:
            line = GLANCE.match(data)
            if line and line[1] in METHODS:
                at = line.end()
                end = data.find(b"\r\n\r\n", at - 2) + 4
                if end > 3 and self._whole(time_ns, data, at, end):
                    return
        self.requests.data(time_ns, data)

    def server(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the server's stream."""
        waiting = self.waiting
        due = waiting[0] if waiting and not self._forgotten else None
        if due and due is not self.requests.exchange and self.responses.idle:
            end = data.find(b"\r\n\r\n") + 4
            if end > 3 and self._answer(time_ns, data, end, due):
                return
        self.responses.data(time_ns, data)

    def client_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the client's stream were never seen."""
        self.requests.gap(time_ns, count)

    def server_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the server's stream were never seen."""
        self.responses.gap(time_ns, count)

    def client_end(self, how: Close) -> None:
        """The client's stream has ended."""
        self.requests.end(_HOW[how])

    def server_end(self, whole: bool) -> None:
        """The server's stream has ended."""
        self.responses.end(whole)

    def close(self, how: Close) -> None:
        """Both streams have ended: give out what is still waiting."""
        self.client_end(how)
        self.server_end(how in (Close.FIN_CLIENT, Close.FIN_SERVER))
        while self.waiting:
            self._emit(self.waiting.popleft())

    # --- what the readers of each direction call

    def begin(self, time_ns: int) -> Exchange:
        """A request begins."""
        exchange = self._new()
        if self.waiting:
            self._pipelined(exchange)
        self.waiting.append(exchange)
        exchange.request_first_ns = time_ns
        return exchange

    def request_done(self, exchange: Exchange) -> None:
        """A request is whole."""
        if exchange is self._early:
            self._early = None
            self._emit(exchange)
        elif exchange.kind in (Kind.TCP, Kind.WEBSOCKET):
            self._emit(exchange)

    def to_answer(self, time_ns: int) -> Exchange:
        """The exchange whose response begins."""
        if self._forgotten:
            self._forgotten -= 1
        elif self.waiting:
            return self.waiting[0]
        exchange = self._new()
        exchange.flags |= Flag.UNSOLICITED_RESPONSE
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        return exchange

    def method(self, exchange: Exchange) -> bytes:
        """The method of a request, whole or not."""
        return exchange.request.lstrip(b"\r\n").split(b" ", 1)[0]

    def final_head(self, exchange: Exchange) -> None:
        """The final response to a request begins."""
        requests = self.requests
        if exchange is requests.exchange and requests.mode != Mode.LOST:
            exchange.flags |= Flag.EARLY_RESPONSE
        tunnel = self.method(exchange) == b"CONNECT" and 200 <= exchange.status < 300
        if requests.mode == Mode.HELD and exchange.status != 101 and not tunnel:
            requests.release(False)

    def response_done(self, exchange: Exchange) -> None:
        """A response is whole."""
        if not self.waiting or self.waiting[0] is not exchange:
            self._emit(exchange)
            return
        self.waiting.popleft()
        if exchange is self.requests.exchange:
            self._early = exchange
            self.requests.answered()
        else:
            self._emit(exchange)

    @property
    def others_wait(self) -> bool:
        """A whole request waits for its answer behind the oldest."""
        return len(self.waiting) > 1 and self.waiting[1] is not self.requests.exchange

    def after_gap(self) -> None:
        """Answers may be missing: where the client never pipelines, this is for its latest."""
        while self.others_wait and not self._pipelines:
            exchange = self.waiting.popleft()
            exchange.flags |= Flag.RESPONSE_GAP
            self._emit(exchange)

    def switch(self, exchange: Exchange, head: ResponseHead) -> bool:
        """An answer that switches protocols: the rest of both streams is a tunnel."""
        if exchange is self.requests.exchange:
            return False
        exchange.flags |= Flag.UPGRADED
        self._kind = Kind.WEBSOCKET if head.upgrade == b"websocket" else Kind.TCP
        self.responses.mode = Answering.TUNNEL
        self.responses.exchange = None
        self.response_done(exchange)
        self.requests.release(True)
        return True

    def tunnelled(self, time_ns: int) -> Exchange:
        """The exchange that bytes of the tunnel join."""
        if self.requests.exchange is not None:
            return self.requests.exchange
        exchange = self._new()
        exchange.kind = self._kind
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        self.requests.adopt(exchange)
        return exchange

    def _pipelined(self, exchange: Exchange) -> None:
        answering = self.responses.exchange
        if answering is not None and answering.flags & Flag.RESPONSE_GAP:
            return  # the end of that answer, and others, may be what is missing
        exchange.flags |= Flag.PIPELINED
        self._pipelines = True
        if len(self.waiting) >= _MOST_WAITING and self.responses.exchange is None:
            self._forgotten += 1
            self._emit(self.waiting.popleft())

    # --- at a glance

    def _whole(self, time_ns: int, data: bytes, at: int, end: int) -> bool:
        fields = self.heads.fields(data[at:end])
        length = fields.length
        if (
            fields.defects
            or fields.coded
            or fields.upgrade
            or fields.expect
            or fields.hosts != 1
            or end + (length if length > 0 else 0) != len(data)
            or len(data) - end > self.max_body
            or end > HEAD_LIMIT
        ):
            return False
        exchange = self._new()
        if self.waiting:
            self._pipelined(exchange)
        exchange.request = data
        exchange.request_bytes = len(data)
        exchange.head_bytes = end
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        self.waiting.append(exchange)
        return True

    def _answer(self, time_ns: int, data: bytes, end: int, exchange: Exchange) -> bool:
        head = self.heads.response(data[:end])
        if (
            not head.plain
            or head.length < 0
            or head.chunked
            or head.status < 200
            or end + head.length != len(data)
            or (head.length > self.max_body and self.keep_bodies)
            or end > HEAD_LIMIT
            or self.requests.mode == Mode.HELD
            or exchange.request[:4] in (b"HEAD", b"CONN")
            or exchange.request[:1] in b"\r\n"
        ):
            return False
        exchange.status = head.status
        exchange.response = data if self.keep_bodies else data[:end]
        exchange.response_head_bytes = end
        exchange.response_bytes = len(data)
        exchange.response_first_ns = exchange.response_last_ns = time_ns
        if head.length:
            digest = self.digest.copy()
            digest.update(data[end:])
            exchange.response_digest = int.from_bytes(digest.digest(), "little")
        self.waiting.popleft()
        self.connection.exchanges += 1
        self.out.append(exchange)
        return True

    def _new(self) -> Exchange:
        of = self.connection
        exchange = Exchange(
            of.connection, self._position, of.client, of.client_port, of.server, of.opened_ns
        )
        self._position += 1
        if not of.open_seen:
            exchange.flags = Flag.MIDSTREAM
        return exchange

    def _emit(self, exchange: Exchange) -> None:
        if not exchange.response_bytes and not exchange.flags & Flag.RESPONSE_GAP:
            exchange.flags |= Flag.NO_RESPONSE
        self.connection.exchanges += 1
        self.out.append(exchange)
