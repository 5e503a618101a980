"""The hash that decides which connections are in the sample: once for Python, once for the kernel.

Both are made of the same steps on numbers of 32 bits, which is all that classic BPF can do:

    of each end   x = port * PORT; for each word of the address: x = (x ^ word) * WORD;
                  then x ^= x >> 15
    of both       h = x + y; h ^= h >> 16; h *= FIRST; h ^= h >> 13; h *= SECOND; h ^= h >> 16

The sum does not care which end is which, so both directions of a connection have one hash. Whole
batches are hashed by numpy, by the same steps. Tests hold them against each other, with the kernel
itself as the one who reads the instructions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .bpf import Code

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHOLE = 1 << 32  # every hash is below

_PORT, _WORD = 0x9E3779B1, 0x27D4EB2F
_FIRST, _SECOND = 0x85EBCA6B, 0xC2B2AE35
_MASK = 0xFFFFFFFF
_WORD_BYTES = 4


def connection_hash(src: bytes, dst: bytes, sport: int, dport: int) -> int:
    """32 bits that are the same for both directions of a connection."""
    mixed = (_end_hash(src, sport) + _end_hash(dst, dport)) & _MASK
    mixed = (mixed ^ mixed >> 16) * _FIRST & _MASK
    mixed = (mixed ^ mixed >> 13) * _SECOND & _MASK
    return mixed ^ mixed >> 16


def _end_hash(address: bytes, port: int) -> int:
    mixed = port * _PORT & _MASK
    for at in range(0, len(address), _WORD_BYTES):
        word = int.from_bytes(address[at : at + _WORD_BYTES], "big")
        mixed = (mixed ^ word) * _WORD & _MASK
    return mixed ^ mixed >> 15


def hash_all(data: bytes, addresses: Any, width: int, ports: Any) -> NDArray[np.uint32]:
    """The hashes of many packets in one buffer, whose addresses and ports are at these places."""
    import numpy as np

    halves = np.ndarray((len(data) - 1,), ">u2", data, strides=(1,))
    words = np.ndarray((len(data) - 3,), ">u4", data, strides=(1,))
    total = np.zeros(len(ports), np.uint32)
    for end in range(2):
        mixed = halves[ports + 2 * end].astype(np.uint32) * np.uint32(_PORT)
        for at in range(end * width, (end + 1) * width, _WORD_BYTES):
            mixed = (mixed ^ words[addresses + at].astype(np.uint32)) * np.uint32(_WORD)
        total += mixed ^ mixed >> np.uint32(15)
    total = (total ^ total >> np.uint32(16)) * np.uint32(_FIRST)
    total = (total ^ total >> np.uint32(13)) * np.uint32(_SECOND)
    return total ^ total >> np.uint32(16)


def load_hash(code: Code, addresses: int, width: int, ports: int) -> None:
    """Leave the hash of a packet in A: of two addresses of `width` bytes, and of both ports."""
    for end in range(2):
        code.load_half(ports + 2 * end)
        code.multiply(_PORT)
        for at in range(0, width, _WORD_BYTES):
            code.to_x()
            code.load_word(addresses + end * width + at)
            code.xor_x()
            code.multiply(_WORD)
        code.xor_shifted(15)
        if end == 0:
            code.store(0)
    code.add_stored(0)
    code.xor_shifted(16)
    code.multiply(_FIRST)
    code.xor_shifted(13)
    code.multiply(_SECOND)
    code.xor_shifted(16)
