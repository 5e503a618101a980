"""The kernel's sample, for packets that were copied before the rate fell and wait to be read.

What `filters.sampled` has the kernel drop, `outside` finds in a whole batch at once, so that a
recorder that is behind does not read what it will not keep, and has soon caught up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..packets import tcp
from ..packets.frames import Frames
from .hashing import hash_all
from .plain import LAYOUTS, LINKS, UNFRAGMENTED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST_BYTES = 4  # of a buffer in which anything is looked for


def outside(frames: Frames, limit: int) -> NDArray[np.bool_]:
    """Which frames are plain packets of connections with a hash from `limit` on, and open none."""
    import numpy as np

    out = np.zeros(len(frames), bool)
    data = frames.data
    if frames.link not in LINKS or len(data) < _LEAST_BYTES:
        return out
    type_at, header = LINKS[frames.link]
    octets = np.frombuffer(data, np.uint8)
    halves = np.ndarray((len(data) - 1,), ">u2", data, strides=(1,))
    for layout in LAYOUTS:
        number = np.flatnonzero(frames.lengths >= header + layout.size + tcp.HEADER)
        start = frames.starts[number]
        ip = start + header
        if type_at < 0:
            plain = octets[ip] >> 4 == layout.version
        else:
            plain = halves[start + type_at] == layout.ethertype
        plain &= octets[ip + layout.protocol] == tcp.TCP
        if layout.first:
            plain &= octets[ip] == layout.first
        if layout.fragment:
            plain &= halves[ip + layout.fragment] & UNFRAGMENTED == 0
        number, ip = number[plain], ip[plain]
        at = ip + layout.size
        opens = octets[at + tcp.FLAGS_AT] & tcp.SYN_OR_ACK == tcp.SYN
        hashes = hash_all(data, ip + layout.addresses, layout.width, at)
        out[number] = (hashes >= limit) & ~opens
    return out
