"""Putting a recording together: the parts that every command which records is made of."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .ledger import Ledger
from .live.sampling import Sampler
from .log import Tell
from .options import option
from .outputs import Outputs, TapeOptions
from .packets.decap import Decapsulator
from .record import Recorder
from .sanitize.options import SanitizeOptions, block_audit, sanitizer_from

if TYPE_CHECKING:
    from .sanitize import Sanitizer
    from .tape import TapeHeader

_ALLOCATIONS = 100_000


@dataclass(frozen=True)
class RecordOptions(SanitizeOptions, TapeOptions):
    """What to record of packets, and how it is kept."""

    port: tuple[int, ...] = option(
        (), help="Keep only this port (repeatable; default: HTTP on any port).",
        type=click.IntRange(1, 65535),
    )  # fmt: skip
    strict: bool = option(
        False, help="Exit 1 where anything is missing from the tape, or it is empty."
    )
    json: bool = option(False, help="Print the ledger as JSON.")


def open_recorder(
    options: RecordOptions,
    source: str,
    tell: Tell,
    *,
    sampler: Sampler | None = None,
    cleaner: Sanitizer | None = None,
    worker: int = 0,
    workers: int = 1,
) -> Recorder:
    """A recorder whose first tape is opened at once: an unwritable path is told before any packet.

    Workers of one recording share the sanitizer, so that equal secrets stay equal.
    """
    from .flows import Flows

    cleaner = cleaner or sanitizer_from(options)
    outputs = Outputs(
        options,
        lambda: _header(source, cleaner, sampler),
        worker,
        workers,
        block_audit(options),
    )
    ledger = Ledger()
    digest_key = cleaner.client(b"digest").to_bytes(8, "little")
    flows = Flows(
        ledger,
        ports=options.port,
        keep_bodies=options.responses == "body",
        digest_key=digest_key,
    )
    if sampler is not None:
        sampler.follows = flows.follows
    return Recorder(
        ledger,
        Decapsulator(ledger, options.port, sampler),
        flows,
        cleaner,
        outputs,
        tell,
        numbering=(workers, worker),
    )


def calm_collector() -> None:
    """Look for cycles of garbage seldom: what passes through a recording is freed by counting."""
    gc.set_threshold(_ALLOCATIONS, 20, 20)


def _header(source: str, cleaner: Sanitizer, sampler: Sampler | None) -> TapeHeader:
    from .tape import TapeHeader

    policy = cleaner.policy
    rate = sampler.rate if sampler is not None else 1.0
    return TapeHeader(
        source=source,
        level=policy.level,
        policy=hashlib.sha256(policy.text.encode()).hexdigest()[:16],
        sample_rate=rate,
    )
