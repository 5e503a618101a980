"""What feeder and sender say to each other: short packets over a pair of sockets.

The feeder sends batches (the descriptor of their memory goes along, the first time); the sender
tells which it has begun, which are settled, what became of each connection, how far it is, and when
it stopped.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct

from ..planning.silent import Silent
from .batch import Batch, Written

_OFFER = struct.Struct("<c5q")
_TELL = struct.Struct("<c8q")
BATCH, END, START, FORGET, SILENT = b"b", b"e", b"a", b"f", b"s"
BEGUN, SETTLED, COUNT, CONNECTION, STOPPED = b"b", b"s", b"c", b"w", b"x"
Told = tuple[bytes, tuple[int, ...], int]


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends: the feeder's and the sender's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ours, theirs


def offer(end: socket.socket, number: int, written: Written) -> None:
    """Hand a batch to the sender."""
    region = written.region
    message = _OFFER.pack(BATCH, number, written.rows, written.pieces, region.number, 0)
    if region.fd < 0:
        end.send(message)
    else:
        socket.send_fds(end, [message], [region.fd])
        region.handed_over()


def offer_less(end: socket.socket, region: int) -> None:
    """Tell the sender that a region of memory is not used any more."""
    end.send(_OFFER.pack(FORGET, region, 0, 0, 0, 0))


def offer_silent(end: socket.socket, silent: Silent) -> None:
    """Tell the sender of a connection that carries no request."""
    end.send(_OFFER.pack(SILENT, *silent))


def offer_end(end: socket.socket) -> None:
    """Tell the sender that the plan has ended."""
    end.send(_OFFER.pack(END, 0, 0, 0, 0, 0))


def offer_start(end: socket.socket, instant: int) -> None:
    """Tell the sender when due time 0 is (monotonic ns)."""
    end.send(_OFFER.pack(START, instant, 0, 0, 0, 0))


def tell(end: socket.socket, what: bytes, *numbers: int, fd: int = -1) -> None:
    """Tell the feeder something; a descriptor may go along, and is closed here."""
    message = _TELL.pack(what, *numbers, *(0,) * (8 - len(numbers)))
    if fd < 0:
        end.send(message)
        return
    try:
        socket.send_fds(end, [message], [fd])
    finally:
        os.close(fd)


def heard(end: socket.socket) -> Told | None:
    """What the sender told; None where it has gone."""
    try:
        message, fds, _, _ = socket.recv_fds(end, _TELL.size, 1)
    except ConnectionResetError:  # it left batches unread; what it told before is still there
        message, fds, _, _ = socket.recv_fds(end, _TELL.size, 1)
    if not message:
        return None
    what, *numbers = _TELL.unpack(message)
    return what, tuple(numbers), fds[0] if fds else -1


class Intake:
    """The sender's side: batches as they come. `ended` once no more will."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.ended = False
        self.silent: list[Silent] = []
        self._regions: dict[int, mmap.mmap] = {}
        end.setblocking(True)

    def start(self) -> int:
        """Wait to be told when due time 0 is; -1 where the feeder gave up."""
        message = self.end.recv(_OFFER.size)
        instant: int = _OFFER.unpack(message)[1] if message else -1
        return instant

    def next(self) -> Batch | None:
        """The next batch; None where there is none yet, or none any more."""
        while not self.ended:
            try:
                message, fds, _, _ = socket.recv_fds(self.end, _OFFER.size, 1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                message, fds = b"", []
            if not message or message[:1] == END:
                self.ended = True
                break
            kind, number, rows, pieces, region, more = _OFFER.unpack(message)
            if kind == SILENT:
                self.silent.append(Silent(number, rows, pieces, region, more))
                continue
            if kind == FORGET:
                self._regions.pop(number, None)
                continue
            for fd in fds:
                self._regions[region] = _mapped(fd)
            return Batch(self._regions[region], number, rows, pieces)
        return None


def _mapped(fd: int) -> mmap.mmap:
    populate = getattr(mmap, "MAP_POPULATE", 0)
    try:
        return mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | populate)
    finally:
        os.close(fd)
