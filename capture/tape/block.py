"""Blocks: the independent parts that a tape is a sequence of.

    block   = magic, u32 header length, u32 CRC-32 of header, header (msgpack), sections
    header  = what the block is, how many rows, its span of time, and where each section lies
    section = one numpy column, the values of a text column, or the heap; zstd, with its own CRC-32

A section is read only by who wants it, so statistics never touch payloads. Integers are stored in
the narrowest width that holds them, as differences where the column says so; a column that is the
same in every row is a number in the header. docs/tape-format.md describes every field.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack
import numpy as np
import zstandard
from numpy.typing import NDArray

from ..columns import Column
from ..errors import TapeError

MAGIC = b"\x93WTBLK\r\n"
PREFIX = struct.Struct("<8sII")
MOST_HEADER = 1 << 26
MOST_ROWS = 1 << 24
MOST_SECTION = 1 << 28  # bytes, decompressed: what a file claims is not believed beyond this
LIES = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What comes of reading a block that is not what its own header, with right checksums, says."""

Array = NDArray[Any]


class Cipher(Protocol):
    """Seals and opens sections; `number` is unique to a section of its tape."""

    def seal(self, section: bytes, number: int) -> bytes:
        """The section, encrypted and authenticated."""

    def open(self, section: bytes, number: int) -> bytes:
        """The section that `seal` was given."""


@dataclass(frozen=True)
class Text:
    """A column of strings: `values[codes[i]]` is the string of row i."""

    codes: NDArray[np.int32]
    values: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    def strings(self) -> list[str]:
        """The string of each row."""
        values = self.values
        return [values[code] for code in self.codes.tolist()]

    def take(self, rows: Array) -> Text:
        """The rows that an index or mask selects."""
        return Text(self.codes[rows], self.values)

    @classmethod
    def of(cls, strings: Sequence[str]) -> Text:
        """The column that holds these strings."""
        places: dict[str, int] = {}
        codes = [places.setdefault(string, len(places)) for string in strings]
        return cls(np.array(codes, dtype=np.int32), list(places))

    @classmethod
    def join(cls, parts: Sequence[Text]) -> Text:
        """Columns one after another, under one dictionary."""
        places: dict[str, int] = {}
        codes = []
        for part in parts:
            remap = [places.setdefault(value, len(places)) for value in part.values]
            codes.append(np.array(remap or [0], dtype=np.int32)[part.codes])
        return cls(np.concatenate(codes) if codes else np.empty(0, np.int32), list(places))


Rows = Mapping[str, "Array | Text"]


