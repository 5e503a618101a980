"""What was sanitized, remembered under keyed hashes: bounded, and free of plaintext.

Traffic repeats itself in part, and what will repeat cannot be told at first sight: most values are
seen once. So only a hash's low bits are noted at first, and a result is kept from the second sight
on. What is seen once costs no memory, and leaves what is worth remembering where it is.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")
_BITS = (1 << 17) - 1
_MOST_NOTED = 1 << 14  # one place in eight: so seldom is a value taken for another that was noted


class Memory(dict[int, Value], Generic[Value]):
    """A dict from 128-bit keyed hashes to results; `keep` adds to it, at second sight."""

    __slots__ = ("_most", "_noted", "_seen")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._seen = bytearray(_BITS + 1)
        self._noted = 0

    def keep(self, key: int, value: Value) -> None:
        """Remember a result if its key was noted before; else note the key."""
        low = key & _BITS
        if not self._seen[low]:
            self._seen[low] = 1
            self._noted += 1
            if self._noted > _MOST_NOTED:
                self._seen, self._noted = bytearray(_BITS + 1), 0
            return
        if len(self) >= self._most:
            self.clear()
        self[key] = value
