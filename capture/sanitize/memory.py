"""What was sanitized, remembered under keyed hashes: bounded, and free of plaintext.

Traffic repeats itself in part, and what will repeat cannot be told at first sight: most values are
seen once. So only a hash's low bits are noted at first, and a result is kept from the second sight
on. What is seen once costs no memory, and leaves what is worth remembering where it is.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

Value = TypeVar("Value")
_BITS: Final = (1 << 17) - 1
_MOST_NOTED: Final = 1 << 14  # one place in eight: so seldom is one taken for another


class Memory(Generic[Value]):
    """Results by 128-bit keyed hashes, as bytes; `keep` adds to them, at second sight."""

    __slots__ = ("_most", "_noted", "_seen", "results")

    def __init__(self, most: int) -> None:
        self.results: dict[bytes, Value] = {}
        self._most = most
        self._seen = bytearray(_BITS + 1)
        self._noted = 0

    def keep(self, key: bytes, value: Value) -> None:
        """Remember a result if its key was noted before; else note the key."""
        low = (key[0] | key[1] << 8 | key[2] << 16) & _BITS
        if not self._seen[low]:
            self._seen[low] = 1
            self._noted += 1
            if self._noted > _MOST_NOTED:
                self._seen, self._noted = bytearray(_BITS + 1), 0
            return
        if len(self.results) >= self._most:
            self.results.clear()
        self.results[key] = value
