"""Exchanges and connections become the columns of a block, many at once.

Numbers are packed by one `struct` call an exchange and taken apart by numpy; what the requests
say of themselves is worked out once for each different request line and header block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xxhash

from ..columns import CONNECTIONS, EXCHANGES, Column
from ..describe import Describer, text_hash
from ..exchange import Connection, Exchange
from .block import Array, Rows, Text

if TYPE_CHECKING:
    from ..sanitize.sanitized import Sanitized

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


class Block(NamedTuple):
    """The parts of a block of exchanges."""

    rows: Rows
    heap: bytes
    pieces: Array  # (offset, ns) of every piece after a pause


class Packer:
    """Columns of the numeric attributes that objects and a table of columns have in common."""

    def __init__(self, columns: Sequence[Column], names: Set[str]) -> None:
        self._columns = [column for column in columns if column.name in names]
        self._get: Callable[[Any], tuple[int, ...]] = attrgetter(*(c.name for c in self._columns))
        self._pack = Struct(
            "<" + "".join("Q" if c.dtype == "uint64" else "q" for c in self._columns)
        ).pack

    def columns(self, things: Sequence[Any]) -> dict[str, Array]:
        """A column of each attribute, one row a thing."""
        pack, get = self._pack, self._get
        packed = b"".join([pack(*get(thing)) for thing in things])
        table = np.frombuffer(packed, "<i8").reshape(len(things), len(self._columns)).T
        return {
            column.name: np.ascontiguousarray(data).view(_width(column)).astype(column.dtype)
            for column, data in zip(self._columns, table, strict=True)
        }


def _width(column: Column) -> str:
    return "<u8" if column.dtype == "uint64" else "<i8"


_EXCHANGES = Packer(EXCHANGES, set(dir(Exchange)) - {"client", "pieces"})
_CONNECTIONS = Packer(CONNECTIONS, set(dir(Connection)) - {"client", "server"})


def of_exchanges(kept: Sequence[Sanitized], describer: Describer) -> Block:
    """The columns, the heap and the pieces of exchanges."""
    exchanges = [each.exchange for each in kept]
    rows: dict[str, Array | Text] = dict(_EXCHANGES.columns(exchanges))
    clients = np.array([each.client for each in kept], np.uint64)
    rows["client"] = clients
    rows |= _said(exchanges, clients, describer)
    digest = xxhash.xxh3_64_intdigest
    rows["request_digest"] = np.array([digest(each.request) for each in exchanges], np.uint64)
    heap = [part for each in exchanges for part in (each.request, each.response)]
    lengths = np.fromiter(map(len, heap), np.int64, len(heap))
    places = np.cumsum(lengths) - lengths
    rows["request_at"], rows["response_at"] = places[::2], places[1::2]
    rows["request_kept"], rows["response_kept"] = lengths[::2], lengths[1::2]
    counts = np.fromiter((len(each.pieces) for each in exchanges), np.int64, len(exchanges))
    rows["pieces"], rows["pieces_at"] = counts.astype(np.int32), np.cumsum(counts) - counts
    pieces = [piece for each in exchanges if each.pieces for piece in each.pieces]
    return Block(rows, b"".join(heap), np.array(pieces, np.int64).reshape(-1, 2))


def of_connections(ended: Sequence[Connection], clients: Sequence[int]) -> Rows:
    """The columns of connections; `clients` are the pseudonyms of their clients' addresses."""
    rows: dict[str, Array | Text] = dict(_CONNECTIONS.columns(ended))
    rows["client"] = np.array(clients, np.uint64)
    rows["server"] = Text.of([each.server for each in ended])
    return rows


def _said(
    exchanges: Sequence[Exchange], clients: Array, describer: Describer
) -> dict[str, Array | Text]:
    """The columns that follow from what the requests say."""
    noted = np.array([describer.note(each) for each in exchanges], np.int64).reshape(-1, 2)
    numbers, line = np.unique(noted[:, 0], return_inverse=True)
    lines = [describer.lines[number] for number in numbers.tolist()]
    numbers, block = np.unique(noted[:, 1], return_inverse=True)
    fields = [describer.fields[number] for number in numbers.tolist()]
    hosts = np.array([each.host_hash for each in fields], np.uint64)[block]
    host = Text.of([each.host for each in fields]).take(block)
    sessions = np.array([each.session for each in fields], np.uint64)[block]
    if any(each.authority for each in lines):
        # The authority of an absolute target goes before the Host header.
        authority = [lines[number].authority for number in line.tolist()]
        host = Text.of([a or h for a, h in zip(authority, host.strings(), strict=True)])
        hosts = np.array([text_hash(each) for each in host.strings()], np.uint64)
    hashes = np.array([each.hash for each in lines], np.uint64)[line]
    return {
        "method": Text.of([each.method for each in lines]).take(line),
        "endpoint": Text.of([each.endpoint for each in lines]).take(line),
        "target": Text.of([each.target for each in lines]).take(line),
        "host": host,
        "content_type": Text.of([each.content_type for each in fields]).take(block),
        "session": np.where(sessions == 0, clients, sessions),  # the address, failing a user
        "key": np.where(hashes == 0, hashes, hashes * _GOLDEN ^ hosts),
    }
