"""Runs to which nothing answered: there is nothing to judge, and one sentence that says so.

A target that is down answers none of its requests, whatever their endpoint. So this is one finding,
not one of each endpoint, and a trial or a search for capacity has nothing to compare or to find.
"""

from __future__ import annotations

from collections.abc import Mapping

from capture.errors import ReplayError
from capture.exchange import Outcome
from shapes.tallies import tally

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
MAKE_ROOM = "raise `ulimit -n`, or send from more addresses (--source-ip)"


def silence(rows: Rows) -> str:
    """`none of 290 requests was answered (connections refused)`; empty where one was.

    Requests that we ended ourselves, or never sent, were not left without an answer.
    """
    if not rows.is_run or rows["status"].any():
        return ""
    return unanswered({Outcome(code): n for code, n in tally(rows["outcome"])})


def unanswered(outcomes: Mapping[Outcome, int]) -> str:
    """The same of how many requests ended how."""
    lost = {each: count for each, count in outcomes.items() if each in BROKEN}
    if not lost or Outcome.ANSWERED in outcomes:
        return ""
    asked, most = sum(lost.values()), max(lost, key=lambda each: lost[each])
    whole = "the one request was not" if asked == 1 else f"none of {asked:,} requests was"
    return f"{whole} answered ({BROKEN[most]})"


def refuse_silence(outcomes: Mapping[Outcome, int]) -> None:
    """An error where nothing answered: whatever else came of it, such a run tested nothing.

    An answer that was cut short is one: its target runs.
    """
    silent = unanswered(outcomes)
    if silent and Outcome.SHORT not in outcomes:
        ours = Outcome.NO_RESOURCES in outcomes
        advice = MAKE_ROOM if ours else "check the target's URL and whether it runs"
        raise ReplayError(f"{silent[0].upper()}{silent[1:]}: {advice}.")
