"""Trace context for the requests of a replay (`--trace`), as W3C Trace Context has it.

    traceparent: 00-<trace id: 32 hex>-<parent id: 16 hex>-01

Each request is a trace of its own, marked as sampled. The first half of its trace id is the id of
the run, so that whoever looks at the target's traces finds those of one run by a prefix, and the
other half is random, as the standard asks. What a recorded request carried is replaced: its trace
is over, and its `tracestate` belongs to it.
"""

from __future__ import annotations

import os
import re

VERSION, SAMPLED = b"00", b"01"
_RUN_ID = re.compile(r"[0-9a-f]{16}")


class TraceParents:
    """Makes the value of `traceparent` for one request after another."""

    def __init__(self, run_id: str = "") -> None:
        known = _RUN_ID.match(run_id)
        self.prefix = known[0].encode() if known else _random(8)

    def __call__(self) -> bytes:
        """The next value."""
        return b"-".join((VERSION, self.prefix + _random(8), _random(8), SAMPLED))


def _random(size: int) -> bytes:
    """So many random bytes as hex, not all zero, which the standard calls invalid."""
    while not any(drawn := os.urandom(size)):
        pass
    return drawn.hex().encode()
