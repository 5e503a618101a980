"""The bytes of a capture file or of standard input, with their compression taken off.

A look at the first bytes (`peek`) tells what the file is before anything is consumed. A damaged
or cut compression ends the bytes and is told in `damage`; what came before it stays good. While a
pipe has nothing to read, whoever asked is called now and then (`while_waiting`).
"""

from __future__ import annotations

import contextlib
import io
import select
import sys
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from ..errors import CaptureError

CHUNK = 1 << 18  # so small that what is made of it stays in the processor's caches
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_WAIT_S = 0.2
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which only Linux has
_MOST_LAYERS = 4  # a file compressed more often than this is a bomb, not a capture


class Input:
    """The bytes of a capture file, decompressed, with a look at the first ones."""

    def __init__(self, stream: Any, name: str, below: Input | None = None) -> None:
        self.name = name
        self._below = below  # what the stream decompresses
        self.damage = ""
        self.cut = False  # the damage is only that the file ends too early
        self._stream = stream
        self._held = b""
        self._read = getattr(stream, "read1", stream.read)
        self._waits = False  # there may be nothing to read for a while
        self.while_waiting: Callable[[], None] | None = None

    def call_while_waiting(self, what: Callable[[], None]) -> None:
        """Have something called now and then while there is nothing to read."""
        if self._below is not None:
            self._below.call_while_waiting(what)
        self.while_waiting = what

    def may_wait(self) -> None:
        """This is a pipe, or the like: it is given room, and waited for with patience."""
        self._waits = True
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(self._stream.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)

    def peek(self, size: int) -> bytes:
        """The first bytes that are still to be read: fewer than `size` only at the end."""
        while len(self._held) < size:
            more = self._more(CHUNK)
            if not more:
                break
            self._held += more
        return self._held[:size]

    def read(self, size: int = CHUNK) -> bytes:
        """Some more bytes: whatever is there, so that a pipe is followed live; b"" at the end."""
        if self._held:
            held, self._held = self._held, b""
            return held
        return self._more(size)

    def close(self) -> None:
        """Close the file, and the compressed one below it; standard input is left alone."""
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
        if self._below is not None:
            self._below.close()

    def _more(self, size: int) -> bytes:
        try:
            while self._waits and self.while_waiting is not None:
                if select.select([self._stream], [], [], _WAIT_S)[0]:
                    break
                self.while_waiting()
            got: bytes = self._read(size)
            return got
        except EOFError:
            self.cut = True
            self.damage = f"{self.name} is cut off in the middle of its compression"
        except zlib.error as failure:
            self.damage = f"{self.name}: its compression is damaged ({failure})"
        except OSError as failure:
            self.damage = f"{self.name}: reading stopped: {failure.strerror or failure}"
        except Exception as failure:
            if type(failure).__name__ != "ZstdError":
                raise
            self.damage = f"{self.name}: its compression is damaged ({failure})"
        return b""


class _Unread(io.RawIOBase):
    """An `Input` as a file, for a decompressor to read from."""

    def __init__(self, source: Input) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        got = self._source.read(wanted)
        if len(got) > wanted:
            self._source._held = got[wanted:]
            got = got[:wanted]
        buffer[: len(got)] = got
        return len(got)


def open_input(path: str) -> Input:
    """Open a file, or standard input for `-`, and take off its compression (gzip, zstandard)."""
    stream: BinaryIO
    if path == "-":
        if sys.stdin is None:
            raise CaptureError("standard input is closed; pipe a capture into it.")
        name, stream = "standard input", sys.stdin.buffer
    else:
        name = path
        try:
            stream = open(path, "rb")  # noqa: SIM115 - lives as long as the source
        except OSError as failure:
            raise CaptureError(
                f"{path} cannot be opened: {failure.strerror}; give a pcap or pcapng file."
            ) from None
    source = Input(stream, name)
    if path == "-":
        source.may_wait()
    return uncompressed(source)


def uncompressed(source: Input) -> Input:
    """An input with its compression taken off, where it has any."""
    for _ in range(_MOST_LAYERS):
        head = source.peek(4)
        if head[:2] == _GZIP:
            source = _gunzip(source)
        elif head == _ZSTD:
            source = _unzstd(source)
        else:
            break
    return source


def _gunzip(source: Input) -> Input:
    import gzip

    return Input(gzip.GzipFile(fileobj=io.BufferedReader(_Unread(source))), source.name, source)


def _unzstd(source: Input) -> Input:
    import zstandard

    below: Any = _Unread(source)
    reader = zstandard.ZstdDecompressor().stream_reader(below, read_across_frames=True)
    return Input(reader, source.name, source)
