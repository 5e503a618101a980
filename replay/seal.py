"""The fidelity seal: was this run what the plan said, and whose fault is it where it was not?

From the due and sent times alone: lateness quantiles, the error of the rate, and how far the
index of dispersion of counts (IDC) of what was sent is from that of the plan, on a dyadic grid of
bin widths from 1 ms. Thresholds are those of docs/verdict.md. A run that is INVALID is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from capture.exchange import NEVER, Lateness

from .rows import Array, Rows

MS = 1_000_000
EXCELLENT = {"late_p50": 0.05, "late_p99": 0.5, "late_p999": 2.0, "rate": 0.001, "score": 98.0}
ACCEPTABLE = {"late_p50": 1.0, "late_p99": 10.0, "late_p999": 50.0, "rate": 0.01, "score": 90.0}
TARGET_CAUSES = (Lateness.CONNECTION, Lateness.WINDOW)
NETWORK_CAUSES = (Lateness.CONNECT, Lateness.TLS)


@dataclass(frozen=True)
class Seal:
    """How close the run is to its plan. Lateness in ms; `rate` is the relative rate error."""

    verdict: str  # EXCELLENT, VALID, INVALID or RECORDING
    blame: str  # "", generator, network or target
    score: float
    late_p50: float
    late_p99: float
    late_p999: float
    late_max: float
    rate: float
    sent: int
    planned: int
    horizon_ms: float  # smallest bin width above which the IDCs agree to 0.05; inf: nowhere

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The fidelity table: what, measured, excellent, acceptable."""
        return [
            ("lateness p50", f"{self.late_p50:.3f} ms", "≤ 0.05 ms", "≤ 1 ms"),
            ("lateness p99", f"{self.late_p99:.3f} ms", "≤ 0.5 ms", "≤ 10 ms"),
            ("lateness p99.9", f"{self.late_p999:.3f} ms", "≤ 2 ms", "≤ 50 ms"),
            ("lateness, largest", f"{self.late_max:.3f} ms", "", ""),
            ("rate error", f"{self.rate:.3%}", "≤ 0.1 %", "≤ 1 %"),
            ("shape score S", f"{self.score:.1f}", "≥ 98", "≥ 90"),
            ("fidelity horizon", f"{self.horizon_ms:g} ms", "", ""),
            ("sent of planned", f"{self.sent:,} of {self.planned:,}", "all", "all"),
        ]


def seal_of(rows: Rows) -> Seal:
    """The seal of a run; of a recording there is none to give."""
    if not rows.is_run:
        return Seal("RECORDING", "", 100.0, 0, 0, 0, 0, 0, len(rows), len(rows), 0.0)
    planned = rows["due_ns"] != NEVER
    gone = planned & (rows["request_first_ns"] != NEVER)
    due, sent = np.sort(rows["due_ns"][planned]), np.sort(rows["request_first_ns"][gone])
    late = rows.late_ns / MS
    p50, p99, p999 = np.quantile(late, (0.5, 0.99, 0.999)) if len(late) else (0.0,) * 3
    score, horizon = _score(due, sent)
    figures = {
        "late_p50": float(p50), "late_p99": float(p99), "late_p999": float(p999),
        "rate": _rate_error(due, sent), "score": score,
    }  # fmt: skip
    verdict = _grade(figures) if len(sent) == len(due) else "INVALID"
    blame = _blame(rows) if verdict == "INVALID" else ""
    worst = float(late.max()) if len(late) else 0.0
    return Seal(
        verdict, blame, late_max=worst, sent=len(sent), planned=len(due),
        horizon_ms=horizon, **figures,
    )  # fmt: skip


def _grade(figures: dict[str, float]) -> str:
    for grade, limits in (("EXCELLENT", EXCELLENT), ("VALID", ACCEPTABLE)):
        if all(
            figures[name] >= limit if name == "score" else figures[name] <= limit
            for name, limit in limits.items()
        ):
            return grade
    return "INVALID"


def _rate_error(due: Array, sent: Array) -> float:
    if len(due) < 2 or len(sent) < 2:
        return 0.0
    planned = (len(due) - 1) / max(1, int(due[-1] - due[0]))
    return abs((len(sent) - 1) / max(1, int(sent[-1] - sent[0])) / planned - 1)


def _blame(rows: Rows) -> str:
    """Whose lateness weighs most; what was never sent is ours."""
    sent = (rows["request_first_ns"] != NEVER) & (rows["due_ns"] != NEVER)
    late = np.where(sent, rows["request_first_ns"] - rows["due_ns"], 0)
    cause = rows["late_cause"]
    weight = {
        "target": int(late[np.isin(cause, TARGET_CAUSES)].sum()),
        "network": int(late[np.isin(cause, NETWORK_CAUSES)].sum()),
    }
    weight["generator"] = max(0, int(late.sum()) - sum(weight.values()))
    return max(weight, key=lambda name: weight[name]) if any(weight.values()) else "generator"


def _score(due: Array, sent: Array) -> tuple[float, float]:
    """Shape score S over bin widths ≥ 1 ms, and the fidelity horizon in ms."""
    if len(due) < 100 or not len(sent):
        return 100.0, 0.0
    # Counted from the first due time: a common phase, so that only real displacement shows.
    start, span = int(due[0]), max(int(due[-1] - due[0]), MS)
    plan, run = (_counts(times, start, span) for times in (due, sent))
    worst, horizon, width, agreed = 1.0, float("inf"), 1, True
    found: list[tuple[int, float]] = []
    while len(plan) >= 30:
        expected, got = _log_idc(plan), _log_idc(run)
        found.append((width, abs(got - expected)))
        worst = min(worst, 1 - abs(got - expected) / max(abs(expected), float(np.log(1.5))))
        plan, run, width = _halved(plan), _halved(run), width * 2
    for width, apart in reversed(found):
        agreed = agreed and apart <= 0.05
        horizon = float(width) if agreed else horizon
    return max(0.0, 100 * worst), horizon if found else 0.0


def _counts(times: Array, start: int, span: int) -> Array:
    bins = np.clip((times - start) // MS, 0, span // MS)
    return np.bincount(bins.astype(np.int64), minlength=span // MS + 1)


def _halved(counts: Array) -> Array:
    even = len(counts) // 2 * 2
    return np.asarray(counts[:even].reshape(-1, 2).sum(axis=1))


def _log_idc(counts: Array) -> float:
    mean: Any = counts.mean()
    return float(np.log(max(counts.var(), 1e-9) / mean)) if mean else 0.0
