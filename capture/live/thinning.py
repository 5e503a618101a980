"""The kernel's sample, for packets that were copied before the rate fell and wait to be read.

What `filters.sampled` has the kernel drop, `outside` finds in a whole batch at once, so that a
recorder that is behind does not read what it will not keep, and has soon caught up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..packets.frames import Frames
from .filters import PLAIN
from .hashing import hash_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST_BYTES = 4  # of a buffer in which anything is looked for
# ethertype: its nibble, what the first byte must be (0: anything), place of the protocol, of the
# addresses, their width, and the length of the header
_VERSIONS = {0x0800: (4, 0x45, 9, 12, 4, 20), 0x86DD: (6, 0, 6, 8, 16, 40)}
_TCP, _TCP_HEADER = 6, 20
_SYN, _SYN_OR_ACK = 0x02, 0x12


def outside(frames: Frames, limit: int) -> NDArray[np.bool_]:
    """Which frames are plain packets of connections with a hash from `limit` on, and open none."""
    import numpy as np

    out = np.zeros(len(frames), bool)
    data = frames.data
    if frames.link not in PLAIN or len(data) < _LEAST_BYTES:
        return out
    type_at, header = PLAIN[frames.link]
    octets = np.frombuffer(data, np.uint8)
    halves = np.ndarray((len(data) - 1,), ">u2", data, strides=(1,))
    for kind, (nibble, first, protocol, addresses, width, size) in _VERSIONS.items():
        number = np.flatnonzero(frames.lengths >= header + size + _TCP_HEADER)
        start = frames.starts[number]
        ip = start + header
        plain = octets[ip] >> 4 == nibble if type_at < 0 else halves[start + type_at] == kind
        plain &= octets[ip + protocol] == _TCP
        if first:
            plain &= (octets[ip] == first) & (halves[ip + 6] & 0x3FFF == 0)
        number, ip = number[plain], ip[plain]
        tcp = ip + size
        opens = octets[tcp + 13] & _SYN_OR_ACK == _SYN
        out[number] = (hash_all(data, ip + addresses, width, tcp) >= limit) & ~opens
    return out


def without(frames: Frames, out: NDArray[np.bool_]) -> Frames:
    """The other frames."""
    rest = ~out
    return Frames(
        frames.data, frames.link, frames.starts[rest], frames.lengths[rest], frames.wires[rest],
        frames.times[rest],
    )  # fmt: skip
