"""Live packets: a TPACKET_V3 ring that the kernel fills and we read through `mmap`.

The kernel writes packets into blocks and hands over whole blocks, so a batch costs one copy and no
system call while there is more. Where blocks are not taken back in time the kernel drops packets,
and counts them: `drops` reads that count. On loopback every packet passes twice, out and in; the
kernel is asked to leave the outgoing copy out (and the packet's direction is looked at besides).
What is not wanted, and what is not in the sample, the socket's filter drops before it is copied.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
from dataclasses import dataclass

from ..errors import CaptureError
from ..packets.frames import Frames
from .bpf import EVERYTHING, Program
from .filters import compile_filter, port_filter, sampled
from .hashing import WHOLE

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _FANOUT = 5, 6, 10, 18
_ADD_MEMBERSHIP, _IGNORE_OUTGOING = 1, 23
_PROMISCUOUS = 1
_TPACKET_V3 = 2
_ATTACH_FILTER = 26
_FANOUT_HASH, _FANOUT_DEFRAGMENT = 0, 0x8000
_USER, _KERNEL = 1, 0
_OUTGOING = 4
_UP_FLAG, _LOOPBACK_FLAG = 0x1, 0x8
_GET_FLAGS, _GET_HARDWARE = 0x8913, 0x8927
_INSTRUCTION = 8

_BLOCK = 1 << 20
_FRAME = 1 << 11
_RETIRE_MS = 20
_MOST_BLOCKS = 16  # in one batch, so that a batch stays small beside the ring
_ETHERNET, _COOKED_HARDWARE, _RAW = 1, 772, 101
# ARPHRD of the interface -> link type of what it delivers
_LINKS = {1: 1, 772: 1, 512: 9, 519: 101, 65534: 101, 768: 101, 769: 101, 776: 101, 778: 101,
          801: 105, 803: 127}  # fmt: skip
_BLOCK_HEADER = struct.Struct("=8xIIIIQ").unpack_from  # status, packets, first, length, number
_DIRECTION = 48 + 10  # sll_pkttype in the address behind the packet's header


@dataclass(frozen=True)
class RingOptions:
    """How to open a ring on one interface."""

    interface: str
    ring_bytes: int = 64 << 20
    promiscuous: bool = False
    fanout: int = 0  # number of the group that shares the packets; 0 for none
    ports: tuple[int, ...] = ()
    expression: str = ""  # a filter like tcpdump's, instead of the ports


class Ring:
    """A socket and its ring on one interface."""

    def __init__(self, options: RingOptions) -> None:
        self.interface = options.interface
        self.interruptions = 0  # how often the interface went away
        self.down = False
        self._options = options
        self._socket = _open(options.interface)
        self.link = -1
        self._program: Program = ()
        self._attached = False
        self._limit = WHOLE  # hashes from here on are dropped
        try:
            self._loopback = bool(self._flags() & _LOOPBACK_FLAG)
            self._prepare(options)
        except OSError as failure:
            self._socket.close()
            raise CaptureError(
                f"no capture ring on {options.interface}: {failure.strerror}; "
                "try a smaller --ring, and Linux 4.20 or newer."
            ) from None
        self._next = 0

    def _flags(self) -> int:
        return self._asked(_GET_FLAGS)

    def _asked(self, what: int) -> int:
        """What an ioctl tells of the interface."""
        import fcntl

        request = struct.pack("16sH14x", self.interface.encode(), 0)
        return int(struct.unpack_from("16sH", fcntl.ioctl(self._socket, what, request))[1])

    def _prepare(self, options: RingOptions) -> None:
        sock = self._socket
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        self._blocks = max(4, options.ring_bytes // _BLOCK)
        frames = self._blocks * (_BLOCK // _FRAME)
        request = struct.pack("IIIIIII", _BLOCK, self._blocks, _FRAME, frames, _RETIRE_MS, 0, 0)
        sock.setsockopt(_SOL_PACKET, _RX_RING, request)
        self._map = mmap.mmap(
            sock.fileno(), _BLOCK * self._blocks, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE
        )
        self._memory = memoryview(self._map)
        if self._loopback:
            try:
                sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            except OSError:
                pass  # an old kernel: the direction of each packet is looked at anyway
        self._bind()
        if options.fanout:
            kind = _FANOUT_HASH | _FANOUT_DEFRAGMENT
            group = (options.fanout & 0xFFFF) | kind << 16
            sock.setsockopt(_SOL_PACKET, _FANOUT, struct.pack("=I", group))

    def _bind(self) -> None:
        """Listen to the interface that has the name now."""
        self._index = socket.if_nametoindex(self.interface)
        link = _LINKS.get(self._asked(_GET_HARDWARE), _ETHERNET)
        if link != self.link:
            expression = self._options.expression or port_filter(self._options.ports, link)
            self.link, self._program = link, compile_filter(expression, link)
            self._attach()
        self._socket.bind((self.interface, _ETH_P_ALL))
        if self._options.promiscuous:
            member = struct.pack("iHH8s", self._index, _PROMISCUOUS, 0, b"")
            self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, member)

    def sample(self, limit: int) -> None:
        """Let through only connections with a hash below this; at once, for what comes from now on.

        Of packets that are not plain more passes: see `filters.py`.
        """
        before, self._limit = self._limit, limit
        if limit != before:
            self._attach()

    def _attach(self) -> None:
        program = self._program
        if self._limit < WHOLE:
            program = sampled(program, self.link, self._limit)
        if not program and not self._attached:
            return
        code = b"".join(struct.pack("HBBI", *one) for one in program or EVERYTHING)
        held = ctypes.create_string_buffer(code)
        where = struct.pack("HxxxxxxP", len(code) // _INSTRUCTION, ctypes.addressof(held))
        self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, where)
        self._attached = True

    @property
    def size(self) -> int:
        """How many bytes are mapped."""
        return self._blocks * _BLOCK

    def fileno(self) -> int:
        """The socket's descriptor, for `poll`."""
        return self._socket.fileno()

    def read(self) -> list[Frames]:
        """The batches that are ready, without waiting; [] where there are none."""
        batches: list[Frames] = []
        for _ in range(_MOST_BLOCKS):
            at = self._next * _BLOCK
            status, packets, first, used, _ = _BLOCK_HEADER(self._map, at)
            if not status & _USER:
                break
            data = bytes(self._memory[at : at + max(used, first)])
            # The block is ours no more from here on: what we need is copied.
            struct.pack_into("=I", self._map, at + 8, _KERNEL)
            self._next = (self._next + 1) % self._blocks
            if packets:
                batches.append(self._batch(data, packets, first))
        return batches

    def _batch(self, data: bytes, packets: int, at: int) -> Frames:
        import numpy as np

        next_at = struct.Struct("=I").unpack_from
        found = []
        for _ in range(packets):
            found.append(at)
            at += next_at(data, at)[0]
        head = np.array(found, np.int64)
        if self._loopback:
            kinds = np.frombuffer(data, np.uint8)[head + _DIRECTION]
            head = head[kinds != _OUTGOING]
        words = np.ndarray((len(data) - 3,), "=u4", data, strides=(1,))
        halves = np.ndarray((len(data) - 1,), "=u2", data, strides=(1,))
        times = words[head + 4].astype(np.int64) * 1_000_000_000 + words[head + 8]
        return Frames(
            data,
            self.link,
            head + halves[head + 24],
            words[head + 12].astype(np.int64),
            words[head + 16].astype(np.int64),
            times,
        )

    def drops(self) -> int:
        """Packets that the kernel dropped since this was last asked, for want of room."""
        answer = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        return int(struct.unpack("III", answer)[1])

    def note_error(self) -> None:
        """Take the pending error off the socket; an interface that went down may come back."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
            self.interruptions += 1
            self.down = True
        elif code:
            raise CaptureError(f"capture on {self.interface} stopped: {errno.errorcode[code]}.")

    def back(self) -> bool:
        """Whether an interface that was down is up; one that was made anew is listened to again."""
        try:
            if socket.if_nametoindex(self.interface) != self._index:
                self._bind()
            self.down = not self._flags() & _UP_FLAG
        except OSError as failure:
            if failure.errno == errno.EINVAL:  # a socket that shares packets stays where it is
                raise CaptureError(
                    f"{self.interface} was made anew, which a recording with several workers "
                    "cannot follow; start it again."
                ) from None
        return not self.down

    def close(self) -> None:
        """Give the ring back; what the kernel still holds in it is lost, so read before."""
        self._memory.release()
        self._map.close()
        self._socket.close()


def _open(interface: str) -> socket.socket:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        known = ", ".join(name for _, name in socket.if_nameindex())
        raise CaptureError(
            f"there is no interface {interface} here; choose one of {known}."
        ) from None
    try:
        # Protocol 0: nothing arrives before the filter is attached and the ring is in place.
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise CaptureError(
            f"capturing on {interface} needs the capability CAP_NET_RAW; run it with sudo, or give "
            "it to your Python once: sudo setcap cap_net_raw+ep $(readlink -f $(which python3))."
        ) from None
