"""What a gate measures: numbers of a run, and the same of its recording or of a baseline run.

Every measure gives a list of (what, value): quantiles one for each endpoint that the pattern names,
all others a single one. Times are in ms, shares and counts plain. What was not measured is nan, and
a pattern that names no endpoint gives an empty list: who asks decides what that means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from capture.exchange import NEVER
from capture.selector import named

from .judge import MS, Verdict, recorded_ns
from .rows import Array, Rows

if TYPE_CHECKING:
    from .drift import Drift

RUN, RECORDED, BASELINE = "run", "recorded", "baseline"
Found = list[tuple[str, float]]
UNKNOWN = float("nan")


@dataclass(frozen=True)
class Evidence:
    """What is known beside the run: the run to compare with, drift, whether leaks were watched."""

    baseline: Rows | None = None
    drift: Drift | None = None
    watched: bool = False


@dataclass(frozen=True)
class Seen:
    """Everything that gates are held against."""

    rows: Rows
    verdict: Verdict
    evidence: Evidence
    waits: bool = False  # whether p99 is of response time: what users wait


def measured(measure: str, argument: str, of: str, seen: Seen) -> Found:
    """What a measure comes to, of the run, of its recording, or of the baseline."""
    rows = seen.evidence.baseline if of == BASELINE else seen.rows
    if rows is None:
        return [("", UNKNOWN)]
    if measure.startswith("p"):
        times = _response(rows, of) if seen.waits else _service(rows, of)
        return _quantiles(rows, times, _quantile(measure), argument)
    if measure == "response":
        q, _, pattern = argument.partition(",")
        return _quantiles(rows, _response(rows, of), _quantile(q.strip()), pattern.strip())
    if measure in _OF_ROWS:
        return [("", _OF_ROWS[measure](rows, argument, of))]
    return [("", _OF_RUN[measure](seen, argument))]


def _quantile(text: str) -> float:
    """`p99` as 0.99."""
    return float(text[1:]) / 100


def endpoints_of(rows: Rows, pattern: str) -> list[str]:
    """The endpoints that a pattern names."""
    return [name for name in rows.endpoints if named(name, pattern)]


def _service(rows: Rows, of: str) -> Array:
    return recorded_ns(rows) if of == RECORDED else rows.service_ns


def _response(rows: Rows, of: str) -> Array:
    return recorded_ns(rows) if of == RECORDED else rows.response_ns


def _quantiles(rows: Rows, times: Array, q: float, pattern: str) -> Found:
    found = []
    for name in endpoints_of(rows, pattern):
        known = times[rows.of(name)]
        known = known[known >= 0]
        found.append((name, float(np.quantile(known, q)) / MS if len(known) else UNKNOWN))
    return found


def _errors(rows: Rows, pattern: str, of: str) -> float:
    """Share of requests that failed; of those whose answer was recorded, where it failed there."""
    mask = _at(rows, pattern)
    if of == RECORDED and rows.is_run:
        mask = mask & (rows["recorded_status"] > 0)
        failed = rows["recorded_status"] >= 500
    else:
        failed = rows.failed
    return float(failed[mask].mean()) if mask.any() else UNKNOWN


def _at(rows: Rows, pattern: str) -> Array:
    codes = [rows.endpoints.index(name) for name in endpoints_of(rows, pattern)]
    return np.asarray(np.isin(rows.endpoint, codes))


def _status(rows: Rows, code: str, of: str) -> float:
    """How many answers have that status, or one of that class."""
    column = "recorded_status" if of == RECORDED and rows.is_run else "status"
    low = int(code.replace("x", "0"))
    high = low + (100 if "x" in code else 1)
    return float(((rows[column] >= low) & (rows[column] < high)).sum())


def _rate(rows: Rows, argument: str, of: str) -> float:
    """Requests a second: sent, or as they were due, which is how they were recorded."""
    del argument
    times = rows["due_ns" if of == RECORDED and rows.is_run else "request_first_ns"]
    times = times[times != NEVER]
    span = int(times.max() - times.min()) if len(times) else 0
    return len(times) / (span / 1e9) if span else UNKNOWN


def _requests(rows: Rows, pattern: str, of: str) -> float:
    """How many were sent, or planned."""
    mask = _at(rows, pattern)
    return float(mask.sum() if of == RECORDED else (mask & (rows["request_first_ns"] >= 0)).sum())


def _lateness(seen: Seen, argument: str) -> float:
    late = seen.rows.late_ns
    return float(np.quantile(late, _quantile(argument))) / MS if len(late) else UNKNOWN


def _fidelity(seen: Seen, argument: str) -> float:
    """S; 0 where the run cannot be judged."""
    del argument
    kept = seen.verdict.fidelity
    return UNKNOWN if kept is None else 0.0 if seen.verdict.refused else kept.s


def _findings(seen: Seen, kind: str) -> float:
    return float(sum(found.kind == kind or not kind for found in seen.verdict.findings))


def _leaks(seen: Seen, pattern: str) -> float:
    """Metrics of the target that leak; unknown where nobody watched it."""
    found = [each for each in seen.verdict.findings if each.kind == "leak"]
    if not found and not seen.evidence.watched:
        return UNKNOWN
    return float(sum(fnmatchcase(each.subject, pattern or "*") for each in found))


def _drift(seen: Seen, argument: str) -> float:
    """Differences of environment, of a severity or a topic; unknown where none was looked for."""
    told = seen.evidence.drift
    if told is None:
        return UNKNOWN
    return float(sum(argument in ("", each.severity, each.topic) for each in told.differences))


_OF_ROWS: dict[str, Callable[[Rows, str, str], float]] = {
    "errors": _errors, "status": _status, "rate": _rate, "requests": _requests,
}  # fmt: skip
_OF_RUN: dict[str, Callable[[Seen, str], float]] = {
    "lateness": _lateness, "fidelity": _fidelity, "findings": _findings, "leaks": _leaks,
    "drift": _drift,
}  # fmt: skip
