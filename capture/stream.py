"""One direction of a TCP connection put in order: the first copy of each byte wins.

Positions are offsets into the stream (64 bits, so that the sequence numbers may wrap). A segment
is delivered when all before it was, and when all that it acknowledges of the other direction was
too: so that an answer never overtakes its request in a capture that saw them out of order.
"""

from __future__ import annotations

from bisect import insort
from typing import Final, NamedTuple, Protocol

MASK: Final = 0xFFFFFFFF
_HALF: Final = 1 << 31
_REACH: Final = 1 << 26  # an acknowledgement further ahead than this is no proof of anything


def ahead(number: int, of: int) -> int:
    """How far a sequence number is ahead of another that is less than half of them away."""
    return ((number - of + _HALF) & MASK) - _HALF


class Piece(NamedTuple):
    """A segment that waits."""

    start: int
    order: int
    time_ns: int
    data: bytes
    cut: int  # bytes lost to the snap length, after `data`
    acked: int  # of the other direction; -1 where it says nothing
    urgent: int = -1  # the place of a byte that is no part of the stream as it is read

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.start + len(self.data) + self.cut


# What a stream is, as bits of its `state`: there are very many streams.
EASY: Final = 1
UPWARD: Final = 2
ENDED: Final = 4

_NONE: Final[list[Piece]] = []  # of all streams in which nothing waits: never added to


class Reader(Protocol):
    """Reads both streams of a connection, each in order."""

    def client(self, time_ns: int, data: bytes) -> None: ...

    def server(self, time_ns: int, data: bytes) -> None: ...

    def client_gap(self, time_ns: int, count: int) -> None: ...

    def server_gap(self, time_ns: int, count: int) -> None: ...


class Odd:
    """What is out of the ordinary with a connection: of very many, few hold one of these."""

    __slots__ = ("apart", "differing", "missing", "refused", "repeated", "stuck_ns")

    def __init__(self) -> None:
        self.missing = 0  # bytes of both streams
        self.repeated = 0  # bytes seen again
        self.differing = 0  # of those: they were not the same
        self.apart = (0, 0)  # bytes of either stream that are no part of what it carries
        self.refused = ""  # why nobody reads it
        self.stuck_ns = -1  # since when something waits


class Owner(Protocol):
    """The connection of a stream: who reads it, and what is out of the ordinary with it."""

    reader: Reader

    def note(self) -> Odd: ...

    def set_apart(self, stream: Stream, count: int) -> None: ...


class Nobody:
    """Reads nothing."""

    def client(self, time_ns: int, data: bytes) -> None:
        """Bytes that nobody wants."""

    def server(self, time_ns: int, data: bytes) -> None:
        """Bytes that nobody wants."""

    def client_gap(self, time_ns: int, count: int) -> None:
        """Missing bytes that nobody misses."""

    def server_gap(self, time_ns: int, count: int) -> None:
        """Missing bytes that nobody misses."""


NOBODY: Final = Nobody()


class Stream:
    """One direction. `next` is the sequence number that is due, -1 while it is not known."""

    __slots__ = ("fin", "flow", "next", "offset", "pending", "state")

    def __init__(self, flow: Owner, upward: bool) -> None:
        self.flow = flow
        self.next = -1
        self.offset = 0
        self.pending = _NONE
        self.fin = -1
        self.state = UPWARD if upward else 0

    @property
    def upward(self) -> bool:
        """It is the client's."""
        return bool(self.state & UPWARD)

    @property
    def ended(self) -> bool:
        """Its end was handed on, and all before it."""
        return bool(self.state & ENDED)

    def set(self, bits: int, on: bool) -> None:
        """Set or take away bits of the state."""
        self.state = self.state | bits if on else self.state & ~bits

    def deliver(self, time_ns: int, data: bytes) -> None:
        """Give the reader the next bytes."""
        if self.state & UPWARD:
            self.flow.reader.client(time_ns, data)
        else:
            self.flow.reader.server(time_ns, data)

    def miss(self, time_ns: int, count: int) -> None:
        """Tell the reader that the next bytes were never seen."""
        if self.upward:
            self.flow.reader.client_gap(time_ns, count)
        else:
            self.flow.reader.server_gap(time_ns, count)

    def at(self, seq: int) -> int:
        """The offset of a sequence number near the one that is due."""
        return self.offset + ahead(seq, self.next)

    @property
    def past_fin(self) -> int:
        """Where what is said after the end stands, which is only acknowledgements; -1 before."""
        return self.fin + 1 if self.fin >= 0 else -1

    def reached(self, ack: int) -> int:
        """The offset that an acknowledgement proves; -1 where it proves nothing."""
        if self.next < 0:
            return -1
        offset = self.at(ack)
        return -1 if offset - self.offset > _REACH else offset

    def add(self, piece: Piece) -> None:
        """Let a segment wait, without what is here already."""
        if piece.start < self.offset:
            old = min(self.offset, piece.end) - piece.start
            if again := min(old, len(piece.data)):
                self.flow.note().repeated += again
            if piece.end <= self.offset:
                return
            piece = _trim(piece, old)
        if not self.pending:
            self.pending = [piece]
            return
        if piece.start >= self.pending[-1].end:
            self.pending.append(piece)  # behind a gap, in order: the usual case
            return
        if piece.end == piece.start:
            return  # an acknowledgement among what waits tells nothing new
        for known in list(self.pending):
            if piece.end <= known.start or piece.start >= known.end:
                continue
            self._compare(piece, known)
            if piece.start < known.start:
                before = piece.data[: known.start - piece.start]
                lost = known.start - piece.start - len(before)
                insort(self.pending, piece._replace(data=before, cut=lost))
            if piece.end <= known.end:
                return
            piece = _trim(piece, known.end - piece.start)
        insort(self.pending, piece)

    def _compare(self, piece: Piece, known: Piece) -> None:
        start, end = max(piece.start, known.start), min(piece.end, known.end)
        again = piece.data[start - piece.start : end - piece.start]
        self.flow.note().repeated += len(again)
        if again != known.data[start - known.start : end - known.start][: len(again)]:
            self.flow.note().differing += len(again)

    def ready(self, other: Stream) -> bool:
        """Whether the next waiting segment can be delivered."""
        head = self.pending[0]
        return head.start <= self.offset and (head.acked <= other.offset or other.ended)

    def hand_on(self) -> None:
        """Deliver the next waiting segment."""
        head = self.pending.pop(0)
        if not self.pending:
            self.pending = _NONE
        if head.start < self.offset:
            head = _trim(head, self.offset - head.start)
        if head.data:
            self.advance(len(head.data))
            if data := self._ordinary(head):
                self.deliver(head.time_ns, data)
        if head.cut:
            self.skip(head.time_ns, head.cut)

    def _ordinary(self, piece: Piece) -> bytes:
        """What of a segment is read in its turn: an urgent byte is read apart, if ever."""
        at = piece.urgent - piece.start
        if not 0 <= at < len(piece.data):
            return piece.data
        self.flow.set_apart(self, 1)
        return piece.data[:at] + piece.data[at + 1 :]

    def advance(self, count: int) -> None:
        """`count` more bytes of the stream are done with."""
        self.next = (self.next + count) & MASK
        self.offset += count

    def skip(self, time_ns: int, count: int) -> None:
        """`count` bytes were never seen."""
        self.advance(count)
        self.flow.note().missing += count
        self.miss(time_ns, count)


def _trim(piece: Piece, count: int) -> Piece:
    kept = piece.data[count:]
    cut = min(piece.cut, max(0, piece.end - piece.start - count))
    return piece._replace(start=piece.start + count, data=kept, cut=cut)
