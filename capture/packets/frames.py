"""What every source of packets yields.

A source yields `Frames`: many captured frames that lie in one buffer, described by arrays. Walking
the frames of a buffer one by one costs Python some hundred ns each; everything after that (times,
header fields) is gathered for the whole batch at once by numpy, which is what makes capture quick.
`decap.py` turns frames into packets:

    (time_ns, src, dst, sport, dport, seq, ack, flags, payload, cut)

src and dst are packed addresses (4 or 16 bytes), flags the TCP flag byte (with the urgent pointer
in the bits above 16 where it counts), payload the bytes that were captured and cut how many more of
them the snap length took away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Int64s = NDArray[np.int64]

Packet = tuple[int, bytes, bytes, int, int, int, int, int, bytes, int]


@dataclass(slots=True)
class Frames:
    """Captured frames of one link type, in one buffer."""

    data: bytes
    link: int  # LINKTYPE number, as in pcap files
    starts: Int64s  # where in `data` each frame begins
    lengths: Int64s  # how many bytes of it were captured
    wires: Int64s  # how many it had on the wire
    times: Int64s  # ns since the epoch

    def __len__(self) -> int:
        return len(self.starts)

    def only(self, which: NDArray[np.bool_] | slice) -> Frames:
        """Some of the frames."""
        return Frames(
            self.data, self.link, self.starts[which], self.lengths[which], self.wires[which],
            self.times[which],
        )  # fmt: skip

    def parts(self, most: int) -> Iterator[Frames]:
        """The same frames, in batches of so many at most."""
        for first in range(0, len(self), most):
            yield self.only(slice(first, first + most))


class Source(Protocol):
    """Where packets come from."""

    damage: str  # "" or a sentence: why the rest could not be read
    cut: bool  # the damage is only that the file ends too early, as a copied live one does

    def frames(self) -> Iterator[Frames]:
        """The frames, batch by batch, in the order they were captured."""
        ...

    def call_while_waiting(self, what: Callable[[], None]) -> None:
        """Have something called now and then while there is nothing to read."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...
