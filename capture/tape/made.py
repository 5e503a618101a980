"""Tapes of requests that a program made up: through the sanitizer like any that were recorded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from ..exchange import Connection, Exchange
from ..ledger import EXCHANGES, KEPT, Ledger
from ..sanitize.policy import Policy
from ..sanitize.rewrite import Sanitizer
from .format import TapeHeader
from .writer import TapeWriter


class MadeTape:
    """Writes exchanges and connections that nobody recorded; the same seed gives the same bytes."""

    def __init__(self, path: str | os.PathLike[str], source: str, seed: int = 0) -> None:
        policy = Policy.built_in("standard")
        self._cleaner = Sanitizer(policy, hashlib.sha256(b"made %d" % seed).digest())
        text = hashlib.sha256(policy.text.encode()).hexdigest()[:16]
        header = TapeHeader(source=source, level=policy.level, policy=text)
        self._writer = TapeWriter(path, header)
        self._ledger = Ledger()

    def add(self, exchanges: Iterable[Exchange]) -> None:
        """Add exchanges; they must not be used again."""
        for sanitized in self._cleaner.exchanges(list(exchanges)):
            self._writer.append(sanitized)
            self._ledger.book(EXCHANGES, KEPT)

    def add_connection(self, connection: Connection) -> None:
        """Add a connection that has ended."""
        self._writer.append_connection(connection, self._cleaner.client(connection.client))

    def close(self) -> None:
        """Write what is left."""
        self._writer.close(self._ledger)

    def __enter__(self) -> MadeTape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
