"""A canary: each step a run of a part of the tape, shared out between two targets, and judged.

The share grows when a step was clean. A step that is unclear, or whose run was not faithful to its
plan, is repeated with the next part of the tape; the bets go on, which costs nothing. An alarm
stops the sending at once, and the share is 0. At 100 % there is no other side, so the same part of
the tape is sent to the baseline alone before.
"""

from __future__ import annotations

import math
import multiprocessing
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from capture.errors import ReplayError
from capture.log import Tell
from capture.tape import Tape

from ..options import ReplayOptions
from ..outcome import Summary
from ..verdict.silence import CHECK
from .judge import Rules, StepJudge
from .options import CanaryOptions
from .state import PROMOTED, ROLLED_BACK, UNFAITHFUL, State, read_state

MOST_ENDPOINTS = 8
LEAST_SHARE = 0.02  # of the requests, for an endpoint to be a subject of its own


@dataclass(frozen=True)
class Source:
    """What a canary must know of its tape before it begins."""

    path: Path
    tape_id: str
    span_ns: int
    endpoints: tuple[str, ...]
    answers: bool


def _source_of(path: Path, options: CanaryOptions) -> Source:
    """Look through the tape."""
    counts: Counter[str] = Counter()
    answers = False
    with Tape.open(path) as tape:
        for block in tape.columns(("endpoint", "status")):
            named: Any = block["endpoint"]
            counts.update(named.strings())
            answers |= bool(np.any(np.asarray(block["status"]) > 0))
        first, last = tape.span_ns
        tape_id = str(tape.header.tape_id)
    if not counts:
        raise ReplayError(f"{path}: holds no exchange, so there is nothing to replay.")
    end = min(last - first + 1, options.end or math.inf)
    if end <= options.start:
        raise ReplayError(f"{path}: has nothing between --from and --to.")
    total = counts.total()
    common = [name for name, n in counts.most_common(MOST_ENDPOINTS) if n >= LEAST_SHARE * total]
    return Source(path, tape_id, int(end) - options.start, tuple(common), answers)


def canary(path: Path, options: CanaryOptions, tell: Tell) -> State:
    """Carry it out; the state at its end."""
    source = _source_of(path, options)
    fresh = State(
        source.tape_id, options.baseline, options.candidate, [float(s) for s in options.steps]
    )
    state = read_state(options.state, fresh)
    folder: AbstractContextManager[str] = nullcontext(options.keep)
    if options.keep:
        Path(options.keep).mkdir(parents=True, exist_ok=True)
    else:
        folder = TemporaryDirectory(prefix="wiretape-canary-")
    with folder as where:
        steps = _Steps(source, options, state, Path(where), tell)
        while not state.over:
            steps.decide_next()
            state.write(options.state)
    return state


