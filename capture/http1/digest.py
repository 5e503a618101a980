"""Digests of bodies: equal for equal bodies, and telling nothing to who has not the key.

A body is hashed by XXH64 as it passes, whose state is small (a hundred thousand bodies may be under
way at once) and which costs next to nothing; a keyed BLAKE2b of that hash is what is told, since a
hash without a key would tell which of some known bodies it was.
"""

from __future__ import annotations

import hashlib

import xxhash


class Digester:
    """Digests under one key, of 64 bits."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=key, digest_size=8)

    def begin(self) -> xxhash.xxh64:
        """What is to be fed (`update`) with a body, piece by piece, and given to `end`."""
        return xxhash.xxh64()

    def end(self, body: xxhash.xxh64) -> int:
        """The digest of a body that has passed."""
        return self._told(body.digest())

    def of(self, body: bytes) -> int:
        """The digest of a body that is at hand."""
        return self._told(xxhash.xxh64_digest(body))

    def _told(self, hashed: bytes) -> int:
        keyed = self._keyed.copy()
        keyed.update(hashed)
        return int.from_bytes(keyed.digest(), "little")
