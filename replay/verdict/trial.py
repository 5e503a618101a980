"""A trial: interleaved pairs of runs of one plan against a baseline and a candidate.

Which of the two comes first alternates, so that whatever drifts (caches, neighbours, heat) falls on
both. The runs of a pair that was not faithful to its plan are told and left out: nothing is judged
on them. Times are compared by the ratio of quantiles, failures by the difference of their shares.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from capture.errors import ReplayError
from capture.log import Tell

from ..plain import plain
from ..targets import targets_of
from .judge import Verdict, judge
from .pairs import NEEDED, QUANTILES, Decision, decide
from .rows import Rows, read_rows
from .silence import CHECK, silence
from .trial_options import TrialOptions

Side = dict[str, float]
SIDES = ("baseline", "candidate")


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial."""

    decisions: tuple[Decision, ...]
    pairs: int
    left_out: tuple[str, ...]
    causes: tuple[str, ...] = ()  # what the candidate's runs show of themselves, most of them
    silent: str = ""  # how the candidate answered nothing where the baseline did

    @property
    def word(self) -> str:
        """FAIL where any subject fails, PASS where all pass, else INCONCLUSIVE (or suspect)."""
        if self.silent:
            return "FAIL"
        words = {decision.word for decision in self.decisions}
        for word in ("FAIL", "suspect", "INCONCLUSIVE"):
            if word in words:
                return word
        return "PASS" if words else "INCONCLUSIVE"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {
            "verdict": self.word,
            "pairs": self.pairs,
            "left_out": list(self.left_out),
            "silent": self.silent,
            "causes": list(self.causes),
            "decisions": [plain(asdict(decision)) for decision in self.decisions],
        }


def trial(tape: Path, options: TrialOptions, tell: Tell) -> TrialResult:
    """Run the pairs and decide. A pair that is left out is made up for, `options.extra` times."""
    for side in SIDES:  # a name that cannot be resolved is told before anything is sent
        targets_of(options.side(side))
    taken, left_out, silent = Taken(), list[str](), ""
    with _folder(options.keep) as folder:
        for number in range(1, options.pairs + options.extra + 1):
            if taken.pairs == options.pairs:
                break
            tell(f"pair {number}, of which {options.pairs} are wanted")
            sides, why = _pair(tape, options, number, folder)
            silent = _silent(sides, options)
            if why and not silent:
                left_out.append(why)
                tell(why)
            else:
                taken.add(*(sides[side][0] for side in SIDES))
                taken.look(*(sides[side][1] for side in SIDES))
            if silent:
                break
    told = taken.result(left_out, options.margin, options.budget)
    return replace(told, silent=silent, causes=()) if silent else told


def _silent(sides: dict[str, tuple[Rows, Verdict]], options: TrialOptions) -> str:
    """How the candidate alone answered nothing; an error where the baseline did not either."""
    said = {side: silence(rows) for side, (rows, _) in sides.items()}
    baseline, candidate = said.get("baseline", ""), said.get("candidate", "")
    if baseline and candidate:
        raise ReplayError(
            f"Neither {options.baseline} nor {options.candidate} answered: of the baseline "
            f"{baseline}, of the candidate {candidate}. Check their URLs and whether they run."
        )
    if baseline:
        raise ReplayError(f"The baseline {options.baseline} is silent: {baseline}; {CHECK}.")
    return f"of {options.candidate} {candidate}" if candidate else ""


def _pair(
    tape: Path, options: TrialOptions, number: int, folder: Path
) -> tuple[dict[str, tuple[Rows, Verdict]], str]:
    """The runs of one pair by side; why it is left out, if it is."""
    from ..run import replay

    order = SIDES if number % 2 else SIDES[::-1]
    sides: dict[str, tuple[Rows, Verdict]] = {}
    for side in order:
        path = folder / f"{number}-{side}.tape"
        told = options.side(side)
        first = number == 1 and side == order[0]
        summary = replay(tape, replace(told, no_calibrate=told.no_calibrate or not first), path)
        summary.carry_on()
        rows = read_rows(path)
        verdict = judge(rows)
        sides[side] = rows, verdict
        if verdict.refused:  # so the other run of this pair would be of no use
            return sides, _why(number, side, verdict)
    return sides, ""


def _why(number: int, side: str, verdict: Verdict) -> str:
    reasons = verdict.fidelity.reasons if verdict.fidelity is not None else []
    return (
        f"Pair {number} is left out: the {side}'s run was not faithful ({'; '.join(reasons[:2])})."
    )


class Taken:
    """What the pairs that count came to: a few numbers of each run, not its rows."""

    def __init__(self) -> None:
        self.pairs = 0
        self._times: dict[str, list[tuple[float, float]]] = {}
        self._shares: dict[str, list[tuple[float, float]]] = {}
        self._shown: dict[tuple[str, str], list[str]] = {}

    def add(self, baseline: Rows, candidate: Rows) -> None:
        """One pair of runs."""
        self.pairs += 1
        for values, measure in ((self._times, quantiles), (self._shares, _failures)):
            before, after = measure(baseline), measure(candidate)
            for name in before.keys() & after.keys():
                values.setdefault(name, []).append((before[name], after[name]))

    def look(self, baseline: Verdict, candidate: Verdict) -> None:
        """Findings that a candidate's run has against the recording, and its baseline's has not."""
        known = {(found.kind, found.subject) for found in baseline.findings}
        for found in candidate.findings:
            if (found.kind, found.subject) not in known:
                self._shown.setdefault((found.kind, found.subject), []).append(found.sentence)

    def result(self, left_out: list[str], margin: float, budget: float) -> TrialResult:
        """Decide."""
        often = [told for told in self._shown.values() if 2 * len(told) > self.pairs]
        causes = tuple(told[-1] for told in sorted(often, key=len, reverse=True))
        told = decide(self._times, margin, shares=self._shares, budget=budget)
        order = {"FAIL": 0, "suspect": 1, "INCONCLUSIVE": 2, "PASS": 3}
        told.sort(key=lambda decision: (order[decision.word], -_size(decision), decision.subject))
        return TrialResult(tuple(told), self.pairs, tuple(left_out), causes)


def _size(decision: Decision) -> float:
    """How bad it is, for the order of what fails: how many times as long, or 1 % more failing."""
    size = 1 + 100 * decision.ratio if decision.subject.startswith("errors") else decision.ratio
    return size if math.isfinite(size) else 0.0


def result(
    pairs: list[tuple[Rows, Rows]], left_out: list[str], margin: float, budget: float
) -> TrialResult:
    """Decide on pairs of runs (baseline, candidate)."""
    taken = Taken()
    for baseline, candidate in pairs:
        taken.add(baseline, candidate)
    return taken.result(left_out, margin, budget)


def quantiles(rows: Rows) -> Side:
    """Service times in ms of a run: by quantile and endpoint, where there are enough answers."""
    found = {}
    for code, name in enumerate(rows.endpoints):
        times = rows.service_ns[rows.answered & (rows.endpoint == code)]
        for quantile, share in QUANTILES.items():
            if len(times) >= NEEDED[quantile]:
                found[f"{quantile}({name})"] = float(np.quantile(times, share)) / 1e6
    return found


def _failures(rows: Rows) -> Side:
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
    silent = f": {told.silent}" if told.silent else ""
    pairs = "1 pair" if told.pairs == 1 else f"{told.pairs} pairs"
    lines = [f"{told.word} after {pairs} of runs{silent}", *told.left_out]
    lines += [f"seen in most runs of the candidate: {cause}" for cause in told.causes] + [""]
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
