"""One step of a canary judged while it runs: blocks of what was seen, a bet on each subject.

The chance of a false alarm that a step may spend is shared out between its subjects: half to
failures, the rest in equal parts. An alarm is raised as soon as the money of one reaches 1/level.
Without an alarm a step is clean when enough was seen and no subject has come half the way (in
logarithms) to its alarm; else it is unclear, and wants more time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from capture.exchange import NEVER

from ..observe.glance import Glance
from .betting import Bets
from .subjects import Requests, Times, requests_of, share_worse

FAILURES, STATUSES, OTHERS = "failures", "statuses", "all other endpoints"
FEWEST_BLOCKS = 10
FEWEST_REQUESTS = 20
MOST_FAILED = 0.1  # of the baseline: a target that fails this much is nothing to compare with


@dataclass(frozen=True)
class Rules:
    """What counts as worse, and how sure one must be. Times in ns."""

    block_ns: int = 500_000_000
    margin: float = 0.10
    least_ns: int = 1_000_000
    budget: float = 0.01


@dataclass(frozen=True)
class Standing:
    """How one subject stands: its money, what would be an alarm, and what was seen."""

    subject: str
    worth: float
    alarm: float
    worse: float
    blocks: int
    baseline: str = ""
    candidate: str = ""
    seconds: float = 0.0  # into the run

    @property
    def unclear(self) -> bool:
        """Whether it may be worse: half the way to an alarm."""
        return self.worth >= math.sqrt(self.alarm)

    @property
    def sentence(self) -> str:
        """What got worse."""
        return f"{self.subject}: candidate {self.candidate}, baseline {self.baseline}"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for the log."""
        return asdict(self)


