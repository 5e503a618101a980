"""Runs to which nothing answered: there is nothing to judge, and one sentence that says so.

A target that is down answers none of its requests, whatever their endpoint. So this is one finding,
not one of each endpoint, and a trial or a search for capacity has nothing to compare or to find.
"""

from __future__ import annotations

import numpy as np

from capture.exchange import Outcome

from .rows import Rows

BROKEN = {
    Outcome.REFUSED: "connections refused",
    Outcome.RESET: "connections reset",
    Outcome.CLOSED: "connections closed without an answer",
    Outcome.SHORT: "answers cut short",
    Outcome.TIMED_OUT: "requests timed out",
    Outcome.CONNECT_TIMED_OUT: "connecting timed out",
    Outcome.TLS_FAILED: "TLS failed",
    Outcome.GARBAGE: "what came back was no HTTP",
    Outcome.UNREACHABLE: "the target could not be reached",
    Outcome.NO_RESOURCES: "this machine ran out of descriptors or ports",
}
CHECK = "check its URL and whether it runs"


def silence(rows: Rows) -> str:
    """`none of 290 requests was answered (connections refused)`; empty where one was.

    Requests that we ended ourselves, or never sent, were not left without an answer.
    """
    if not rows.is_run:
        return ""
    outcomes, counts = np.unique(rows["outcome"], return_counts=True)
    lost = {Outcome(code): int(n) for code, n in zip(outcomes.tolist(), counts, strict=True)}
    asked = sum(count for outcome, count in lost.items() if outcome in BROKEN)
    if not asked or Outcome.ANSWERED in lost or rows["status"].any():
        return ""
    most = max((outcome for outcome in lost if outcome in BROKEN), key=lambda each: lost[each])
    whole = "the one request was not" if asked == 1 else f"none of {asked:,} requests was"
    return f"{whole} answered ({BROKEN[most]})"
