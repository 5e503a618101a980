"""Recording: batches of frames in, sanitized exchanges out to a tape, every loss in the ledger.

    frames -> decapsulator -> assembler (flows and HTTP/1 framing) -> sanitizer -> writer

The recorder knows its neighbours only by what it asks of them, so it is tested without a network
and without a disk. A writer that fails (a full disk, a directory gone) does not end the recording:
what cannot be kept is counted, the failure is told at once, and the next tape is tried anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from .errors import AuditError, WiretapeError
from .exchange import Connection, Exchange
from .ledger import CONNECTIONS, EXCHANGES, KEPT, LET_GO, SAMPLED_OUT, SEEN, Ledger
from .log import Tell
from .packets.decap import Decapsulator
from .packets.frames import Frames, Packet

Ends = tuple[bytes, bytes, int, int]
"""Both addresses and both ports of a connection."""

UNWRITTEN = "could not be written"
REFUSED = "refused by the audit"


class Assembler(Protocol):
    """Streams and HTTP framing: packets in, whatever became whole out."""

    def feed(self, packets: list[Packet]) -> Iterable[Exchange]:
        """Take packets; the exchanges that are whole now."""
        ...

    def closed(self) -> Iterable[Connection]:
        """The connections that have ended since this was last asked."""
        ...

    def let_go(self, which: Callable[[Ends], bool]) -> int:
        """Follow some connections no longer, though they have not ended; how many."""
        ...

    def expire(self, now_ns: int) -> Iterable[Exchange]:
        """No packet came, but time passed: what has waited or been silent too long."""
        ...

    def finish(self) -> Iterable[Exchange]:
        """The capture has ended: what was still open."""
        ...


class Cleaner(Protocol):
    """The sanitizer."""

    def exchanges(self, batch: list[Exchange]) -> Sequence[Any]:
        """The exchanges with their secrets replaced, in the one type that a tape accepts."""
        ...

    def client(self, address: bytes) -> int:
        """The pseudonym of an address."""
        ...


class Writer(Protocol):
    """A tape being written."""

    exchanges: int  # how many are on the disk
    connections: int

    def append(self, sanitized: Any) -> None: ...

    def append_connection(self, connection: Connection, client: int) -> None: ...

    def note_rate(self, time_ns: int, rate: float) -> None: ...

    def tick(self, late_ns: int) -> None: ...

    def seal(self) -> None: ...

    def close(self, ledger: Ledger) -> None: ...

    def amend(self, ledger: Ledger) -> None: ...


class Tapes(Protocol):
    """Opens one tape after the other."""

    def open(self) -> Writer:
        """The next tape."""
        ...

    def due(self) -> bool:
        """Whether the next tape is to begin."""
        ...

    def waiting_s(self) -> float:
        """For how long the oldest row that is not on the disk yet has waited."""
        ...


class Recorder:
    """Joins the stages of recording, and books what became of exchanges and connections."""

    def __init__(
        self,
        ledger: Ledger,
        decapsulator: Decapsulator,
        assembler: Assembler,
        cleaner: Cleaner,
        tapes: Tapes,
        on_failure: Tell,
        numbering: tuple[int, int] = (1, 0),
    ) -> None:
        self.ledger = ledger
        self.failure = ""  # the first reason why something could not be written
        self._decapsulator = decapsulator
        self._assembler = assembler
        self._cleaner = cleaner
        self._tapes = tapes
        self._on_failure = on_failure
        self._step, self._offset = numbering  # so that workers number connections apart
        self._given = {EXCHANGES: 0, CONNECTIONS: 0}  # to this writer
        self._writer: Writer | None = tapes.open()
        self._booked = Ledger()  # what the tapes before this one have told already
        self._over = False  # nothing is under way any more
        self._broken: tuple[Writer, Ledger] | None = None  # the latest tape that failed, its ledger

    def take(self, frames: Frames) -> None:
        """Record one batch of frames."""
        packets = self._decapsulator.packets(frames)
        if packets:
            self._keep(self._assembler.feed(packets))
            self._keep_connections()

    def tick(self, late_ns: int = 0) -> None:
        """Some time has passed: what has waited long enough is written out.

        `late_ns` is how long ago the latest packets were seen: it has waited for so much longer.
        """
        if (writer := self._writer) is not None:
            self._try(lambda: writer.tick(late_ns))
            if self._tapes.due():
                self.rotate()

    def pass_time(self, now_ns: int) -> None:
        """No packet came up to this time, on the packets' clock: give up what waits too long."""
        self._keep(self._assembler.expire(now_ns))
        self._keep_connections()

    def let_go(self, which: Callable[[Ends], bool]) -> None:
        """Some connections are followed no longer: what they have come to is kept."""
        count = self._assembler.let_go(which)
        if count:
            self.ledger.book(LET_GO, SAMPLED_OUT, count)
            self._keep(self._assembler.expire(0))
            self._keep_connections()

    def waiting_s(self) -> float:
        """For how long the oldest row that is not on the disk yet has waited."""
        return self._tapes.waiting_s() if self._writer is not None else 0.0

    def note_rate(self, time_ns: int, rate: float) -> None:
        """From this time on another share of the connections is kept."""
        if self._writer is not None:
            self._writer.note_rate(time_ns, rate)

    def rotate(self) -> None:
        """End this tape and begin the next; connections go on across the edge."""
        self._end_tape()
        try:
            self._writer = self._tapes.open()
            self._broken = None  # what is lost from here on the new tape tells
        except (OSError, WiretapeError) as failure:
            self._failed(failure)

    def close(self) -> None:
        """The capture has ended: keep what was open, end the tape."""
        self._decapsulator.close()
        self._keep(self._assembler.finish())
        self._keep_connections()
        self._over = True
        self._end_tape()
        if self._broken is not None:
            writer, ledger = self._broken
            ledger.add(_difference(self.ledger, self._booked))
            with contextlib.suppress(OSError, WiretapeError):
                writer.amend(ledger)

    def _keep(self, exchanges: Iterable[Exchange]) -> None:
        batch, step, offset = list(exchanges), self._step, self._offset
        if not batch:
            return
        writer = self._writer
        if writer is None:
            self._book(EXCHANGES, 0, len(batch))
            return
        kept = unwritten = 0
        if step > 1:
            for exchange in batch:
                exchange.connection = exchange.connection * step + offset
        for sanitized in self._cleaner.exchanges(batch):
            if writer is None:
                unwritten += 1
                continue
            kept += 1
            try:
                writer.append(sanitized)
            except (OSError, WiretapeError) as failure:
                self._book(EXCHANGES, kept, 0)
                kept = 0
                self._failed(failure)
                writer = None
        self._book(EXCHANGES, kept, unwritten)

    def _keep_connections(self) -> None:
        kept = unwritten = 0
        for connection in self._assembler.closed():
            if self._writer is None:
                unwritten += 1
                continue
            connection.connection = connection.connection * self._step + self._offset
            kept += 1
            try:
                self._writer.append_connection(connection, self._cleaner.client(connection.client))
            except (OSError, WiretapeError) as failure:
                self._book(CONNECTIONS, kept, 0)
                kept = 0
                self._failed(failure)
        self._book(CONNECTIONS, kept, unwritten)

    def _book(self, unit: str, kept: int, unwritten: int) -> None:
        if kept:
            self.ledger.book(unit, KEPT, kept)
            self._given[unit] += kept
        if unwritten:
            self.ledger.book(unit, UNWRITTEN, unwritten)

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except (OSError, WiretapeError) as failure:
            self._failed(failure)
            return False
        return True

    def _failed(self, failure: Exception) -> None:
        reason = failure.strerror if isinstance(failure, OSError) else str(failure)
        sentence = (reason or str(failure)).rstrip(".")
        writer, self._writer = self._writer, None
        if writer is not None:
            # What came before stays readable anyway; with luck there is room for the index.
            with contextlib.suppress(OSError, WiretapeError):
                writer.seal()
            self._take_back(writer, REFUSED if isinstance(failure, AuditError) else UNWRITTEN)
            since = self._since()
            self._broken = writer, since
            with contextlib.suppress(OSError, WiretapeError):
                writer.close(since)
        if not self.failure:
            self.failure = sentence
        self._on_failure(f"{sentence}; capture goes on, counting what it cannot keep")

    def _take_back(self, writer: Writer, fate: str) -> None:
        """What was given to a writer but did not reach the disk was not kept."""
        written = {EXCHANGES: writer.exchanges, CONNECTIONS: writer.connections}
        for unit, given in self._given.items():
            lost = given - written[unit]
            if lost:
                self.ledger.became(unit, KEPT, -lost)
                self.ledger.became(unit, fate, lost)
            self._given[unit] = 0

    def _end_tape(self) -> None:
        if self._writer is None or not self._try(self._writer.seal):
            return
        writer, self._writer = self._writer, None
        self._given = dict.fromkeys(self._given, 0)
        self._try(lambda: writer.close(self._since()))

    def _since(self) -> Ledger:
        """What became of things since the tape before: the ledgers of a directory add up."""
        told = self.ledger if self._over else settled(self.ledger)
        since = _difference(told, self._booked)
        self._booked.add(since)
        return since


def settled(ledger: Ledger) -> Ledger:
    """A ledger in which only that was seen of which it is known already what became of it.

    Bytes of streams that are under way are seen by the tape on which their fate is told.
    """
    counts = ledger.as_dict()
    for fates in counts.values():
        fates[SEEN] = min(fates[SEEN], sum(fates.values()) - fates[SEEN])
    return Ledger.from_dict(counts)


def _difference(now: Ledger, before: Ledger) -> Ledger:
    """What was booked since: so that the ledgers of the tapes of a directory add up."""
    counts = {}
    earlier = before.as_dict()
    for unit, fates in now.as_dict().items():
        old = earlier.get(unit, {})
        counts[unit] = {fate: n - old.get(fate, 0) for fate, n in fates.items()}
    return Ledger.from_dict(counts)
