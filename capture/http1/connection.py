"""HTTP/1 on one connection: both directions in, exchanges out. No sockets, no clock.

Requests and responses are framed apart and paired in order. Most traffic is a whole, well-formed
request in one segment and its whole answer in another: these are recognised at a glance here;
all else goes through the readers of each direction, which come to the same exchanges. A reader
is there only while a message is under way, because most of very many connections are quiet.
"""

from __future__ import annotations

from typing import Final

from ..defects import Defect
from ..exchange import Close, Connection, Exchange, Flag, Kind, RequestEnd
from .framing import Framing
from .head import CONTENTLESS, GLANCE, HEAD_LIMIT, METHODS, ResponseHead
from .request import Mode, Requests
from .response import Mode as Answering
from .response import Responses, Rest

_MOST_WAITING: Final = 1024
"""So many requests wait for their answers: where only one direction is captured, none comes."""

_ZERO: Final = ord("0")
_HOW: Final = {
    Close.FIN_CLIENT: RequestEnd.FIN,
    Close.FIN_SERVER: RequestEnd.SILENCE,
    Close.RST_CLIENT: RequestEnd.RST,
    Close.RST_SERVER: RequestEnd.RST,
    Close.IDLE: RequestEnd.SILENCE,
    Close.REUSED: RequestEnd.SILENCE,
    Close.CAPTURE_END: RequestEnd.CAPTURE_END,
}