class StepJudge:
    """Judges one step; `observe` gets glances, and returns true once there is an alarm."""

    def __init__(
        self,
        rules: Rules,
        endpoints: Sequence[str],
        level: float,
        blocks: int,
        workers: int = 1,
        answers: bool = True,
    ) -> None:
        self._rules = rules
        self._answers = answers  # whether the tape holds what was answered
        self._codes = {name: code for code, name in enumerate(endpoints)}
        names = [*endpoints, OTHERS]
        self._times = [Times(rules.margin, rules.least_ns) for _ in names]
        self._names = [(f"time of {name}", f"slow at {name}") for name in names]
        rest = level / 2 / (1 + 2 * len(names))
        self._levels = {FAILURES: level / 2, STATUSES: rest}
        self._levels |= {subject: rest for pair in self._names for subject in pair}
        budgets = {FAILURES: rules.budget, STATUSES: rules.budget}
        self._bets = {name: Bets(budgets.get(name, 0.0), blocks) for name in self._levels}
        self._blocks = _Blocks(rules.block_ns)
        self._known = [-1] * workers
        self._seen: list[list[Requests]] = [[], []]
        self._taken: list[tuple[list[float], list[float]]] = [([], []) for _ in names]
        self._only: int | None = None  # the side that all requests are of, where one is sent to
        self._held = False  # whether nothing is judged yet, for the other side is still to come
        self.alarm: Standing | None = None

    def observe(self, glance: Glance) -> bool:
        """Take what was told; whether the step is over."""
        for part in glance.parts:
            requests, target = requests_of(part, self._codes, self._answers)
            for side in (0, 1) if self._only is None else (self._only,):
                here = requests if self._only is not None else requests.those(target == side)
                if len(here):
                    self._blocks.add(side, here)
        self._known[glance.worker % len(self._known)] = glance.known_ns
        if not self._held:
            for baseline, candidate in self._blocks.closed(min(self._known)):
                self._judge(baseline, candidate)
        return self.alarm is not None

    def end(self) -> None:
        """The run has ended: judge the blocks that are left."""
        if self._held:
            return
        for baseline, candidate in self._blocks.closed(1 << 62):
            self._judge(baseline, candidate)

    def begin(self, only: int | None = None) -> None:
        """A run of this step begins at time 0; the money of those before it stays.

        It is of both sides, or of the baseline (0) alone, or of the candidate (1) that follows it.
        """
        if only != 1:
            self._blocks = _Blocks(self._rules.block_ns)
        self._only, self._held = only, only == 0
        self._known = [-1] * len(self._known)

    def _judge(self, baseline: Requests, candidate: Requests) -> None:
        for side, seen in enumerate((baseline, candidate)):
            self._seen[side].append(seen)
            for code, times in enumerate(self._times):
                here = seen.those(seen.endpoint == code)
                times.add(side, here)
                took = here.service_ns[here.service_ns != NEVER]
                self._taken[code][side].extend((took / 1e6).tolist())
        self._bet(FAILURES, share_worse(baseline.failed, candidate.failed))
        self._bet(STATUSES, share_worse(baseline.changed, candidate.changed))
        for names, times in zip(self._names, self._times, strict=True):
            for name, worse in zip(names, times.differences(), strict=True):
                if worse is not None:
                    self._bet(name, worse)

    def _bet(self, subject: str, worse: float) -> None:
        bets = self._bets[subject]
        bets.add(worse)
        if self.alarm is None and bets.worth >= 1 / self._levels[subject]:
            self.alarm = self._standing(subject)

    def counts(self) -> tuple[int, int]:
        """Requests judged of the baseline and of the candidate."""
        baseline, candidate = (sum(map(len, seen)) for seen in self._seen)
        return baseline, candidate

    @property
    def lost(self) -> tuple[bool, bool]:
        """Whether every request failed, of the baseline and of the candidate."""
        baseline, candidate = (
            bool(seen) and all(bool(each.failed.all()) for each in seen) for seen in self._seen
        )
        return baseline, candidate

    def standings(self) -> list[Standing]:
        """Every subject that was bet on, the one nearest to its alarm first."""
        found = [self._standing(name) for name, bets in self._bets.items() if bets.blocks]
        return sorted(found, key=lambda each: each.alarm / max(each.worth, 1e-300))

    def _standing(self, subject: str) -> Standing:
        bets = self._bets[subject]
        baseline, candidate = self._told(subject)
        alarm = 1 / self._levels[subject]
        seconds = self._blocks.until / 1e9
        return Standing(
            subject, bets.worth, alarm, bets.mean, bets.blocks, baseline, candidate, seconds
        )

    def _told(self, subject: str) -> list[str]:
        """What was seen of a subject on each side, for a person."""
        if subject in (FAILURES, STATUSES):
            name = "failed" if subject == FAILURES else "changed"
            return [
                f"{sum(int(getattr(each, name).sum()) for each in seen):,} of "
                f"{sum(map(len, seen)):,}"
                for seen in self._seen
            ]
        code = next(place for place, pair in enumerate(self._names) if subject in pair)
        q = 50 if subject == self._names[code][0] else 95
        return [
            f"p{q} {np.percentile(took, q):,.1f} ms" if took else "nothing"
            for took in self._taken[code]
        ]

    def word(self) -> tuple[str, str]:
        """`worse`, `few`, `unclear` or `clean`, and why."""
        if self.alarm is not None:
            return "worse", self.alarm.sentence
        blocks, asked = self._bets[FAILURES].blocks, self.counts()[1]
        if blocks < FEWEST_BLOCKS or asked < FEWEST_REQUESTS:
            return "few", (
                f"{asked:,} requests of the candidate in {blocks} blocks, which is too few to say"
            )
        failed = sum(int(each.failed.sum()) for each in self._seen[0])
        if failed > MOST_FAILED * self.counts()[0]:
            told = self._told(FAILURES)[0]
            return "unclear", f"the baseline itself failed {told} requests"
        doubtful = [each for each in self.standings() if each.unclear]
        if doubtful:
            return "unclear", doubtful[0].sentence
        return "clean", f"{asked:,} requests of the candidate, nothing worse"


class _Blocks:
    """Requests by their due time; a block that one side has nothing in grows into the next."""

    def __init__(self, block_ns: int) -> None:
        self._block = block_ns
        self.until = 0
        self._held: list[Requests | None] = [None, None]

    def add(self, side: int, requests: Requests) -> None:
        """Requests of one side, in any order."""
        held = self._held[side]
        self._held[side] = requests if held is None else held.with_more(requests)

    def closed(self, known_ns: int) -> Iterator[tuple[Requests, Requests]]:
        """The blocks that end before that time, both sides of each."""
        last = max((int(h.due_ns.max()) for h in self._held if h is not None and len(h)), default=0)
        known_ns = min(known_ns, last + self._block)
        while self.until + self._block <= known_ns:
            self.until += self._block
            baseline, candidate = self._held
            if baseline is None or candidate is None:
                continue
            early = baseline.due_ns < self.until, candidate.due_ns < self.until
            if early[0].any() and early[1].any():
                self._held = [baseline.those(~early[0]), candidate.those(~early[1])]
                yield baseline.those(early[0]), candidate.those(early[1])
