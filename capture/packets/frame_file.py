"""What every file of frames has in common, whatever its format: batches, damage, and an end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from .frames import Frames
from .input import Input

MOST_FRAME = 16 << 20
"""No frame is longer than this; a longer one means a damaged file."""

_BATCH = 1 << 13  # small packets are many in a chunk, and a decoded one takes some 500 bytes


class FrameFile(ABC):
    """A file that yields frames; `_read` is its format's."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self.damage = ""
        self.cut = False

    def frames(self) -> Iterator[Frames]:
        """The frames, batch by batch; `damage` tells afterwards whether all were read."""
        try:
            for frames in self._read():
                yield from frames.parts(_BATCH)
        finally:
            self.close()

    def call_while_waiting(self, what: Callable[[], None]) -> None:
        """Have something called now and then while there is nothing to read."""
        self._source.call_while_waiting(what)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    @abstractmethod
    def _read(self) -> Iterator[Frames]:
        """The frames, in batches of any size."""
