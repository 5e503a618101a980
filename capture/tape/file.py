"""One tape file: finding its blocks, with the index or without it, and reading their sections.

A file that was torn off, or damaged in the middle, is read as far as it goes: blocks are found by
their magic, each has its own checksums, and what cannot be read is listed in `losses`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack

from ..columns import Column
from ..errors import TapeError
from .block import (
    LIES,
    MAGIC,
    PREFIX,
    Array,
    BlockHeader,
    Cipher,
    Text,
    believable,
    check_section,
    decode_header,
    decode_integers,
    decode_prefix,
    open_section,
    section_place,
)
from .format import TRAILER, TRAILER_MAGIC, VERSION, TapeHeader

_SCAN = 1 << 20


@dataclass(frozen=True)
class Loss:
    """Something of a tape that cannot be read."""

    path: Path
    offset: int  # in the file
    size: int  # bytes
    reason: str
    exchanges: int | None = None  # how many are lost with it; None where nobody can tell

    def __str__(self) -> str:
        rows = f", {self.exchanges} exchanges" if self.exchanges else ""
        return f"{self.path}: {self.reason} at byte {self.offset} ({self.size} bytes{rows})"


@dataclass(frozen=True)
class BlockPlace:
    """A block of rows: where it is, what it holds, and its first exchange's number."""

    file: TapeFile
    offset: int
    rows: int
    connections: int
    first_ns: int
    last_ns: int
    first_exchange: int


