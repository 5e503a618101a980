"""Recording: batches of frames in, sanitized exchanges out to a tape, every loss in the ledger.

    frames -> decapsulator -> assembler (flows and HTTP/1 framing) -> sanitizer -> writer

The recorder knows its neighbours only by what it asks of them, so it is tested without a network
and without a disk. A writer that fails (a full disk, a directory gone) does not end the recording:
what cannot be kept is counted, the failure is told at once, and the next tape is tried anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from .decap import Decapsulator
from .errors import WiretapeError
from .exchange import Connection, Exchange
from .ledger import Ledger
from .packets import Frames, Packet

KEPT = "kept"
UNWRITTEN = "could not be written"


class Assembler(Protocol):
    """Streams and HTTP framing: packets in, whatever became whole out."""

    def feed(self, packets: list[Packet]) -> Iterable[Exchange]:
        """Take packets; the exchanges that are whole now."""
        ...

    def closed(self) -> Iterable[Connection]:
        """The connections that have ended since this was last asked."""
        ...

    def finish(self) -> Iterable[Exchange]:
        """The capture has ended: what was still open."""
        ...


class Cleaner(Protocol):
    """The sanitizer."""

    def exchange(self, exchange: Exchange) -> Any:
        """The exchange with its secrets replaced, in the one type that a tape accepts."""
        ...

    def client(self, address: bytes) -> int:
        """The pseudonym of an address."""
        ...


class Writer(Protocol):
    """A tape being written."""

    def append(self, sanitized: Any) -> None: ...

    def append_connection(self, connection: Connection, client: int) -> None: ...

    def tick(self) -> None: ...

    def close(self, ledger: Ledger) -> None: ...


class Recorder:
    """Joins the stages of recording, and books what became of exchanges and connections."""

    def __init__(
        self,
        ledger: Ledger,
        decapsulator: Decapsulator,
        assembler: Assembler,
        cleaner: Cleaner,
        open_writer: Callable[[], Writer],
        on_failure: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.failure = ""  # the first reason why something could not be written
        self._decapsulator = decapsulator
        self._assembler = assembler
        self._cleaner = cleaner
        self._open_writer = open_writer
        self._on_failure = on_failure
        self._writer: Writer | None = open_writer()
        self._booked = Ledger()  # what the tapes before this one have told already

    def take(self, frames: Frames) -> None:
        """Record one batch of frames."""
        packets = self._decapsulator.packets(frames)
        if packets:
            self._keep(self._assembler.feed(packets))
            self._keep_connections()

    def tick(self) -> None:
        """Some time has passed: what has waited long enough is written out."""
        if self._writer is None:
            return
        try:
            self._writer.tick()
        except (OSError, WiretapeError) as failure:
            self._failed(failure)

    def rotate(self) -> None:
        """End this tape and begin the next; connections go on across the edge."""
        self._end_tape()
        try:
            self._writer = self._open_writer()
        except (OSError, WiretapeError) as failure:
            self._failed(failure)

    def close(self) -> None:
        """The capture has ended: keep what was open, end the tape."""
        self._decapsulator.close()
        self._keep(self._assembler.finish())
        self._keep_connections()
        self._end_tape()

    def _keep(self, exchanges: Iterable[Exchange]) -> None:
        clean = self._cleaner.exchange
        kept = unwritten = 0
        for exchange in exchanges:
            if self._writer is None:
                unwritten += 1
                continue
            try:
                self._writer.append(clean(exchange))
                kept += 1
            except (OSError, WiretapeError) as failure:
                unwritten += 1
                self._failed(failure)
        self._book("exchanges", kept, unwritten)

    def _keep_connections(self) -> None:
        kept = unwritten = 0
        for connection in self._assembler.closed():
            if self._writer is None:
                unwritten += 1
                continue
            try:
                self._writer.append_connection(connection, self._cleaner.client(connection.client))
                kept += 1
            except (OSError, WiretapeError) as failure:
                unwritten += 1
                self._failed(failure)
        self._book("connections", kept, unwritten)

    def _book(self, unit: str, kept: int, unwritten: int) -> None:
        if kept:
            self.ledger.book(unit, KEPT, kept)
        if unwritten:
            self.ledger.book(unit, UNWRITTEN, unwritten)

    def _failed(self, failure: Exception) -> None:
        reason = failure.strerror if isinstance(failure, OSError) else str(failure)
        sentence = f"the tape cannot be written: {reason or failure}"
        self._writer = None
        if not self.failure:
            self.failure = sentence
        self._on_failure(f"{sentence}; capture goes on, counting what it cannot keep")

    def _end_tape(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        try:
            writer.close(difference(self.ledger, self._booked))
        except (OSError, WiretapeError) as failure:
            self._failed(failure)
        self._booked = Ledger.from_dict(self.ledger.as_dict())


def difference(now: Ledger, before: Ledger) -> Ledger:
    """What was booked since: so that the ledgers of the tapes of a directory add up."""
    counts = {}
    earlier = before.as_dict()
    for unit, fates in now.as_dict().items():
        old = earlier.get(unit, {})
        counts[unit] = {fate: n - old.get(fate, 0) for fate, n in fates.items()}
    return Ledger.from_dict(counts)
