"""What a recording comes to, in one sentence where something is amiss: from its ledger alone.

A recording without any exchange says why, as far as the ledger tells. One that is asked to be
strict says what is missing from it.
"""

from __future__ import annotations

from .accounts import BYTES, IN_ORDER, REPEATED
from .ledger import (
    CONNECTIONS,
    DROPPED,
    EXCHANGES,
    FRAGMENTS,
    INTERRUPTIONS,
    KEPT,
    LET_GO,
    MISSING_BYTES,
    NEVER_COMPLETED,
    PACKETS,
    SAMPLED_OUT,
    Ledger,
)

_MOST_REASONS = 3
_NOT_FOUND = (KEPT, IN_ORDER, REPEATED)
# unit, fates that mean a loss (none: any), what is said of it
_LOSSES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (PACKETS, (DROPPED,), "packets were dropped by the kernel"),
    (MISSING_BYTES, (), "bytes of streams were never seen"),
    (FRAGMENTS, (NEVER_COMPLETED,), "fragments of packets were never completed"),
    (INTERRUPTIONS, (), "times an interface was down"),
    (CONNECTIONS, (SAMPLED_OUT,), "connections were sampled out"),
    (LET_GO, (), "connections were let go in their midst"),
)


def nothing_found(ledger: Ledger, stood: str = "") -> str:
    """Why there is no exchange in a recording; empty where there is one.

    `stood` is the path where a tape stood before, which is left as it was then.
    """
    if ledger.count(EXCHANGES):
        return ""
    so = f"so {stood} is left as it was" if stood else "so the tape is empty"
    if not ledger.count(PACKETS):
        return f"no packet was seen, {so}"
    reasons = [
        f"{unit}: {count:,} {fate}"
        for unit in (PACKETS, CONNECTIONS, BYTES)
        for fate, count in ledger.fates(unit).items()
        if fate not in _NOT_FOUND
    ]
    told = "; ".join(reasons[:_MOST_REASONS])
    return f"no HTTP was found, {so} ({told})" if told else f"no HTTP was found, {so}"


def missing(ledger: Ledger) -> str:
    """What was lost on the way to the tape; empty where nothing was."""
    losses = []
    for unit, fates, said in _LOSSES:
        count = sum(ledger.count(unit, fate) for fate in fates) if fates else ledger.count(unit)
        if count:
            losses.append(f"{count:,} {said}")
    return ", ".join(losses)
