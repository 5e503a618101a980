"""Fuzzes capture files: python -m tests.fuzz.from_source files -max_total_time=60

One invariant: only our own errors are raised, no frame reaches beyond its buffer, and a file that
comes in parts gives the frames that it gives as a whole.
"""

from __future__ import annotations

import gzip
import io
import sys

from capture.errors import CaptureError
from capture.ledger import Ledger
from capture.packets.decap import Decapsulator
from capture.packets.input import Input, uncompressed
from capture.packets.sources import reader
from tests.capture import packet_helpers as h
from tests.fuzz.instrument import Given, instrument

_FRAME = h.ethernet(h.ipv4(h.tcp(b"GET / HTTP/1.1")))
_WORDS = (
    *(h.pcap([], order, nano) for order in "<>" for nano in (False, True)),
    *(h.pcap([_FRAME], order)[24:] for order in "<>"),
    *(h.section(order) for order in "<>"),
    *(h.interface(1, resolution, 0, order) for order in "<>" for resolution in (6, 9, 0x8A, 0x7F)),
    *(h.interface(101, 6, -5, order) for order in "<>"),
    *(h.enhanced(_FRAME, 1 << 50, 0, order) for order in "<>"),
    *(h.enhanced(_FRAME, 77, 1, order) for order in "<>"),
    *(h.block(3, b"\0\0\0\x40" + _FRAME + b"\0\0", order) for order in "<>"),
    *(h.block(5, bytes(16), order) for order in "<>"),
    gzip.compress(h.pcap([_FRAME])),
    b"\x28\xb5\x2f\xfd",
    b"",
)

Row = tuple[int, int, int, bytes]


class Parts(io.RawIOBase):
    """A file that is read in parts."""

    def __init__(self, data: bytes, part: int) -> None:
        self._stream = io.BytesIO(data)
        self._part = part

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        return self._stream.read(min(size, self._part))

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


def rows(data: bytes, part: int) -> list[Row]:
    """The frames of a file, read in parts of this size at most."""
    decapsulator = Decapsulator(Ledger())
    found: list[Row] = []
    try:
        source = reader(uncompressed(Input(Parts(data, part), "it")))
        for frames in source.frames():
            ends = frames.starts + frames.lengths
            assert len(frames)
            assert (frames.lengths >= 0).all()
            assert (ends <= len(frames.data)).all()
            decapsulator.packets(frames)
            found += [
                (frames.link, time, wire, frames.data[start:end])
                for time, wire, start, end in zip(
                    frames.times.tolist(), frames.wires.tolist(), frames.starts.tolist(),
                    ends.tolist(), strict=True,
                )
            ]  # fmt: skip
    except CaptureError:
        pass
    return found


def one_input(data: bytes) -> None:
    """The invariant, for one input."""
    given = Given(data)
    part = 1 + given.number()
    file = bytearray()
    while given.left and len(file) < 1 << 16:
        what = given.number()
        if what < 200:
            file += _WORDS[what % len(_WORDS)]
        elif what < 240 and file:
            file[-1 - given.number() % len(file)] = given.number()
        else:
            file += given.some(what - 239)
    assert rows(bytes(file), part) == rows(bytes(file), 1 << 21)


def main() -> None:
    """Let atheris search."""
    import atheris

    instrument(atheris, "packets.pcapfile", "packets.pcapng", "packets.input", "packets.sources")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
