"""Real trials through a fault proxy that adds noise of 3 % a run: equals, and a true +10 % of p99.

Every run goes over real sockets, through one proxy a side (fault_proxy.py), to the same nginx. The
trials that a machine has time for are few; so the noise of their pairs, as it was measured, is then
drawn from for 200 simulated trials each: how often equals FAIL, how often +10 % is found.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from replay.verdict.judge import judge
from replay.verdict.pairs import decide
from replay.verdict.rows import read_rows
from replay.verdict.trial import TrialResult, quantiles, trial
from replay.verdict.trial_options import TrialOptions
from tests.bench.common import nginx
from tests.bench.fault_proxy import fault_proxy
from tests.replay.recorder import get, write_tape

PAIRS = 8
EACH = 2  # real trials of equals, and of a slower candidate
SIMULATED = 200
REQUESTS, EVERY_MS = 300, 4.0
SUBJECT = "p99(GET /same)"


def measured(slower: float, seed: int, folder: Path, tape: Path) -> tuple[TrialResult, list[float]]:
    """A real trial, and the logarithm of the ratio of p99 of each of its pairs."""
    with ExitStack() as opened:
        target = opened.enter_context(nginx())
        sides = [
            opened.enter_context(fault_proxy(target.port, times, seed=2 * seed + place))
            for place, times in enumerate((1.0, slower))
        ]
        options = TrialOptions(
            baseline=sides[0].url, candidate=sides[1].url, pairs=PAIRS, extra=PAIRS,
            keep=str(folder), no_calibrate=True, realtime=os.geteuid() == 0,
        )  # fmt: skip

        def begin(_: str) -> None:
            for side in sides:
                side.begin()

        told = trial(tape, options, begin)
    return told, [ratio for number in range(1, 2 * PAIRS + 1) for ratio in _ratio(folder, number)]


def _ratio(folder: Path, number: int) -> list[float]:
    paths = [folder / f"{number}-{side}.tape" for side in ("baseline", "candidate")]
    if not all(path.exists() for path in paths):
        return []
    both = [read_rows(path) for path in paths]
    if any(judge(rows).refused for rows in both):
        return []
    before, after = (quantiles(rows)[SUBJECT] for rows in both)
    return [float(np.log(after / before))]


def simulated(noise: list[float], slower: float, seed: int = 5) -> dict[str, float]:
    """Share of each decision over trials whose pairs have the measured noise."""
    rng = np.random.default_rng(seed)
    words = dict.fromkeys(("PASS", "INCONCLUSIVE", "FAIL"), 0)
    for _ in range(SIMULATED):
        ratios = slower * np.exp(rng.choice(noise, PAIRS) * rng.choice((-1, 1), PAIRS))
        words[decide({SUBJECT: [(1.0, ratio) for ratio in ratios.tolist()]})[0].word] += 1
    return {word: count / SIMULATED for word, count in words.items()}


def main() -> None:
    """Print the tables."""
    noise: list[float] = []
    print(
        f"{'candidate':<12}{'pairs':>6}{'left out':>9}  {'p99':<13}{'ratio':>6}  others that FAIL"
    )
    with tempfile.TemporaryDirectory() as name:
        tape = write_tape(
            Path(name) / "x.tape",
            [(n % 25, n * EVERY_MS, get("/same")) for n in range(REQUESTS)],
        )
        for seed in range(2 * EACH):
            slower = 1.0 if seed < EACH else 1.1
            told, ratios = measured(slower, seed, Path(name) / f"{seed}", tape)
            noise += (np.array(ratios) - np.mean(ratios)).tolist() if ratios else []
            found = {each.subject: each for each in told.decisions}
            if SUBJECT not in found:
                print(f"{slower:<12g}{told.pairs:>6}{len(told.left_out):>9}  no pair was on time")
                continue
            others = [s for s, each in found.items() if each.word == "FAIL" and s != SUBJECT]
            print(
                f"{slower:<12g}{told.pairs:>6}{len(told.left_out):>9}  {found[SUBJECT].word:<13}"
                f"{found[SUBJECT].ratio:>6.3f}  {', '.join(others) or 'none'}",
                flush=True,
            )
    if len(noise) < PAIRS:
        sys.exit("This machine was too busy to measure the noise.")
    # Residuals of n pairs about their own mean are too small by this.
    spread = np.std(noise) * np.sqrt(PAIRS / (PAIRS - 1))
    print(f"\nmeasured noise of a pair's ratio of p99: {spread:.1%} (3 % a run would be 4.2 %)")
    print(f"{SIMULATED} simulated trials of {PAIRS} pairs with that noise:")
    noise = (np.array(noise) * np.sqrt(PAIRS / (PAIRS - 1))).tolist()
    for slower in (1.0, 1.1):
        told_of = simulated(noise, slower)
        print(f"  true ratio {slower:g}: " + ", ".join(f"{w} {s:.1%}" for w, s in told_of.items()))


if __name__ == "__main__":
    main()