class _Steps:
    """Carries out and decides the steps of one canary."""

    def __init__(
        self, source: Source, options: CanaryOptions, state: State, folder: Path, tell: Tell
    ) -> None:
        self._source = source
        self._options = options
        self._state = state
        self._folder = folder
        self._tell = tell
        self._calibrated = False

    def decide_next(self) -> None:
        """The next step, as often as it takes to decide it."""
        options, state = self._options, self._state
        state.share = state.steps[state.step]
        judge = self._judge()
        word, why = "", ""
        for _ in range(options.holds + 1):
            self._tell(
                f"step {state.step + 1} of {len(state.steps)}: {state.share:g} % of the users "
                f"to the candidate for {options.step_for / 1e9:g} s"
            )
            lost = self._carry_out(judge)
            self._stop_if_lost(judge)
            word, why = judge.word()
            if lost and word != "worse":
                word, why = "unfaithful", lost
            self._book(word, why, judge)
            if word in ("clean", "worse"):
                break
        self._go_on(word, why)

    def _stop_if_lost(self, judge: StepJudge) -> None:
        """Without a baseline there is nothing to compare with, however long one waits."""
        baseline, candidate = judge.lost
        if not baseline:
            return
        self._state.share = 0.0
        self._state.write(self._options.state)
        asked, of = judge.counts()[0], self._options
        who = (
            f"{of.baseline} and {of.candidate} both" if candidate else f"The baseline {of.baseline}"
        )
        raise ReplayError(
            f"{who} failed all requests ({asked:,} of the baseline), so there is nothing to "
            f"compare with: {CHECK}."
        )

    def _judge(self) -> StepJudge:
        options = self._options
        rules = Rules(options.block, options.margin, options.least, options.budget)
        blocks = max(1, options.step_for // options.block)
        level = options.alpha / len(self._state.steps)
        workers = options.workers or multiprocessing.cpu_count()
        return StepJudge(
            rules, self._source.endpoints, level, blocks, workers, self._source.answers
        )  # fmt: skip

    def _carry_out(self, judge: StepJudge) -> str:
        """One run (two at 100 %); why it cannot be judged, if it cannot."""
        both = (self._options.baseline, self._options.candidate)
        share = self._state.share
        if share < 100:
            judge.begin()
            lost = self._run(judge, both, share / 100, "both")
        else:
            judge.begin(0)
            lost = self._run(judge, both[:1], 0, "baseline")
            if not lost:
                judge.begin(1)
                lost = self._run(judge, both[1:], 0, "candidate")
        self._state.runs += 1
        return lost

    def _run(self, judge: StepJudge, targets: tuple[str, ...], split: float, side: str) -> str:
        from ..run import replay

        path = self._folder / f"{self._state.runs + 1}-{self._state.share:g}-{side}.tape"
        summary = replay(
            self._source.path, self._part(targets, split), path, observers=[judge.observe]
        )
        summary.carry_on()
        self._calibrated = True
        judge.end()
        return _unfaithful(summary)

    def _part(self, targets: tuple[str, ...], split: float) -> ReplayOptions:
        """The options of a run: its targets, and the part of the tape whose turn it is."""
        options, span = self._options, self._source.span_ns
        wanted = round(options.step_for * options.speed)
        parts = max(1, span // wanted)
        start = options.start + self._state.runs % parts * wanted
        laps = 1 if wanted <= span else math.ceil(wanted / span)
        told = options.toward(*targets, among=(options.baseline, options.candidate))
        return replace(
            told, split=split, start=start, end=0, loop=laps,
            length=min(wanted, span), duration=options.step_for if laps > 1 else 0,
            no_calibrate=options.no_calibrate or self._calibrated,
        )  # fmt: skip

    def _book(self, word: str, why: str, judge: StepJudge) -> None:
        baseline, candidate = judge.counts()
        state = self._state
        state.log.append(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "step": state.step + 1, "share": state.share, "word": word, "why": why,
                "requests": {"baseline": baseline, "candidate": candidate},
                "subjects": [each.as_dict() for each in judge.standings()[:10]],
            }
        )  # fmt: skip
        self._tell(f"  {word}: {why}")
        state.write(self._options.state)

    def _go_on(self, word: str, why: str) -> None:
        state = self._state
        if word == "clean":
            state.step += 1
            if state.step == len(state.steps):
                state.word = PROMOTED
                state.why = f"all {len(state.steps)} steps were clean"
            return
        state.share = 0.0
        state.word = UNFAITHFUL if word == "unfaithful" else ROLLED_BACK
        state.why = why if word in ("worse", "unfaithful") else f"no clean signal: {why}"


def _unfaithful(summary: Summary) -> str:
    """Why a run may not be judged; empty where it may."""
    kept = summary.fidelity
    if kept is None or kept["verdict"] != "INVALID" or kept["blame"] == "target":
        return ""
    return f"the run was not faithful to its plan ({'; '.join(kept['reasons'][:2])})"


def as_text(state: State) -> str:
    """The end of a canary, for a person."""
    lines = [f"{state.word}: {state.why}", f"candidate has {state.share:g} % of the users", ""]
    for each in state.log:
        asked = each["requests"]
        lines.append(
            f"step {each['step']}  {each['share']:>5g} %  {each['word']:<10}  "
            f"{asked['baseline']:>7,} + {asked['candidate']:>7,} requests  {each['why']}"
        )
    return "\n".join(lines)
