"""Putting a recorder together: the parts that one recording is made of."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection

from .decap import Decapsulator
from .ledger import Ledger
from .record import Assembler, Recorder
from .sampling import Sampler


def open_recorder(
    output: str,
    source: str,
    ports: Collection[int],
    sampler: Sampler | None,
    tell: Callable[[str], None],
) -> Recorder:
    """A recorder of one tape, with the built-in policy and a key of its own.

    The tape is opened at once, so that a path that cannot be written is told before any packet.
    """
    from .sanitize import Policy, Sanitizer
    from .tape import TapeHeader, TapeWriter

    ledger = Ledger()
    cleaner = Sanitizer(Policy.built_in(), secrets.token_bytes(32))

    def begin() -> TapeWriter:
        rate = sampler.rate if sampler is not None else 1.0
        return TapeWriter(output, TapeHeader(source=source, sample_rate=rate))

    decapsulator = Decapsulator(ledger, ports, sampler)
    return Recorder(ledger, decapsulator, assembler(ledger), cleaner, begin, tell)


def assembler(ledger: Ledger) -> Assembler:
    """Reassembly and framing."""
    from .flows import Flows

    return Flows(ledger)