class Http1:
    """Frames one connection."""

    __slots__ = (
        "_early", "_forgotten", "_pipelines", "_position", "connection", "framing",
        "over", "requests", "responses", "waiting",
    )  # fmt: skip

    def __init__(self, connection: Connection, framing: Framing) -> None:
        self.connection = connection
        self.framing = framing
        self.waiting: tuple[Exchange, ...] = ()  # without a whole answer, oldest first
        self._early: Exchange | None = None  # answered before its request was whole
        self._position = 0
        self._pipelines = False
        self.over = False  # a request said that it was the last
        self._forgotten = 0  # requests given out while their answers may yet come
        self.requests: Requests | None = None  # while a request is under way
        self.responses: Responses | Rest | None = None  # while a response is

    def client(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the client's stream."""
        if self.requests is None:
            line = GLANCE.match(data)
            if line and line[1] in METHODS:
                at = line.end()
                end = data.find(b"\r\n\r\n", at - 2) + 4
                if end > 3 and self._whole(time_ns, data, at, end):
                    return
        self.asking().data(time_ns, data)
        self._rest()

    def server(self, time_ns: int, data: bytes) -> None:
        """Take the next bytes of the server's stream."""
        rest = self.responses
        if isinstance(rest, Rest) and len(data) <= rest.left:
            exchange = self.waiting[0]
            rest.take(time_ns, data, exchange)
            if not rest.left:
                self._rest_done(rest, exchange)
            return
        waiting = self.waiting
        due = waiting[0] if waiting and not self._forgotten else None
        if due and self.responses is None and due is not self.at_hand:
            end = data.find(b"\r\n\r\n") + 4
            if end > 3 and self._answer(time_ns, data, end, due):
                return
        self.answering().data(time_ns, data)
        self._rest()

    def client_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the client's stream were never seen."""
        self.asking().gap(time_ns, count)
        self._rest()

    def server_gap(self, time_ns: int, count: int) -> None:
        """The next `count` bytes of the server's stream were never seen."""
        self.answering().gap(time_ns, count)
        self._rest()

    def client_end(self, how: Close) -> None:
        """The client's stream has ended; the server's may go on."""
        if self.requests is not None:
            self.requests.end(_HOW[how])
            self._rest()
        if how == Close.FIN_CLIENT and self.waiting and not self.waiting[-1].response_bytes:
            self.waiting[-1].flags |= Flag.HALF_CLOSED

    def server_end(self, whole: bool) -> None:
        """The server's stream has ended."""
        if self.responses is not None:
            self.answering().end(whole)
            self._rest()

    def close(self, how: Close) -> None:
        """Both streams have ended: give out what is still waiting."""
        self.client_end(how)
        self.server_end(how in (Close.FIN_CLIENT, Close.FIN_SERVER))
        while self.waiting:
            self._emit(self._oldest())
        self.requests = self.responses = None

    @property
    def at_hand(self) -> Exchange | None:
        """The request that is not whole yet."""
        return self.requests.exchange if self.requests is not None else None

    def asking(self) -> Requests:
        """What reads requests."""
        if self.requests is None:
            self.requests = Requests(self)
        return self.requests

    def answering(self) -> Responses:
        """What reads responses."""
        known = self.responses
        if isinstance(known, Responses):
            return known
        self.responses = responses = Responses(self)
        if known is not None:
            responses.resume(known, self.waiting[0])
        return responses

    def _oldest(self) -> Exchange:
        oldest, *_ = self.waiting
        self.waiting = self.waiting[1:]
        return oldest

    def _rest(self) -> None:
        """Let go of a reader that has nothing under way, or little: a new one is just like it."""
        if self.requests is not None and self.requests.idle:
            self.requests = None
        responses = self.responses
        if not isinstance(responses, Responses):
            return
        if responses.idle:
            self.responses = None
        elif self.waiting and responses.exchange is self.waiting[0]:
            self.responses = responses.rest() or responses

    def _rest_done(self, rest: Rest, exchange: Exchange) -> None:
        exchange.response_digest = self.framing.digester.end(rest.digest)
        self.responses = None
        self.response_done(exchange)
        self._rest()

    # --- what the readers of each direction call

    def begin(self, time_ns: int) -> Exchange:
        """A request begins."""
        exchange = self._new()
        if self.waiting:
            self._pipelined(exchange)
        self.waiting += (exchange,)
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
        if requests is None:
            return
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
        self._oldest()
        if self.requests is not None and exchange is self.requests.exchange:
            self._early = exchange
            self.requests.answered()
        else:
            self._emit(exchange)

    @property
    def others_wait(self) -> bool:
        """A whole request waits for its answer behind the oldest."""
        return len(self.waiting) > 1 and self.waiting[1] is not self.at_hand

    @property
    def one_waits(self) -> bool:
        """A whole request waits for its answer."""
        return bool(self.waiting) and self.waiting[0] is not self.at_hand

    def after_gap(self) -> None:
        """Answers may be missing: where the client never pipelines, this is for its latest."""
        while self.others_wait and not self._pipelines:
            exchange = self._oldest()
            exchange.flags |= Flag.RESPONSE_GAP
            self._emit(exchange)

    def switch(self, exchange: Exchange, head: ResponseHead) -> bool:
        """An answer that switches protocols: the rest of both streams is a tunnel."""
        if exchange is self.at_hand:
            return False
        exchange.flags |= Flag.UPGRADED
        responses = self.answering()
        responses.mode = Answering.TUNNEL
        responses.kind = Kind.WEBSOCKET if head.upgrade == b"websocket" else Kind.TCP
        responses.exchange = None
        self.response_done(exchange)
        self.asking().release(True)
        return True

    def tunnelled(self, time_ns: int) -> Exchange:
        """The exchange that bytes of the tunnel join."""
        if (at_hand := self.at_hand) is not None:
            return at_hand
        exchange = self._new()
        tunnel = self.responses
        exchange.kind = tunnel.kind if isinstance(tunnel, Responses) else Kind.TCP
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        self.asking().adopt(exchange)
        return exchange

    def _pipelined(self, exchange: Exchange) -> None:
        answering = None if self.responses is None else self.waiting[0]
        if isinstance(self.responses, Responses):
            answering = self.responses.exchange
        if answering is not None and answering.flags & Flag.RESPONSE_GAP:
            return  # the end of that answer, and others, may be what is missing
        exchange.flags |= Flag.PIPELINED
        self._pipelines = True
        if len(self.waiting) >= _MOST_WAITING and answering is None:
            self._forgotten += 1
            self._emit(self._oldest())

    # --- at a glance

    def _whole(self, time_ns: int, data: bytes, at: int, end: int) -> bool:
        fields = self.framing.heads.fields(data[at:end])
        length = fields.length
        if (
            fields.defects
            or fields.coded
            or fields.upgrade
            or fields.expect
            or fields.hosts != 1
            or (length > 0 and data.startswith(CONTENTLESS))
            or end + (length if length > 0 else 0) != len(data)
            or len(data) - end > self.framing.max_body
            or end > HEAD_LIMIT
        ):
            return False
        exchange = self._new()
        if self.waiting:
            self._pipelined(exchange)
        exchange.request = data
        exchange.request_bytes = len(data)
        exchange.head_bytes = end if end < len(data) else exchange.request_bytes
        exchange.request_first_ns = exchange.request_last_ns = time_ns
        self.waiting += (exchange,)
        if self.over:
            exchange.defects = int(Defect.AFTER_CLOSE)
        elif fields.persists is False or (data[at - 3] == _ZERO and not fields.persists):
            self.over = True
        return True

    def _answer(self, time_ns: int, data: bytes, end: int, exchange: Exchange) -> bool:
        head = self.framing.heads.response(data[:end])
        if (
            not head.plain
            or head.length < 0
            or head.chunked
            or head.status < 200
            or end + head.length != len(data)
            or (self.framing.keep_bodies and head.length > self.framing.max_body)
            or end > HEAD_LIMIT
            or (self.requests is not None and self.requests.mode == Mode.HELD)
            or exchange.request[:4] in (b"HEAD", b"CONN")
            or exchange.request[:1] in b"\r\n"
        ):
            return False
        exchange.status = head.status
        exchange.response = data if self.framing.keep_bodies else head.text
        exchange.response_head_bytes = end
        exchange.response_bytes = len(data)
        exchange.response_first_ns = exchange.response_last_ns = time_ns
        if head.length:
            exchange.response_digest = self.framing.digester.of(data[end:])
        self.waiting = self.waiting[1:]
        self.connection.exchanges += 1
        self.framing.out.append(exchange)
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
            exchange.flags = (exchange.flags | Flag.NO_RESPONSE) & ~Flag.HALF_CLOSED
        self.connection.exchanges += 1
        self.framing.out.append(exchange)
