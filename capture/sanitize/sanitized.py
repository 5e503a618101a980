"""The one type that a tape accepts: an exchange whose secrets have been replaced.

Only modules of `capture.sanitize` construct it (tests/test_architecture.py enforces that),
so that nothing unsanitized can be written to a tape.
"""

from __future__ import annotations

from ..exchange import Exchange


class Sanitized:
    """An exchange as the sanitizer returned it, with the pseudonym of its client's address."""

    __slots__ = ("client", "exchange")

    def __init__(self, exchange: Exchange, client: int) -> None:
        self.exchange = exchange
        self.client = client  # 64-bit pseudonym
