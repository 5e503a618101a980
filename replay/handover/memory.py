"""Memory that two processes share, used again: fresh pages cost more than what is in them.

The feeder takes a region for each batch and gives it back when the batch is settled. The sender
maps a region when it first hears of it, so a batch in a region that it knows comes without any work
of the kernel.
"""

from __future__ import annotations

import mmap
import os
import tempfile

_LEAST = 1 << 18
_STEP = 1 << 16
_KEPT_BYTES = 12 << 20


class Region:
    """A piece of shared memory. `fd` is to be handed over once, then -1."""

    __slots__ = ("fd", "map", "number", "size")

    def __init__(self, number: int, size: int) -> None:
        self.number, self.size = number, size
        self.fd = _memory(size)
        self.map = mmap.mmap(self.fd, size)

    def handed_over(self) -> None:
        """The other process has it mapped: the descriptor is not needed any more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Regions:
    """The regions of one feeder."""

    def __init__(self) -> None:
        self._free: list[Region] = []
        self._made = 0

    def take(self, size: int) -> Region:
        """One that is at least so large: one that is free, or a new one."""
        for place, region in enumerate(self._free):
            if region.size >= size:
                return self._free.pop(place)
        self._made += 1
        return Region(self._made, -(-max(size * 9 // 8, _LEAST) // _STEP) * _STEP)

    def give_back(self, region: Region) -> int:
        """It may be used again; the number of one that is let go instead, or 0."""
        self._free.append(region)
        if sum(each.size for each in self._free) <= _KEPT_BYTES:
            return 0
        oldest = self._free.pop(0)
        oldest.handed_over()
        return oldest.number


def _memory(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("wiretape-batch")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, size)
    return fd
