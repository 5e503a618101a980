"""A trial: interleaved pairs of runs of one plan against a baseline and a candidate.

Which of the two comes first alternates, so that whatever drifts (caches, neighbours, heat) falls on
both. The runs of a pair that was not faithful to its plan are told and left out: nothing is judged
on them. Times are compared by the ratio of quantiles, failures by the difference of their shares.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .judge import Verdict, judge
from .pairs import NEEDED, QUANTILES, Decision, decide
from .rows import Rows, read_rows
from .trial_options import TrialOptions

Side = dict[str, float]


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial."""

    decisions: tuple[Decision, ...]
    pairs: int
    left_out: tuple[str, ...]

    @property
    def word(self) -> str:
        """FAIL where any subject fails, PASS where all pass, else INCONCLUSIVE (or suspect)."""
        words = {decision.word for decision in self.decisions}
        for word in ("FAIL", "suspect", "INCONCLUSIVE"):
            if word in words:
                return word
        return "PASS" if words else "INCONCLUSIVE"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        decisions = [
            {name: None if isinstance(value, float) and not math.isfinite(value) else value
             for name, value in asdict(decision).items()}
            for decision in self.decisions
        ]  # fmt: skip
        return {
            "verdict": self.word,
            "pairs": self.pairs,
            "left_out": list(self.left_out),
            "decisions": decisions,
        }


def trial(tape: Path, options: TrialOptions, tell: Callable[[str], None]) -> TrialResult:
    """Run the pairs and decide."""
    from ..run import replay

    taken: list[tuple[Rows, Rows]] = []
    left_out: list[str] = []
    with _folder(options.keep) as folder:
        for number in range(options.pairs):
            sides: dict[str, tuple[Rows, Verdict]] = {}
            order = ("baseline", "candidate")
            for side in order if number % 2 == 0 else reversed(order):
                tell(f"pair {number + 1} of {options.pairs}: {side}")
                path = folder / f"{number + 1}-{side}.tape"
                replay(tape, options.toward(getattr(options, side)), path)
                rows = read_rows(path)
                sides[side] = rows, judge(rows)
            refused = [side for side in order if sides[side][1].refused]
            if refused:
                left_out.append(_why(number + 1, refused[0], sides[refused[0]][1]))
                tell(left_out[-1])
            else:
                taken.append((sides["baseline"][0], sides["candidate"][0]))
    return result(taken, left_out, options.margin, options.budget)


def _why(number: int, side: str, verdict: Verdict) -> str:
    reasons = verdict.fidelity.reasons if verdict.fidelity is not None else []
    return (
        f"Pair {number} is left out: the {side}'s run was not faithful ({'; '.join(reasons[:2])})."
    )


def result(
    taken: list[tuple[Rows, Rows]], left_out: list[str], margin: float, budget: float
) -> TrialResult:
    """Decide on pairs of runs (baseline, candidate)."""
    times: dict[str, list[tuple[float, float]]] = {}
    shares: dict[str, list[tuple[float, float]]] = {}
    for baseline, candidate in taken:
        before, after = quantiles(baseline), quantiles(candidate)
        for name in before.keys() & after.keys():
            times.setdefault(name, []).append((before[name], after[name]))
        before, after = failures(baseline), failures(candidate)
        for name in before.keys() & after.keys():
            shares.setdefault(name, []).append((before[name], after[name]))
    told = decide(times, margin, shares=shares, budget=budget)
    order = {"FAIL": 0, "suspect": 1, "INCONCLUSIVE": 2, "PASS": 3}
    told.sort(key=lambda decision: (order[decision.word], decision.subject))
    return TrialResult(tuple(told), len(taken), tuple(left_out))


def quantiles(rows: Rows) -> Side:
    """Service times in ms of a run: by quantile and endpoint, where there are enough answers."""
    found = {}
    for code, name in enumerate(rows.endpoints):
        times = rows.service_ns[rows.answered & (rows.endpoint == code)]
        for quantile, share in QUANTILES.items():
            if len(times) >= NEEDED[quantile]:
                found[f"{quantile}({name})"] = float(np.quantile(times, share)) / 1e6
    return found


def failures(rows: Rows) -> Side:
    """Share of failed requests, by endpoint."""
    failed = rows.failed
    return {
        f"errors({name})": float(failed[rows.endpoint == code].mean())
        for code, name in enumerate(rows.endpoints)
        if (rows.endpoint == code).sum() >= NEEDED["p50"]
    }


@contextmanager
def _folder(keep: str) -> Iterator[Path]:
    if keep:
        folder = Path(keep)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="wiretape-trial-") as made:
        yield Path(made)


def as_text(told: TrialResult) -> str:
    """The result, for a person."""
    lines = [f"{told.word} after {told.pairs} pairs of runs", *told.left_out, ""]
    lines.append(f"{'':<14}{'subject':<44}{'candidate / baseline':>22}")
    for each in told.decisions:
        if each.subject.startswith("errors"):
            size = f"{each.ratio:+.2%}"
            within = f"[{each.low:+.2%}, {each.high:+.2%}]"
        else:
            size, within = f"{each.ratio:.2f}×", f"[{each.low:.2f}, {each.high:.2f}]"
        known = within if math.isfinite(each.high) else ""
        lines.append(f"{each.word:<14}{each.subject[:43]:<44}{size:>9} {known:>18}")
    return "\n".join(lines)
