"""How often a canary rolls back one that is none the worse, and how soon it stops a bad one.

Simulated canaries of five steps, judged by the judge itself. Users differ (some are three times as
heavy, for they were so when recorded), both sides drift together and each by itself (3 %), and each
has pauses of its own (one in ten seconds, in which everything takes 150 ms more and a tenth fails).
The pauses of 100 ms are shorter than a block, as the theory wants; those of 2 s are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capture.exchange import NEVER
from replay.canary.judge import Rules, StepJudge
from replay.observe.glance import Glance, Part

STEPS = (0.01, 0.05, 0.25, 0.5, 1.0)
SECONDS = 30
RATE = 60.0
USERS = 400
ENDPOINTS = ("GET /search", "GET /items/{id}", "POST /cart")
BASE_MS = np.array((12.0, 8.0, 6.0))
MS = 1_000_000


@dataclass(frozen=True)
class World:
    """What is simulated: pauses of both sides (s), and what is wrong with the candidate."""

    pause_s: float = 0.1
    slower: float = 1.0
    tail: float = 0.0  # share of requests that take ten times as long
    failing: float = 0.0
    begins_s: float = 0.0  # of each step, before anything is wrong


def part_of(rng: np.random.Generator, world: World, share: float, luck: np.ndarray) -> Part:
    """One step of that share, as one glance; `luck` is how heavy each user is."""
    count = rng.poisson(RATE * SECONDS)
    due = np.sort(rng.uniform(0, SECONDS, count))
    user = rng.integers(0, USERS, count)
    side = np.asarray(user < share * USERS, np.int64)
    if share == 1:  # the baseline was sent the same before
        due, user = np.tile(due, 2), np.tile(user, 2)
        side = np.repeat((0, 1), count)
    which = rng.integers(0, len(ENDPOINTS), len(due))
    recorded = BASE_MS[which] * luck[user] * rng.lognormal(0, 0.2, len(due))
    took = BASE_MS[which] * luck[user] * rng.lognormal(0, 0.2, len(due)) * _drift(rng, due, side)
    paused = _paused(rng, world.pause_s, due, side)
    wrong = (side == 1) & (due >= world.begins_s)
    took *= np.where(wrong, world.slower, 1.0)
    took *= np.where(wrong & (rng.random(len(due)) < world.tail), 10.0, 1.0)
    failed = rng.random(len(due)) < 0.005 + 0.1 * paused + world.failing * wrong
    return Part(
        late_ns=np.zeros(len(due)), endpoint=which, endpoints=list(ENDPOINTS),
        service_ns=((took + 150 * paused) * MS).astype(np.int64),
        response_ns=np.full(len(due), NEVER), status=np.where(failed, 503, 200),
        outcome=np.ones(len(due), np.int8), due_ns=(due * 1e9).astype(np.int64), target=side,
        was_status=np.full(len(due), 200), recorded_ns=(recorded * MS).astype(np.int64),
    )  # fmt: skip


def _drift(rng: np.random.Generator, due: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Slow noise of the machine (10 %), and of each side by itself (3 %)."""
    seconds = due.astype(int)
    common = np.cumsum(rng.normal(0, 0.02, SECONDS + 1))
    own = rng.normal(0, 0.03, (2, SECONDS + 1))
    return np.asarray(np.exp(common[seconds] + own[side, seconds]))


def _paused(
    rng: np.random.Generator, pause_s: float, due: np.ndarray, side: np.ndarray
) -> np.ndarray:
    paused = np.zeros(len(due), bool)
    for which in (0, 1):
        for begin in rng.uniform(0, SECONDS, rng.poisson(SECONDS / 10)):
            end = begin + rng.exponential(pause_s)
            paused |= (side == which) & (due >= begin) & (due < end)
    return paused


def one_canary(rng: np.random.Generator, world: World, holds: int = 3) -> tuple[str, float]:
    """How one canary ends, and after how many blocks of its last step."""
    rules = Rules()
    luck = rng.lognormal(0, 0.4, USERS)
    blocks = int(SECONDS * 1e9) // rules.block_ns
    for share in STEPS:
        judge = StepJudge(rules, ENDPOINTS, 0.05 / len(STEPS), blocks)
        word = ""
        for _ in range(holds + 1):
            judge.begin()
            judge.observe(Glance(0, 0, known_ns=0, parts=[part_of(rng, world, share, luck)]))
            judge.end()
            word, _ = judge.word()
            if word == "worse":
                return f"stopped at {share:.0%}", judge.alarm.seconds if judge.alarm else 0.0
            if word == "clean":
                break
        if word != "clean":
            return "no clean signal", 0.0
    return "promoted", 0.0


CASES = (
    ("none the worse", World(), 400),
    ("none the worse, pauses of 2 s", World(pause_s=2.0), 200),
    ("fails always", World(failing=1.0), 20),
    ("fails always, after 15 s of each step", World(failing=1.0, begins_s=15), 20),
    ("one in five fails", World(failing=0.2), 20),
    ("1.5 × as slow", World(slower=1.5), 20),
    ("3 × as slow", World(slower=3.0), 20),
    ("one in five is ten times as slow", World(tail=0.2), 20),
)


def main() -> None:
    """Print the table."""
    print(f"steps of {SECONDS} s at {RATE:g} requests/s, alpha 5 % over all {len(STEPS)} steps")
    for name, world, count in CASES:
        rng = np.random.default_rng(7)
        ends: dict[str, int] = {}
        after: list[float] = []
        for _ in range(count):
            word, seconds = one_canary(rng, world)
            ends[word] = ends.get(word, 0) + 1
            after += [seconds] if word.startswith("stopped") else []
        told = ", ".join(f"{word} {n}" for word, n in sorted(ends.items()))
        late = f"; median {np.median(after):.1f} s into the step" if after else ""
        print(f"{name:<38} of {count}: {told}{late}", flush=True)


if __name__ == "__main__":
    main()
