"""Fuzzes the reader of tapes: python -m tests.fuzz.from_source tape -max_total_time=60

One invariant: only TapeError is raised, whatever the file says of itself; what is damaged is told.
Damage is done to the bytes, and, behind right checksums, to the headers and the sections, so that
what a checksum would catch is not all that is tried.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgpack
import zstandard

from capture.errors import WiretapeError
from capture.tape.block import MAGIC, PREFIX
from capture.tape.reader import Tape
from samples.packets import Conversations, write
from tests.fuzz.instrument import Given, instrument

_ODD: tuple[Any, ...] = (
    0, 1, -1, 2, 255, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 1.5, None, True,
    "", "x", b"", b"\0" * 9, [], [1], [[]], {}, {"a": 1}, "<i8", "<u1", "raw", "const", "delta",
)  # fmt: skip
_EXCHANGES = ("connection", "method", "request_first_ns", "request_bytes", "endpoint", "pieces")
_CONNECTIONS = ("connection", "server", "opened_ns", "closed_ns")


@lru_cache
def tapes() -> tuple[bytes, ...]:
    """Tapes as they are written: one of several blocks, and one that was torn off."""
    from capture.cli import PcapOptions
    from capture.packets.sources import open_capture
    from capture.recording import open_recorder

    with tempfile.TemporaryDirectory() as name:
        capture, path = Path(name) / "in.pcap", Path(name) / "out.tape"
        with capture.open("wb") as out:
            write(Conversations(connections=4, exchanges=3, faults=True, open_at_once=2), out)
        recorder = open_recorder(PcapOptions(output=str(path)), "fuzz", lambda _: None)
        for frames in open_capture(str(capture)).frames():
            for part in frames.parts(20):
                recorder.take(part)
        recorder.close()
        whole = path.read_bytes()
    return whole, whole[: len(whole) * 3 // 4]


def blocks(data: bytes) -> list[tuple[int, int, int]]:
    """Where the blocks are: of each the place, its header's end and its own."""
    found, at = [], 0
    while data.startswith(MAGIC, at) and at + PREFIX.size <= len(data):
        _, length, _ = PREFIX.unpack_from(data, at)
        base = at + PREFIX.size + length
        if zlib.crc32(data[at + PREFIX.size : base]) != PREFIX.unpack_from(data, at)[2]:
            break
        header = msgpack.unpackb(data[at + PREFIX.size : base], strict_map_key=False)
        size = header.get("size") if isinstance(header, dict) else None
        if not isinstance(size, int) or not isinstance(header.get("sections"), dict):
            break
        found.append((at, base, base + size))
        at = base + max(0, size)
    return found


def spoilt(data: bytes, place: tuple[int, int, int], given: Given) -> bytes:
    """The file with a value in the header of a block, or a section, replaced; checksums right."""
    at, base, end = place
    header = msgpack.unpackb(data[at + PREFIX.size : base], strict_map_key=False)
    body = data[base:end]
    names = [name for name, spec in header["sections"].items() if isinstance(spec, list)]
    if given.number() & 1 and names:
        plain = given.some(given.number())
        stored = zstandard.ZstdCompressor().compress(plain * (1 + given.number()))
        spec = header["sections"][names[given.number() % len(names)]]
        spec[-3:] = [len(body), len(stored), zlib.crc32(stored)]
        body += stored
        header["size"] = len(body)
    else:
        _replace(header, given)
    packed: bytes = msgpack.packb(header)
    prefix = PREFIX.pack(MAGIC, len(packed), zlib.crc32(packed))
    return data[:at] + prefix + packed + body + data[end:]


def _replace(tree: Any, given: Given) -> None:
    for _ in range(4):
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = keys[given.number() % len(keys)]
        if isinstance(tree[key], dict | list) and tree[key] and given.number() & 3:
            tree = tree[key]
            continue
        tree[key] = _ODD[given.number() % len(_ODD)]
        return


def read(path: Path) -> None:
    """Read all that there is of a tape."""
    with Tape.open(path) as tape:
        tape.verify()
        assert len(tape.span_ns) == 2
        assert not tape.ledger.count("nothing")
        for names, rows in ((_EXCHANGES, tape.columns), (_CONNECTIONS, tape.connections)):
            for columns in rows(names):
                for column in columns.values():
                    len(column)
        for number in range(min(tape.exchange_count, 20)):
            payload = tape.payload(number)
            assert len(payload.request) < 1 << 24
        for _ in tape.in_order(("request_first_ns",)):
            pass


def one_input(data: bytes) -> None:
    """The invariant, for one input."""
    given = Given(data)
    file = tapes()[given.number() & 1]
    for _ in range(1 + (given.number() & 3)):
        what = given.number()
        if what < 160:
            places = blocks(file)
            if places:
                file = spoilt(file, places[given.number() % len(places)], given)
        elif what < 230 and file:
            at = given.number(2) % len(file)
            file = file[:at] + given.some(given.number() & 15) + file[at + (given.number() & 15) :]
        else:
            file = file[: given.number(2)]
    descriptor = os.memfd_create("tape")
    try:
        os.write(descriptor, file)
        read(Path(f"/proc/self/fd/{descriptor}"))
    except WiretapeError:
        pass
    finally:
        os.close(descriptor)


def main() -> None:
    """Let atheris search."""
    import atheris

    instrument(atheris, "tape.file", "tape.block", "tape.reader", "tape.order", "tape.format")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
