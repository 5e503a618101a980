"""The pieces in which a slow client sent a request: where each begins, and when it came."""

from __future__ import annotations

from typing import Final

PAUSE_NS: Final = 2_000_000
"""A piece of a request is noted where the pause before it is longer than this."""

MOST_PIECES: Final = 4096


class Pieces:
    """The pieces of one request."""

    __slots__ = ("_noted", "_since_ns")

    def __init__(self, since_ns: int, noted: list[tuple[int, int]] | None = None) -> None:
        self._noted = noted if noted is not None else []
        self._since_ns = since_ns  # when the latest bytes came

    @property
    def full(self) -> bool:
        """No more are noted."""
        return len(self._noted) >= MOST_PIECES

    def note(self, place: int, time_ns: int) -> None:
        """Bytes come that begin at `place`."""
        if time_ns - self._since_ns > PAUSE_NS and place and not self.full:
            self._noted.append((place, time_ns))
        self._since_ns = time_ns

    def before(self, size: int) -> tuple[tuple[int, int], ...]:
        """Those of the first `size` bytes."""
        return tuple([piece for piece in self._noted if piece[0] < size])

    def after(self, size: int) -> Pieces:
        """Those of what comes after the first `size` bytes, which begins something of its own."""
        rest = [(place - size, time_ns) for place, time_ns in self._noted if place > size]
        return Pieces(self._since_ns, rest)
