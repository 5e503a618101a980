"""Reading tapes: columns without payloads, payloads by exchange number, rows in order of time.

A directory of tapes is one tape. Rows stand in the file in the order in which exchanges ended;
`in_order` gives them in the order in which they began, holding back only what a later block may
still precede.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..columns import CONNECTIONS, EXCHANGES, Column
from ..errors import TapeError
from ..ledger import Ledger
from .block import LIES, Array, BlockHeader, Text
from .file import BlockPlace, Loss, TapeFile
from .format import ORDER, TapeHeader
from .opening import Opener, open_files
from .order import Columns, floors, split, with_order

T = TypeVar("T")

_CACHED_BLOCKS = 4


@dataclass(frozen=True)
class Payload:
    """The bytes of an exchange; `damaged` where they cannot be read (and are then empty)."""

    request: bytes
    response: bytes
    pieces: tuple[tuple[int, int], ...]  # (offset, ns) of pieces after a pause
    damaged: bool = False


@dataclass
class _Heap:
    """The payloads of one block, decompressed, with where each row's lie."""

    data: bytes
    pieces: list[list[int]]
    places: dict[str, list[int]]


class Tape:
    """A tape, opened for reading. Cheap to open: only the index is read."""

    def __init__(
        self, files: Sequence[TapeFile], *, strict: bool = False, unopened: Sequence[Loss] = ()
    ) -> None:
        self.files = list(files)
        self._unopened = list(unopened)
        self.strict = strict
        self.blocks: list[BlockPlace] = []
        number = 0
        for file in self.files:
            for place in file.blocks:
                self.blocks.append(
                    BlockPlace(
                        file, place.offset, place.rows, place.connections,
                        place.first_ns, place.last_ns, number,
                    )
                )  # fmt: skip
                number += place.rows
        self.exchange_count = number
        # Blocks without rows would share their successor's first number.
        self._filled = [number for number, place in enumerate(self.blocks) if place.rows]
        self._starts = np.array([self.blocks[n].first_exchange for n in self._filled], np.int64)
        self.directory: Path | None = None  # whose tapes it is made of
        self._lost: dict[tuple[int, bool], Loss] = {}
        self._heaps: dict[int, _Heap] = {}
        if strict and self.losses:
            raise TapeError(f"{self.losses[0]}; read it without --strict to get what is left.")

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        strict: bool = False,
        unseal: Opener | None = None,
    ) -> Tape:
        """Open a file, or a directory of tapes as one tape.

        `unseal` gives the cipher of an encrypted tape from its header; without it the identity
        file that WIRETAPE_IDENTITY names is used. TapeError where there is no tape; with `strict`
        also where a part of it is damaged. One file of a directory that is not readable (begun
        as the power went, removed by the recorder meanwhile) is a loss, the others are read.
        """
        files, unopened = open_files(Path(path), unseal)
        tape = cls(files, strict=strict, unopened=unopened)
        tape.directory = Path(path) if Path(path).is_dir() else None
        return tape

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    @property
    def header(self) -> TapeHeader:
        """The header (of the first file)."""
        return self.files[0].header

    @property
    def ledger(self) -> Ledger:
        """What became of everything seen, of all files."""
        total = Ledger()
        for file in self.files:
            total.add(Ledger.from_dict(file.counts))
        return total

    @property
    def rates(self) -> list[tuple[int, float]]:
        """From when on which share of the connections was kept, in order of time."""
        changes: list[tuple[int, float]] = []
        for file in self.files:
            changes.append((file.header.created_ns, file.header.sample_rate))
            changes += file.rates
        return sorted(changes)

    @property
    def sample_rate(self) -> float:
        """The share of connections that was kept, over the time of the tape."""
        first, last = self.span_ns
        kept = whole = 0.0
        for (since, rate), (until, _) in pairwise([*self.rates, (last, 1.0)]):
            lasted = max(0, min(until, last) - max(since, first))
            kept, whole = kept + rate * lasted, whole + lasted
        return kept / whole if whole else self.header.sample_rate

    @property
    def summary(self) -> dict[str, Any]:
        """What the writer of a run added at its end; empty for a recording."""
        return self.files[-1].summary

    @property
    def whole(self) -> bool:
        """Whether every file ended as a writer leaves it that was not killed."""
        return not self._unopened and all(file.whole for file in self.files)

    @property
    def losses(self) -> list[Loss]:
        """What cannot be read, as far as it has been met."""
        of_files = [loss for file in self.files for loss in file.losses]
        return [*self._unopened, *of_files, *self._lost.values()]

    @property
    def missing_count(self) -> int:
        """How many exchanges an index lists whose blocks are not there."""
        return sum(loss.exchanges or 0 for file in self.files for loss in file.losses)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Least and greatest start of a row; (-1, -1) for an empty tape."""
        times = [place for place in self.blocks if place.first_ns >= 0]
        if not times:
            return -1, -1
        return min(place.first_ns for place in times), max(place.last_ns for place in times)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def connection_count(self) -> int:
        """How many connections the tape tells the end of."""
        return sum(place.connections for place in self.blocks)

    def columns(
        self, names: Sequence[str], first: int = 0, last: int | None = None
    ) -> Iterator[Columns]:
        """The named columns, block by block in file order (blocks `first` to `last`).

        Arrays of the dtype of capture.columns, `Text` for text. A damaged block is left out and
        listed in `losses`.
        """
        chosen = _choose(EXCHANGES, names)
        for number in range(first, len(self.blocks) if last is None else last):
            if self.blocks[number].rows:
                block = self._try(number, partial(self._columns, number, chosen, ""))
                if block is not None:
                    yield block

    def connections(self, names: Sequence[str]) -> Iterator[Columns]:
        """The named columns of the connections, likewise."""
        chosen = _choose(CONNECTIONS, names)
        for number, place in enumerate(self.blocks):
            if place.connections:
                ended = partial(self._columns, number, chosen, "connections/")
                block = self._try(number, ended, ends=True)
                if block is not None:
                    yield block

    def in_order(
        self,
        names: Sequence[str],
        start_ns: int | None = None,
        end_ns: int | None = None,
        sound: Sequence[str] = (),
    ) -> Iterator[Columns]:
        """The rows in order of `order_ns`, start_ns <= time < end_ns, chunk by chunk.

        A block of which a column named in `sound` is damaged is left out, too.

        Besides the named columns each chunk has `exchange` (int64, the number in the tape) and
        `order_ns` (int64). Memory is bounded by how long exchanges last, not by the tape.
        """
        low = -(1 << 62) if start_ns is None else start_ns
        high = 1 << 62 if end_ns is None else end_ns
        wanted = [*dict.fromkeys([*names, *ORDER])]
        chosen = _choose(EXCHANGES, wanted)
        kept = [*dict.fromkeys([*names, "exchange", "order_ns"])]
        unread = [each.name for each in _choose(EXCHANGES, sound) if each not in chosen]
        waits = floors(self.blocks)
        held: Columns | None = None
        for number, place in enumerate(self.blocks):
            if place.rows and place.last_ns >= low and place.first_ns < high:
                block = self._try(number, partial(self._columns, number, chosen, "", unread))
                if block is not None:
                    held = with_order(block, place, low, high, kept, held)
            if held is not None:
                ready, held = split(held, waits[number])
                if ready is not None:
                    yield ready

    def payload(self, exchange: int) -> Payload:
        """The bytes of one exchange."""
        return next(self.payloads(np.array([exchange], dtype=np.int64)))

    def payloads(self, exchanges: NDArray[np.int64]) -> Iterator[Payload]:
        """The bytes of exchanges, by their numbers; the last few blocks stay decompressed."""
        found = np.searchsorted(self._starts, exchanges, side="right") - 1
        for exchange, filled in zip(exchanges.tolist(), found.tolist(), strict=True):
            number = self._filled[filled]
            heap = self._heap(number)
            if heap is None:
                yield Payload(b"", b"", (), damaged=True)
                continue
            yield _payload(heap, exchange - self.blocks[number].first_exchange)

    def block_heap(self, number: int) -> tuple[bytes, Array] | None:
        """The heap and the pieces (n × 2) of a block, as stored; None where damaged."""
        return self._try(number, partial(self._stored_heap, number))

    def verify(self) -> list[Loss]:
        """Read every section of every block; what cannot be read."""
        for number, place in enumerate(self.blocks):
            self._try(number, partial(self._columns, number, EXCHANGES, ""))
            if place.connections:
                ended = partial(self._columns, number, CONNECTIONS, "connections/")
                self._try(number, ended, ends=True)
            self._try(number, partial(self._stored_heap, number))
        return self.losses

    def _columns(
        self, number: int, chosen: Sequence[Column], prefix: str, unread: Sequence[str] = ()
    ) -> Columns:
        place = self.blocks[number]
        header, base = place.file.block_header(place)
        found = header.rows, header.connections, header.first_ns, header.last_ns
        if found != (place.rows, place.connections, place.first_ns, place.last_ns):
            raise TapeError("a block that is not the one of the index")
        for name in unread:
            place.file.check(header, base, name)
        return {each.name: place.file.column(header, base, each, prefix) for each in chosen}

    def _stored_heap(self, number: int) -> tuple[bytes, Array]:
        place = self.blocks[number]
        header, base = place.file.block_header(place)
        pieces = np.frombuffer(_optional(place.file, header, base, "piece_table"), dtype="<i8")
        return _optional(place.file, header, base, "heap"), pieces.reshape(-1, 2)

    def _heap(self, number: int) -> _Heap | None:
        heap = self._heaps.pop(number, None)
        if heap is None:
            heap = self._try(number, partial(self._open_heap, number))
            if heap is None:
                return None
            while len(self._heaps) >= _CACHED_BLOCKS:
                self._heaps.pop(next(iter(self._heaps)))
        self._heaps[number] = heap
        return heap

    def _open_heap(self, number: int) -> _Heap:
        data, pieces = self._stored_heap(number)
        sides = ("request_at", "request_kept", "response_at", "response_kept")
        names = (*sides, "pieces_at", "pieces")
        columns = self._columns(number, _choose(EXCHANGES, names), "")
        places = {
            name: column.tolist()
            for name, column in columns.items()
            if not isinstance(column, Text)
        }
        return _Heap(data, pieces.tolist(), places)

    def _try(self, number: int, read: Callable[[], T], *, ends: bool = False) -> T | None:
        """What `read` gives; where the block is damaged, note the loss (strict: raise).

        Where it reads `ends` of connections, no exchange is lost with them.
        """
        try:
            return read()
        except (TapeError, *LIES) as problem:
            place = self.blocks[number]
            said = str(problem) if isinstance(problem, TapeError) else "a block that cannot be true"
            loss = Loss(place.file.path, place.offset, 0, said, 0 if ends else place.rows)
            self._lost.setdefault((number, ends), loss)
            if self.strict:
                raise TapeError(f"{loss}; read it without --strict to get what is left.") from None
            return None


def _choose(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    by_name = {column.name: column for column in columns}
    return [by_name[name] for name in names]


def _optional(file: TapeFile, header: BlockHeader, base: int, name: str) -> bytes:
    return file.section(header, base, name) if name in header.sections else b""


def _payload(heap: _Heap, row: int) -> Payload:
    places = heap.places
    request, response = places["request_at"][row], places["response_at"][row]
    first = places["pieces_at"][row]
    pieces = heap.pieces[first : first + places["pieces"][row]]
    return Payload(
        heap.data[request : request + places["request_kept"][row]],
        heap.data[response : response + places["response_kept"][row]],
        tuple((offset, ns) for offset, ns in pieces),
    )
