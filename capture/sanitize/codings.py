"""Content codings: bodies are opened to be sanitized, closed again, or replaced by filler.

A body is opened whole or not at all: one that is cut, damaged, of an unknown coding, followed by
other bytes, or larger than the cap when opened cannot be vouched for, and filler takes its place.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

MAX_OPENED = 256 << 20
"""Bytes that a body may have when opened: more is a bomb, or at least nothing to hold in memory."""
_STEP = 1 << 20
_RAW = b"deflate without header"
_TRIED, _CERTAIN = 4096, 32  # bytes of which so many must inflate; other bytes fail sooner
_MAGICS = ((b"\x1f\x8b\x08", b"gzip"), (b"\x28\xb5\x2f\xfd", b"zstd"))

Opener = Callable[[bytes, int], "bytes | None"]
"""Opens bytes to at most so many; None where they are not whole or would be more."""


def names(value: bytes) -> list[bytes]:
    """The codings that a header lists, in the order they were applied."""
    listed = (name.strip().lower() for name in value.split(b","))
    return [name for name in listed if name and name not in (b"identity", b"chunked")]


def told(data: bytes) -> tuple[list[bytes], bytes | None]:
    """The coding that bytes tell of by themselves, and what they read when opened, if they do.

    What begins as gzip, zstd or zlib does and cannot be opened whole is compressed all the same.
    All that is compressed has bytes beyond ASCII, also a stored block: its length stands there
    twice, once inverted.
    """
    if data.isascii():
        return [], None
    for magic, coding in _MAGICS:
        if data.startswith(magic):
            return [coding], None
    coding = exact(b"deflate", data)
    plain = opened(data, [coding])
    if plain or (coding == b"deflate" and _begins(data)):
        return [coding], plain
    return [], None


def _begins(data: bytes) -> bool:
    """Whether data that is no whole stream of zlib is the beginning of one, as it is written."""
    inflater, size = zlib.decompressobj(), 0
    try:
        for at in range(0, min(len(data), _TRIED) if data[:1] == b"x" else 0, 16):
            size += len(inflater.decompress(data[at : at + 16], _STEP))
            if size >= _CERTAIN:
                return True
    except zlib.error:
        pass
    return False


def exact(coding: bytes, data: bytes) -> bytes:
    """The coding as it is meant: some take `deflate` by its word and leave out the zlib header."""
    if coding != b"deflate" or (data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0):
        return coding
    return _RAW


def opened(data: bytes, codings: list[bytes], most: int = MAX_OPENED) -> bytes | None:
    """The data with all codings undone; None where that cannot be done whole."""
    for coding in reversed(codings):
        opener = _OPENERS.get(coding)
        if opener is None:
            return None
        try:
            plain = opener(data, most)
        except Exception:  # each library has its own error; all mean that it cannot be read
            return None
        if plain is None:
            return None
        data = plain
    return data


def closed(data: bytes, codings: list[bytes]) -> bytes:
    """The data with the codings applied again."""
    for coding in codings:
        data = _closed(data, coding)
    return data


def filler(size: int, kind: bytes) -> bytes:
    """As many bytes as asked for, well-formed for the content type where that can be."""
    if b"json" in kind:
        return b'"' + b"x" * (size - 2) + b'"' if size > 1 else b"9" * size
    if b"xml" in kind or b"html" in kind:
        return b"<x>" + b"x" * (size - 7) + b"</x>" if size > 7 else b"x" * size
    if b"urlencoded" in kind:
        return b"x=" + b"x" * (size - 2) if size > 1 else b"x" * size
    return b"x" * size if kind.startswith(b"text/") else b"\0" * size


def _gzip(data: bytes, most: int) -> bytes | None:
    out: list[bytes] = []
    while data:  # members follow one another
        inflater = zlib.decompressobj(31)
        part = inflater.decompress(data, most + 1)
        most -= len(part)
        if not inflater.eof or most < 0:
            return None
        out.append(part)
        data = inflater.unused_data
    return b"".join(out)


def _deflate(data: bytes, most: int) -> bytes | None:
    return _inflated(data, most, 15 if exact(b"deflate", data) == b"deflate" else -15)


def _raw_deflate(data: bytes, most: int) -> bytes | None:
    return _inflated(data, most, -15)


def _inflated(data: bytes, most: int, bits: int) -> bytes | None:
    inflater = zlib.decompressobj(bits)
    plain = inflater.decompress(data, most + 1)
    whole = inflater.eof and not inflater.unused_data and len(plain) <= most
    return plain if whole else None


def _brotli(data: bytes, most: int) -> bytes | None:
    import brotli

    inflater = brotli.Decompressor()
    out, size = [inflater.process(data, output_buffer_limit=_STEP)], 0
    while out[-1] and size <= most:
        size += len(out[-1])
        out.append(b"" if inflater.is_finished() else inflater.process(b"", _STEP))
    return b"".join(out) if inflater.is_finished() and size <= most else None


def _zstd(data: bytes, most: int) -> bytes | None:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    out: list[bytes] = []
    # Fed a little at a time: what a step may grow to is bounded by the format's block size.
    for at in range(0, len(data), 1 << 12):
        out.append(inflater.decompress(data[at : at + (1 << 12)]))
        most -= len(out[-1])
        if most < 0:
            return None
    return b"".join(out) if inflater.eof and not inflater.unused_data else None


_OPENERS: dict[bytes, Opener] = {
    b"gzip": _gzip, b"x-gzip": _gzip, b"deflate": _deflate, b"br": _brotli, b"zstd": _zstd,
    _RAW: _raw_deflate,
}  # fmt: skip


def _closed(data: bytes, coding: bytes) -> bytes:
    if coding == b"br":
        import brotli

        return bytes(brotli.compress(data, quality=5))
    if coding == b"zstd":
        import zstandard

        return zstandard.ZstdCompressor().compress(data)
    if coding == _RAW:
        return zlib.compress(data, wbits=-15)
    return zlib.compress(data) if coding == b"deflate" else gzip.compress(data, mtime=0)
