"""A connection while it is followed, and the bringing of its two streams into one order.

A segment is handed on when all before it was, and when all that it acknowledges was. What is
missing is waited for, then given up (`jump`), the oldest first, and told to the reader as a gap.
"""

from __future__ import annotations

from typing import Final

from .exchange import Close, Connection
from .http1.connection import Http1
from .packets.frames import Packet
from .stream import EASY, ENDED, NOBODY, UPWARD, Odd, Reader, Stream

Key = tuple[bytes, bytes, int, int]
"""Both ends, those of the lower port first: so it is the same for both directions."""

PATIENCE_NS: Final = 500_000_000
"""So long is a missing segment waited for."""

MOST_WAITING: Final = 256
"""So many segments of a connection wait at most."""


def key_of(packet: Packet) -> tuple[Key, bool]:
    """The key of a packet's connection, and whether the packet flows in its direction."""
    _, src, dst, sport, dport, *_ = packet
    is_first = (sport, src) < (dport, dst)
    return ((src, dst, sport, dport) if is_first else (dst, src, dport, sport)), is_first


class Flow:
    """A connection while it is followed."""

    __deletable__ = ("first", "second")
    __slots__ = (
        "closing", "connection", "done", "first", "key", "last_ns", "odd", "reader", "second",
        "swapped",
    )  # fmt: skip

    def __init__(self, key: Key, connection: Connection, swapped: bool) -> None:
        self.key = key  # `first` flows in its direction
        self.connection = connection
        self.first = Stream(self, not swapped)
        self.second = Stream(self, swapped)
        self.swapped = swapped  # the server's stream is `first`
        self.reader: Reader = NOBODY
        self.odd: Odd | None = None  # once there is anything out of the ordinary
        self.last_ns = 0
        self.closing: Close | None = None
        self.done = False

    def swap(self) -> None:
        """The ends were taken for each other."""
        self.swapped = not self.swapped
        self.first.set(UPWARD, not self.swapped)
        self.second.set(UPWARD, self.swapped)

    def note(self) -> Odd:
        """Where to note what is out of the ordinary."""
        if self.odd is None:
            self.odd = Odd()
        return self.odd

    def set_apart(self, stream: Stream, count: int) -> None:
        """Some bytes of a stream are no part of what it carries."""
        odd = self.note()
        first, second = odd.apart
        is_first = stream is self.first
        odd.apart = (first + count, second) if is_first else (first, second + count)

    def begin(self, stream: Stream, ack: int) -> None:
        """What is due is known of both directions."""
        other = self.other(stream)
        other.next = ack
        stream.set(EASY, True)
        other.set(EASY, True)

    def other(self, stream: Stream) -> Stream:
        """The other direction."""
        return self.second if stream is self.first else self.first

    def silence(self) -> None:
        """Nobody reads it any more."""
        self.reader = NOBODY

    @property
    def http(self) -> Http1 | None:
        """The reader, once it is one of HTTP."""
        return self.reader if isinstance(self.reader, Http1) else None

    def let_go(self) -> None:
        """Forgotten: nothing here holds anything that holds it."""
        del self.first, self.second

    @property
    def client(self) -> Stream:
        """The stream of the client."""
        return self.second if self.swapped else self.first

    @property
    def server(self) -> Stream:
        """The stream of the server."""
        return self.first if self.swapped else self.second

    @property
    def ended(self) -> bool:
        """Both ends have closed, and all before that was handed on."""
        return self.first.ended and self.second.ended

    def settle(self, time_ns: int) -> bool:
        """Hand on what can be; whether anything still waits."""
        while True:
            self._hand_on()
            waiting = len(self.first.pending) + len(self.second.pending)
            if not waiting:
                self._unstuck()
                break
            odd = self.note()
            if odd.stuck_ns < 0:
                odd.stuck_ns = time_ns
            if waiting <= MOST_WAITING and time_ns - odd.stuck_ns <= PATIENCE_NS:
                break
            self._jump(time_ns)
            odd.stuck_ns = time_ns
        first, second = self.first, self.second
        known = first.next >= 0 and second.next >= 0 and self.closing is None
        easy = known and not waiting and first.fin < 0 and second.fin < 0
        first.set(EASY, easy)
        second.set(EASY, easy)
        return waiting > 0

    def give_up(self) -> None:
        """Nothing more will come: hand on what waits, over what is missing."""
        while self.first.pending or self.second.pending:
            self._jump(self.last_ns)
            self._hand_on()
        for stream in (self.first, self.second):
            if stream.fin > stream.offset and not stream.ended:
                stream.skip(self.last_ns, stream.fin - stream.offset)
        self._hand_on()
        self._unstuck()

    def _unstuck(self) -> None:
        if self.odd is not None:
            self.odd.stuck_ns = -1

    def _hand_on(self) -> None:
        moved = True
        while moved:
            moved = False
            for stream, other in ((self.first, self.second), (self.second, self.first)):
                while stream.pending and stream.ready(other):
                    stream.hand_on()
                    moved = True
                if 0 <= stream.fin <= stream.offset and not stream.ended:
                    stream.set(ENDED, True)
                    moved = True
                    self._half_closed(stream)

    def _jump(self, time_ns: int) -> None:
        """Give up the oldest missing bytes."""
        pairs = [(self.first, self.second), (self.second, self.first)]
        waiting = [pair for pair in pairs if pair[0].pending]
        stream, other = min(waiting, key=lambda pair: pair[0].pending[0].order)
        head = stream.pending[0]
        if head.acked > other.offset and not other.ended:
            limit = other.pending[0].start if other.pending else head.acked
            missing = min(head.acked, limit) - other.offset
            if missing > 0 and (missing > 1 or limit < head.acked):
                other.skip(time_ns, missing)
            else:
                # Each waits for the other, so the acknowledgements cannot be true; or it is of one
                # number that is no byte, but an end that was not seen.
                stream.pending[0] = head._replace(acked=-1)
        elif head.start > stream.offset:
            stream.skip(head.time_ns, head.start - stream.offset)

    def _half_closed(self, stream: Stream) -> None:
        by_client = stream is self.client
        if self.closing is None:
            self.closing = Close.FIN_CLIENT if by_client else Close.FIN_SERVER
        http = self.http
        if http is None:
            return
        if by_client:
            http.client_end(self.closing)
        else:
            http.server_end(True)