class TapeFile:
    """One file of a tape, opened for reading."""

    def __init__(self, path: Path, cipher: Cipher | None = None) -> None:
        self.path = path
        self.cipher = cipher
        self.losses: list[Loss] = []
        self.summary: dict[str, Any] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.rates: list[tuple[int, float]] = []  # changes of the share that was kept
        self.whole = False  # ended with an index, as a writer that was not killed leaves it
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as problem:
            raise TapeError(
                f"{path}: cannot be opened ({problem.strerror}); give the path of a tape."
            ) from problem
        self.size = os.fstat(self._fd).st_size
        try:
            self.header, self._first = self._read_header()
            self.blocks = self._indexed() or self._scan()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def block_header(self, place: BlockPlace) -> tuple[BlockHeader, int]:
        """The header of a block and the offset of its first section."""
        return self._header_at(place.offset)

    def section(self, header: BlockHeader, base: int, name: str) -> bytes:
        """The plain bytes of a section."""
        offset, length = section_place(header, name)
        return open_section(header, name, self._read(base + offset, length), self.cipher)

    def check(self, header: BlockHeader, base: int, name: str) -> None:
        """TapeError where the sections of a column are damaged."""
        for each in (name, name + "/values"):
            if each in header.sections:
                offset, length = section_place(header, each)
                check_section(header, each, self._read(base + offset, length))

    def column(
        self, header: BlockHeader, base: int, column: Column, prefix: str = ""
    ) -> Array | Text:
        """A column of a block; where the block lacks it, its `missing` value in every row."""
        name = prefix + column.name
        rows = header.connections if prefix else header.rows
        dtype = "int32" if column.dtype == "text" else column.dtype
        if name not in header.sections:
            spec: list[object] = ["const", column.missing]
            plain = b""
        else:
            spec = header.sections[name][:-3]
            plain = b"" if spec[0] == "const" else self.section(header, base, name)
        codes = decode_integers(spec, plain, dtype, rows)
        if column.dtype != "text":
            return codes
        return Text(codes, self._values(header, base, name + "/values"))

    def _values(self, header: BlockHeader, base: int, name: str) -> list[str]:
        if name not in header.sections:
            return [""]
        values: list[str] = msgpack.unpackb(self.section(header, base, name))
        return values

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def _header_at(self, offset: int) -> tuple[BlockHeader, int]:
        length, crc = decode_prefix(self._read(offset, PREFIX.size))
        base = offset + PREFIX.size + length
        return decode_header(self._read(offset + PREFIX.size, length), crc), base

    def _read_header(self) -> tuple[TapeHeader, int]:
        if self.size == 0:
            raise TapeError(f"{self.path}: is empty; a tape has at least a header.")
        try:
            header, base = self._header_at(0)
        except TapeError as problem:
            raise TapeError(
                f"{self.path}: is no tape (it does not begin with a tape's header); "
                "make one with `wiretape capture`."
            ) from problem
        try:
            tape = TapeHeader.from_dict(header.meta)
        except LIES as problem:
            raise TapeError(f"{self.path}: has a header that cannot be true.") from problem
        if tape.version > VERSION:
            raise TapeError(
                f"{self.path}: has format version {tape.version}, this wiretape reads up to "
                f"{VERSION}; use a newer wiretape."
            )
        return tape, base + header.size

    def _indexed(self) -> list[BlockPlace]:
        """The blocks by the index at the end; empty where there is none that holds."""
        end = self.size - TRAILER.size
        trailer = self._read(end, TRAILER.size) if end > 0 else b""
        if len(trailer) != TRAILER.size or not trailer.endswith(TRAILER_MAGIC):
            return []
        try:
            header, _ = self._header_at(TRAILER.unpack(trailer)[0])
        except (TapeError, OSError):
            return []
        if header.kind != "index":
            return []
        try:
            return self._listed(header)
        except LIES:
            return []

    def _listed(self, header: BlockHeader) -> list[BlockPlace]:
        """The blocks that an index lists."""
        blocks, number = [], 0
        for offset, rows, connections, first_ns, last_ns in header.meta["blocks"]:
            if not 0 < offset < self.size or not believable(
                BlockHeader("rows", 0, rows, connections, first_ns, last_ns, size=offset)
            ):
                return []
            blocks.append(BlockPlace(self, offset, rows, connections, first_ns, last_ns, number))
            number += rows
        self.counts = _checked_counts(header.meta["ledger"])
        self.summary = dict(header.meta["summary"])
        self.rates = _checked_rates(header)
        self.whole = True
        return blocks

    def _scan(self) -> list[BlockPlace]:
        """The blocks by walking the file; damage is skipped up to the next block's magic.

        Blocks are numbered, so what is not there, or is there twice, is told as well.
        """
        blocks: list[BlockPlace] = []
        at, number = self._first, 0
        seen = {0}
        listed: list[Any] | None = None  # by the index, where it is met
        while at < self.size:
            try:
                header, base = self._header_at(at)
                if base + header.size > self.size:
                    raise TapeError("torn in the middle of a block")
            except TapeError as problem:
                following = self._next_magic(at + 1)
                if self._read(at, TRAILER.size)[8:] != TRAILER_MAGIC:
                    self._lose(at, following - at, str(problem))
                at = following
                continue
            end = base + header.size
            if header.kind == "tape" and header.meta.get("tape_id") != self.header.tape_id:
                self._lose(at, self.size - at, "another tape begins; cut it off to read it")
                break
            if header.number in seen:
                self._lose(at, end - at, "a block that stands there twice", 0)
                at = end
                continue
            seen.add(header.number)
            if header.kind == "rows":
                blocks.append(
                    BlockPlace(
                        self, at, header.rows, header.connections,
                        header.first_ns, header.last_ns, number,
                    )
                )  # fmt: skip
                number += header.rows
            with contextlib.suppress(*LIES):
                if header.kind == "rows":
                    self.rates += _checked_rates(header)
                if "ledger" in header.meta:
                    self.counts = _checked_counts(header.meta["ledger"])
                if header.kind == "index":
                    self.summary = dict(header.meta["summary"])
                    self.whole = True
                    listed = [int(rows) for _, rows, *_ in header.meta["blocks"]]
            at = end
        if listed is not None:
            self._lose_listed(len(listed) - len(blocks), max(0, sum(listed) - number))
        elif (absent := max(seen) + 1 - len(seen)) and not self.losses:
            self._lose(self._first, 0, _absent(absent))
        return blocks

    def _lose(self, at: int, length: int, reason: str, exchanges: int | None = None) -> None:
        self.losses.append(Loss(self.path, at, length, reason, exchanges))

    def _lose_listed(self, blocks: int, exchanges: int) -> None:
        """The index tells how much is lost, which no single loss can."""
        self.losses = [replace(loss, exchanges=0) for loss in self.losses]
        if blocks > 0:
            self._lose(self._first, 0, _absent(blocks), exchanges)

    def _next_magic(self, at: int) -> int:
        while at < self.size:
            found = self._read(at, _SCAN + len(MAGIC)).find(MAGIC)
            if found >= 0:
                return at + found
            at += _SCAN
        return self.size


def _absent(blocks: int) -> str:
    return "a block is missing" if blocks == 1 else f"{blocks:,} blocks are missing"


def _checked_counts(counts: Any) -> dict[str, dict[str, int]]:
    """A ledger's counts as they were stored; ValueError or the like where they are none."""
    return {
        str(unit): {str(fate): int(count) for fate, count in fates.items()}
        for unit, fates in counts.items()
    }


def _checked_rates(header: BlockHeader) -> list[tuple[int, float]]:
    """The changes of the share kept that a block tells of; ValueError or the like for nonsense."""
    return [(int(time_ns), float(rate)) for time_ns, rate in header.meta.get("rates", [])]
