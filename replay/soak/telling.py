"""What a soak says while it runs: lines for people."""

from __future__ import annotations

from typing import Any

from .findings import STANDING, Findings
from .windows import Window


def lasting(seconds: float) -> str:
    """A time of the soak: `2 h 05 m`, `3 m 20 s`."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 60} m {whole % 60:02} s"


def of_window(window: Window, watched: list[dict[str, Any]]) -> str:
    """The line of summary of a window."""
    ended = window.answered + window.failed
    share = window.failed / ended if ended else 0.0
    line = (
        f"{lasting(window.start_s + window.seconds):>9}  {window.sent:,} of {window.due:,} sent "
        f"({window.rate:,.1f}/s), p50 {window.p50:,.1f} ms, p99 {window.p99:,.1f} ms, "
        f"{share:.2%} failed, lateness p99 {window.late_p99:,.2f} ms, {window.word}"
    )
    return "; ".join([line, *(of_metric(each) for each in watched[:3])])


def of_metric(each: dict[str, Any]) -> str:
    """A watched metric now, and what it grows by where that is known."""
    known = each["per_hour"][:1] in "+−"
    return f"{each['metric']} {each['now']}" + (f" ({each['per_hour']} an hour)" if known else "")


def of_findings(findings: Findings) -> list[dict[str, Any]]:
    """The standing findings, newest first, for the live page."""
    return [
        {"kind": found.kind, "sentence": found.sentence, "at": lasting(found.first_s)}
        for found in reversed([each for each in findings if each.state == STANDING])
    ]
