"""Writing a tape: sanitized exchanges in, sealed blocks out.

A tape begins with a block that says what it is, goes on with independent blocks of rows, and ends
with an index. Blocks are sealed at most half a second after their first row, so a writer that is
killed loses at most that. Only what the sanitizer returned is accepted (`Sanitized`), and rows
without payload (what a run writes).
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns import CONNECTIONS, EXCHANGES, Column
from ..describe import Describer
from ..errors import TapeError
from ..exchange import Connection
from ..ledger import Ledger
from .block import Array, BlockHeader, Cipher, Rows, Text, encode, encode_columns
from .format import TRAILER, TRAILER_MAGIC, TapeHeader, order_ns
from .rows import of_connections, of_exchanges

if TYPE_CHECKING:
    from ..sanitize.sanitized import Sanitized

_SEAL_AFTER_NS = 500_000_000
_MOST_ROWS = 7168  # held as objects: more take memory, fewer compress less well
_TICK_EVERY = 64  # rows between two looks at the clock
_MOST_HEAP = 3 << 20


Inspect = Callable[[int, Iterable[tuple[bytes, bytes]]], None]
"""Looks at the payloads (request, response) of a block whose first exchange has that number."""


class TapeWriter:
    """Writes a tape. Not thread-safe. `tick` is to be called now and then while nothing comes.

    `inspect` is shown the payloads of a block, and the number of its first exchange, before it is
    sealed; what it raises keeps the block from the disk. With `spare` a file that stands at the
    path stays until there is a block to put in its place. A failed write raises TapeError, leaves
    every earlier block readable and counts what was lost in `lost_exchanges`; writing may be tried
    again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: TapeHeader | None = None,
        *,
        cipher: Cipher | None = None,
        inspect: Inspect | None = None,
        overwrite: bool = True,
        spare: bool = False,
    ) -> None:
        self.path = Path(path)
        self._beside = beside(self.path) if spare else None  # where it is until then
        self.header = header or TapeHeader()
        self.lost_exchanges = 0
        self.exchanges = 0
        self.connections = 0
        self._cipher = cipher
        self._inspect = inspect
        self._describer = Describer()
        self._index: list[list[int]] = []
        self._index_at = -1  # where it is, once the tape is closed
        self._rates: list[list[float]] = []  # [ns, share of connections kept from then on]
        self._rates_told = 0  # how many of them are in a block
        self._number = 0
        self._oldest_ns = 0
        self._clear()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if overwrite else os.O_EXCL)
        try:
            self._fd = os.open(self._beside or self.path, flags, 0o600)
        except OSError as problem:
            raise TapeError(
                f"{self.path}: cannot be written ({problem.strerror}); choose another path."
            ) from problem
        self._at = 0
        try:
            self._write(BlockHeader("tape", 0, meta=asdict(self.header)), {})
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def bytes_written(self) -> int:
        """Size of the file so far."""
        return self._at

    @property
    def waiting_ns(self) -> int:
        """For how long the oldest row that is not on the disk yet has waited."""
        return time.monotonic_ns() - self._oldest_ns if self._oldest_ns and self._rows else 0

    def append(self, sanitized: Sanitized) -> None:
        """Add an exchange."""
        exchange = sanitized.exchange
        self._rows.append(sanitized)
        self._heap_bytes += len(exchange.request) + len(exchange.response)
        if self._heap_bytes >= _MOST_HEAP or len(self._rows) >= _MOST_ROWS:
            self.seal()
        elif len(self._rows) % _TICK_EVERY == 1:
            self.tick()

    def append_connection(self, connection: Connection, client: int) -> None:
        """Add a connection that has ended; `client` is the pseudonym of its client's address."""
        self._connections.append(connection)
        self._clients.append(client)
        if len(self._connections) % _TICK_EVERY == 1:
            self.tick()

    def note_rate(self, time_ns: int, rate: float) -> None:
        """From this time on another share of the connections is kept."""
        self._rates.append([time_ns, rate])

    def append_rows(
        self,
        rows: Mapping[str, Any],
        connections: Mapping[str, Any] | None = None,
        answers: Mapping[int, Sanitized] | None = None,
    ) -> None:
        """Add rows as one block: arrays, or lists of strings for text columns.

        They have no payload but, by the number of the row, the responses of sanitized exchanges.
        """
        self.seal()
        kept, heap = _answers(len(next(iter(rows.values()), ())), answers or {})
        table = _as_rows(EXCHANGES, {**rows, **kept})
        self.write_block(table, _as_rows(CONNECTIONS, connections or {}), heap)

    def tick(self, late_ns: int = 0) -> None:
        """Seal what has waited long enough, here and, for `late_ns`, before it came here."""
        now = time.monotonic_ns()
        if self._oldest_ns == 0:
            self._oldest_ns = now
        elif now - self._oldest_ns + late_ns > _SEAL_AFTER_NS:
            self.seal()

    def seal(self, ledger: Ledger | None = None) -> None:
        """Write what has been added since the last block, as a block."""
        if not self._rows and not self._connections:
            self._oldest_ns = 0
            return
        exchanges, connections, clients = self._rows, self._connections, self._clients
        self._clear()
        block = of_exchanges(exchanges, self._describer)
        self._describer.forget_some()
        ended = of_connections(connections, clients)
        self.write_block(block.rows, ended, block.heap, block.pieces, ledger)

    def write_block(
        self,
        rows: Rows,
        connections: Rows,
        heap: bytes = b"",
        pieces: Array | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Write one block of columns whose bytes have been through the sanitizer already."""
        count = len(next(iter(rows.values()), ()))
        ended = len(next(iter(connections.values()), ()))
        if self._inspect is not None:
            self._inspect(self.exchanges, _payloads(rows, heap))
        times = np.concatenate((order_ns(rows, count), _opened(connections)))
        self._number += 1
        header = BlockHeader("rows", self._number, count, ended)
        if len(times):
            header.first_ns, header.last_ns = int(times.min()), int(times.max())
        if ledger is not None:
            header.meta["ledger"] = ledger.as_dict()
        if self._rates_told < len(self._rates):
            header.meta["rates"] = self._rates[self._rates_told :]
            self._rates_told = len(self._rates)
        parts = encode_columns(EXCHANGES, rows) if count else {}
        parts |= encode_columns(CONNECTIONS, connections, "connections/") if ended else {}
        if pieces is not None and len(pieces):
            parts["piece_table"] = (["bytes", len(pieces)], pieces.astype("<i8").tobytes())
        parts["heap"] = (["bytes", len(heap)], heap)
        try:
            place = self._write(header, parts)
        except TapeError:
            self.lost_exchanges += count
            raise
        if self._beside is not None:
            os.replace(self._beside, self.path)
            self._beside = None
        self.exchanges += count
        self.connections += ended
        self._index.append([place, count, ended, header.first_ns, header.last_ns])

    def close(self, ledger: Ledger | None = None, summary: Mapping[str, Any] | None = None) -> None:
        """Seal what is left, write the index with the ledger (and a run's summary), close."""
        if self._fd < 0:
            return
        try:
            self.seal()
        finally:
            try:
                end = self._end(self._at, ledger, summary)
                self._put(end)
                self._index_at = self._at - len(end)
            finally:
                os.close(self._fd)
                self._fd = -1
                if self._beside is not None:
                    os.unlink(self._beside)

    def amend(self, ledger: Ledger) -> None:
        """Put another ledger on a tape that is closed, in the place of the one it has.

        Where there is no room for it the tape stays as it is: OSError.
        """
        if self._beside is not None:
            return  # it never took its place
        place = self._index_at if self._index_at >= 0 else self._at
        end = self._end(place, ledger, None)
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            before = os.pread(fd, self._at - place, place)
            try:
                if os.pwrite(fd, end, place) < len(end):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                os.pwrite(fd, before, place)
                os.ftruncate(fd, self._at)
                raise
            os.ftruncate(fd, place + len(end))
        finally:
            os.close(fd)
        self._index_at, self._at = place, place + len(end)

    def __enter__(self) -> TapeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _clear(self) -> None:
        self._rows: list[Sanitized] = []
        self._connections: list[Connection] = []
        self._clients: list[int] = []
        self._heap_bytes = 0
        self._oldest_ns = 0

    def _end(self, place: int, ledger: Ledger | None, summary: Mapping[str, Any] | None) -> bytes:
        """The index, which is to stand at `place`, and the trailer."""
        meta = {
            "blocks": self._index,
            "ledger": ledger.as_dict() if ledger else {},
            "summary": dict(summary or {}),
            "rates": self._rates,
        }
        index = encode(BlockHeader("index", self._number + 1, meta=meta), {}, self._cipher)
        return index + TRAILER.pack(place, TRAILER_MAGIC)

    def _write(self, header: BlockHeader, parts: Mapping[str, tuple[list[Any], bytes]]) -> int:
        place = self._at
        self._put(encode(header, parts, self._cipher))
        return place

    def _put(self, data: bytes) -> None:
        start, view = self._at, memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as problem:
            # What was written of the block is taken back: what stands before it stays readable.
            if stat.S_ISREG(os.fstat(self._fd).st_mode):
                os.ftruncate(self._fd, start)
                os.lseek(self._fd, start, os.SEEK_SET)
            raise TapeError(
                f"{self.path}: cannot be written ({problem.strerror}); what was written before "
                "is kept, make room or choose another disk."
            ) from problem
        self._at = start + len(data)


def beside(path: Path) -> Path | None:
    """Where to write until there is something to put in the place of what stands at a path."""
    whole = path.resolve()
    stands = whole.is_file() and whole.stat().st_size > 0
    return whole.with_name(f".{whole.name}.new") if stands else None


def _payloads(rows: Rows, heap: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Request and response of each row of a block."""
    places = [rows[f"{side}_{what}"] for side in ("request", "response") for what in ("at", "kept")]
    if heap:
        for at, size, other_at, other_size in zip(*places, strict=True):
            yield heap[at : at + size], heap[other_at : other_at + other_size]


def _answers(count: int, answers: Mapping[int, Sanitized]) -> tuple[dict[str, Array], bytes]:
    """The columns that tell where in the heap the responses of some rows are, and the heap."""
    if not answers:
        return {}, b""
    at, kept, heads = (np.zeros(count, np.int64) for _ in range(3))
    heap, size = [], 0
    for row, sanitized in sorted(answers.items()):
        response = sanitized.exchange.response
        at[row], kept[row] = size, len(response)
        heads[row] = sanitized.exchange.response_head_bytes
        heap.append(response)
        size += len(response)
    columns = {"response_at": at, "response_kept": kept, "response_head_bytes": heads}
    return columns, b"".join(heap)


def _opened(connections: Rows) -> Array:
    data = connections.get("opened_ns")
    return np.empty(0, np.int64) if data is None or isinstance(data, Text) else data


def _as_rows(columns: Sequence[Column], rows: Mapping[str, Any]) -> Rows:
    types = {column.name: column.dtype for column in columns}
    unknown = rows.keys() - types.keys()
    if unknown:
        raise ValueError(f"a tape has no columns {sorted(unknown)}")
    table: dict[str, Array | Text] = {}
    for name, data in rows.items():
        if isinstance(data, Text):
            table[name] = data
        elif types[name] == "text":
            table[name] = Text.of(data)
        else:
            table[name] = np.asarray(data, dtype=types[name])
    if len({len(data) for data in table.values()}) > 1:
        raise ValueError("the columns are not equally long")
    return table
