"""What a wire that is lent knows of the short way of plain requests (quick.py, express.pyx)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..handover.batch import Batch


class Told(NamedTuple):
    """What whoever lends is told of what is not plain; wires by their descriptors."""

    settled: Callable[[Batch], None]
    """The fate of all rows of a batch is known."""
    unsent: Callable[[int, int], None]
    """The kernel took not all of a request, but so many bytes."""
    heard: Callable[[int, bytes, int], None]
    """What came, at that time, is no whole answer."""
    failed: Callable[[int, int], None]
    """Sending or receiving failed with that errno."""
    freed: Callable[[int], None]
    """A wire was answered for which something waits."""


class ShortWay(Protocol):
    """To which wires are lent; each is known by its descriptor."""

    def on_its_way(self, fd: int) -> tuple[Batch, int] | None:
        """The request whose answer the wire awaits."""
        ...

    def carry(self, fd: int, batch: Batch, row: int) -> None:
        """A plain request was sent on this wire just now, by whoever lent it."""
        ...

    def send(self, fd: int, batch: Batch, row: int) -> bool:
        """Send a plain request on a wire, unless that awaits an answer; whether it was sent."""
        ...

    def take_back(self, fd: int) -> tuple[tuple[Batch, int] | None, int, int, int]:
        """End the loan: what is on its way; bytes sent and received meanwhile, and the answers."""
        ...
