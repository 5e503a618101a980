"""The search for capacity carried out: each probe a run, held to the objective.

A user waits from when a request was due, so in an objective p99 is of response time. Where the run
was not faithful to its plan, and not by the target's doing, it says nothing of the target. Every
probe draws other clones (another seed), so that no answer hangs on one draw.

The knee is the load with the greatest power: answers a second for each second that they took
(Kleinrock 1979). Below it more load brings more answers, above it more waiting.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from capture.errors import ReplayError
from capture.exchange import NEVER
from capture.log import Tell

from ..verdict.gate import Gate, slo
from ..verdict.judge import judge
from ..verdict.rows import Rows, read_rows
from ..verdict.silence import CHECK, silence
from .options import CapacityOptions
from .search import BREAKS, GENERATOR, HOLDS, INVALID, Search


@dataclass(frozen=True)
class Probe:
    """One run: what was offered, what came back, and whether the objective held. Times in ms."""

    scale: float
    word: str
    why: str
    offered: float  # requests/s, as planned
    answered: float  # whole answers/s that were no failure
    p50: float  # of response time
    p99: float
    mean: float
    failed: float  # share
    in_flight: float  # on average
    s: float | None  # fidelity
    silent: bool = False  # whether nothing at all was answered

    @property
    def power(self) -> float:
        """Answers a second for each second that they took."""
        return self.answered / (self.mean / 1000) if self.mean > 0 else 0.0


@dataclass(frozen=True)
class Capacity:
    """What came of a search: the largest scale that holds, and what bounds it."""

    slo: str
    scale: float  # 0 where none holds
    above: float | None  # the smallest that does not
    bound_by: str  # target, generator or highest
    confirmed: bool
    probes: tuple[Probe, ...]

    @property
    def rate(self) -> float:
        """Requests/s offered at the largest scale that holds."""
        held = [each.offered for each in self.probes if each.scale == self.scale]
        return float(np.mean(held)) if held else 0.0

    @property
    def knee(self) -> Probe | None:
        """The valid probe with the greatest power."""
        valid = [each for each in self.probes if each.word != INVALID]
        return max(valid, key=lambda each: each.power, default=None)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        if not self.scale:
            if self.bound_by == GENERATOR:
                return "No run was faithful enough to its plan to say anything of the target."
            return f"{self.slo} does not hold at any scale, down to {self.above:g}."
        held = f"{self.slo} holds up to scale {self.scale:.3g} ({self.rate:,.1f} requests/s)"
        if self.bound_by == GENERATOR:
            return f"{held} at least; this generator cannot go as far as {self.above:.3g}."
        if self.above is None:
            return f"{held} at least, which is as far as was looked."
        unsure = "" if self.confirmed else ", not confirmed"
        return f"{held} and no more at {self.above:.3g}{unsure}."

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        knee = self.knee
        return {
            **asdict(self),
            "rate": self.rate,
            "sentence": self.sentence,
            "knee": {"scale": knee.scale, "offered": knee.offered} if knee else None,
        }


def capacity(tape: Path, options: CapacityOptions, objective: Gate, tell: Tell) -> Capacity:
    """Search until the answer is as near as was wanted."""
    search = Search(
        options.scale, options.lowest, options.highest, options.precision, options.confirm,
        options.probes,
    )  # fmt: skip
    probes: list[Probe] = []
    folder: AbstractContextManager[str] = nullcontext(options.keep)
    if options.keep:
        Path(options.keep).mkdir(parents=True, exist_ok=True)
    else:
        folder = TemporaryDirectory(prefix="wiretape-capacity-")
    with folder as where:
        while (scale := search.next()) is not None:
            if probes:
                time.sleep(options.rest / 1e9)
            number = len(probes) + 1
            path = Path(where) / f"{number}-{scale:.4g}.tape"
            probe = _probe(tape, options, objective, scale, number, path)
            if probe.silent:
                _stop_if_gone(probes, probe, options.target[0])
            probes.append(probe)
            search.told(scale, probe.word)
            tell(_line(number, probe))
    low, high = search.bracket
    above = high if np.isfinite(high) else None
    return Capacity(
        objective.text, low, above, search.bound_by, search.confirmed, tuple(probes)
    )  # fmt: skip


def _stop_if_gone(probes: list[Probe], probe: Probe, target: str) -> None:
    """A silent target has no capacity; one that another probe has killed will not show it."""
    if not probes:
        raise ReplayError(f"{target} is silent: {probe.why}; {CHECK}.")
    if probes[-1].silent:
        raise ReplayError(
            f"{target} is silent since the probe at scale {probes[-1].scale:.3g}: {probe.why}. "
            "Start it again, and look below that with --highest."
        )


def _probe(
    tape: Path, options: CapacityOptions, objective: Gate, scale: float, number: int, path: Path
) -> Probe:
    from ..run import replay

    told = options.toward(*options.target)
    told = replace(
        told, scale=scale, seed=options.seed + number, no_calibrate=number > 1 or told.no_calibrate
    )
    replay(tape, told, path).carry_on()
    rows = read_rows(path)
    return probe_of(rows, objective, scale)


def probe_of(rows: Rows, objective: Gate, scale: float) -> Probe:
    """What a run says of the target."""
    verdict = judge(rows)
    kept = verdict.fidelity
    held = slo(objective, rows, verdict)
    word = INVALID if verdict.refused else BREAKS if held.failed else HOLDS
    why = "; ".join(kept.reasons[:2]) if kept is not None and verdict.refused else held.why
    silent = silence(rows)
    due = rows["due_ns"][rows["due_ns"] != NEVER]
    good = rows.answered & ~rows.failed
    took = rows.response_ns[good] / 1e6
    ends = rows["response_last_ns"][good]
    p50, p99 = (float(q) for q in np.quantile(took, (0.5, 0.99))) if len(took) else (0.0, 0.0)
    span = (float(due.max() - due.min()) if len(due) else 0.0) / 1e9
    lasted = max(span, (float(ends.max() - due.min()) / 1e9) if len(ends) else 0.0)
    answered = len(took) / lasted if lasted else 0.0
    mean = float(took.mean()) if len(took) else 0.0
    return Probe(
        scale, word, silent or why, len(due) / span if span else 0.0, answered, p50, p99, mean,
        float(rows.failed.mean()), answered * mean / 1000, kept.s if kept is not None else None,
        bool(silent),
    )  # fmt: skip


def _line(number: int, probe: Probe) -> str:
    said = f": {probe.why}" if probe.why else ""
    return (
        f"probe {number:>2}  scale {probe.scale:<8.4g} {probe.offered:>9,.1f}/s  p99 "
        f"{probe.p99:>9,.1f} ms  {probe.word}{said}"
    )


def as_text(told: Capacity) -> str:
    """The answer, for a person."""
    lines = [told.sentence, ""]
    lines.append(
        f"{'scale':>9}{'offered/s':>11}{'answered/s':>12}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'failed':>8}{'in flight':>11}"
    )
    for each in sorted(told.probes, key=lambda probe: probe.scale):
        knee = "  knee" if each is told.knee else ""
        lines.append(
            f"{each.scale:>9.4g}{each.offered:>11,.1f}{each.answered:>12,.1f}{each.p50:>9,.1f}"
            f"{each.p99:>9,.1f}{each.failed:>8.1%}{each.in_flight:>11,.1f}  {each.word}{knee}"
        )
    return "\n".join(lines)