@dataclass
class BlockHeader:
    """What a block holds and where. Offsets are relative to the first section."""

    kind: str  # "tape", "rows" or "index"
    number: int
    rows: int = 0
    connections: int = 0
    first_ns: int = -1  # least and greatest time of a row; -1 where there is none
    last_ns: int = -1
    sections: dict[str, list[Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    size: int = 0  # bytes of all sections


def encode(
    header: BlockHeader, parts: Mapping[str, tuple[list[Any], bytes]], cipher: Cipher | None
) -> bytes:
    """A whole block: `parts` gives for each section how it is encoded and its plain bytes."""
    compressor = zstandard.ZstdCompressor(level=1)
    body = []
    at = 0
    for place, (name, (spec, plain)) in enumerate(parts.items()):
        if not plain:
            header.sections[name] = [*spec, at, 0, 0]
            continue
        stored = compressor.compress(plain)
        if cipher is not None:
            stored = cipher.seal(stored, header.number << 16 | place)
        header.sections[name] = [*spec, at, len(stored), zlib.crc32(stored)]
        at += len(stored)
        body.append(stored)
    header.size = at
    packed: bytes = msgpack.packb(vars(header), use_bin_type=True)
    return b"".join((PREFIX.pack(MAGIC, len(packed), zlib.crc32(packed)), packed, *body))


def encode_columns(
    columns: Sequence[Column], rows: Rows, prefix: str = ""
) -> dict[str, tuple[list[Any], bytes]]:
    """The sections of a table; a column that `rows` lacks is its `missing` value throughout."""
    parts: dict[str, tuple[list[Any], bytes]] = {}
    for column in columns:
        data = rows.get(column.name)
        if isinstance(data, Text):
            values = msgpack.packb(data.values, use_bin_type=True)
            parts[prefix + column.name] = _encode_integers(data.codes, delta=False)
            parts[prefix + column.name + "/values"] = (["bytes", 0], values)
        elif data is None:
            parts[prefix + column.name] = (["const", column.missing], b"")
        else:
            parts[prefix + column.name] = _encode_integers(data, delta=column.delta)
    return parts


def decode_prefix(data: bytes) -> tuple[int, int]:
    """Length and CRC of the header that follows; TapeError where no block begins."""
    if len(data) < PREFIX.size:
        raise TapeError("torn in the middle of a block")
    magic, length, crc = PREFIX.unpack(data[: PREFIX.size])
    if magic != MAGIC or length > MOST_HEADER:
        raise TapeError("no block begins here")
    return length, crc


def decode_header(data: bytes, crc: int) -> BlockHeader:
    """The header from its bytes; TapeError where they are damaged."""
    if zlib.crc32(data) != crc:
        raise TapeError("damaged block header")
    try:
        header = BlockHeader(**msgpack.unpackb(data, strict_map_key=False))
        if believable(header):
            return header
    except (*LIES, msgpack.UnpackException) as problem:
        raise TapeError("damaged block header") from problem
    raise TapeError("a block header that cannot be true")


def believable(header: BlockHeader) -> bool:
    """Whether what a header says can be."""
    size = header.size
    for count in (header.rows, header.connections, size, header.number):
        if type(count) is not int or not 0 <= count < 1 << 62:
            return False
    for time in (header.first_ns, header.last_ns):
        if not -(1 << 63) <= time < 1 << 63:
            return False
    for spec in header.sections.values():
        at, length = spec[-3:-1]
        if type(at) is not int or type(length) is not int:
            return False
        if at < 0 or length < 0 or at + length > size:
            return False
    return max(header.rows, header.connections) <= MOST_ROWS and isinstance(header.meta, dict)


def section_place(header: BlockHeader, name: str) -> tuple[int, int]:
    """Offset and length of a section as stored."""
    spec = header.sections[name]
    return spec[-3], spec[-2]


def check_section(header: BlockHeader, name: str, stored: bytes) -> None:
    """TapeError where the bytes of a section, as stored, are damaged."""
    length, crc = header.sections[name][-2:]
    if length and (len(stored) != length or zlib.crc32(stored) != crc):
        raise TapeError(f"damaged section {name}")


def open_section(header: BlockHeader, name: str, stored: bytes, cipher: Cipher | None) -> bytes:
    """The plain bytes of a section; TapeError where they are damaged or sealed."""
    if not header.sections[name][-2]:
        return b""
    check_section(header, name, stored)
    if cipher is not None:
        place = list(header.sections).index(name)
        stored = cipher.open(stored, header.number << 16 | place)
    try:
        if zstandard.frame_content_size(stored) > MOST_SECTION:
            raise TapeError(f"section {name} claims to be too large")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=MOST_SECTION)
    except zstandard.ZstdError as problem:
        raise TapeError(f"section {name} cannot be decompressed") from problem


def decode_integers(spec: Sequence[Any], plain: bytes, dtype: str, rows: int) -> Array:
    """A column of integers, as `dtype`."""
    encoding = spec[0]
    if encoding == "const":
        return np.full(rows, spec[1], dtype=dtype)
    stored = np.frombuffer(plain, dtype=spec[1])
    if len(stored) != rows:
        raise TapeError("a column has the wrong number of rows")
    if encoding == "delta":
        return np.cumsum(stored, dtype=np.int64).astype(dtype, copy=False)
    return stored.astype(dtype)


def _encode_integers(data: Array, *, delta: bool) -> tuple[list[Any], bytes]:
    if len(data) == 0 or bool((data == data[0]).all()):
        return ["const", int(data[0]) if len(data) else 0], b""
    encoding = "raw"
    if delta:
        encoding = "delta"
        data = np.diff(data, prepend=data.dtype.type(0))
    data = data.astype(_narrowest(data), copy=False)
    return [encoding, data.dtype.str], data.tobytes()


def _narrowest(data: Array) -> str:
    low, high = int(data.min()), int(data.max())
    sign = "u" if low >= 0 else "i"
    for width in (1, 2, 4):
        bits = 8 * width - (sign == "i")
        if high < 1 << bits and low >= -(1 << bits):
            return f"<{sign}{width}"
    return f"<{sign}8"
