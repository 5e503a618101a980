"""How often pairs of runs decide wrongly or not at all: A/A and a true +10 %, by simulation.

Every run's p99 has noise of 3 % of its own, so the ratio of a pair has 4.2 %. The margin is looked
at as well, and what Holm's correction costs: a trial of 24 subjects (8 endpoints, 3 quantiles, one
endpoint slower), half of whose noise is the luck that a run has as a whole.
"""

from __future__ import annotations

import numpy as np

from replay.verdict.pairs import MARGIN, decide

TRIALS = 2000
NOISE = 0.03


def shares(slower: float, pairs: int, seed: int = 5, margin: float = MARGIN) -> dict[str, float]:
    """Share of each decision over simulated trials of a candidate `slower` times as slow."""
    rng = np.random.default_rng(seed)
    words: dict[str, int] = {"PASS": 0, "INCONCLUSIVE": 0, "FAIL": 0}
    for _ in range(TRIALS):
        noise = rng.lognormal(0, NOISE, (pairs, 2))
        words[decide({"p99": [(a, slower * b) for a, b in noise]}, margin)[0].word] += 1
    return {word: count / TRIALS for word, count in words.items()}


def of_many(pairs: int, trials: int = 300, seed: int = 5) -> tuple[float, float]:
    """Of 24 subjects: share of trials that name the slower endpoint, and that name another."""
    rng = np.random.default_rng(seed)
    own = NOISE / np.sqrt(2)
    named = others = 0
    for _ in range(trials):
        luck = rng.lognormal(0, own, (pairs, 2))
        noise = luck * rng.lognormal(0, own, (24, pairs, 2))
        noise[:3, :, 1] *= 1.1
        told = decide({str(n): [(a, b) for a, b in each] for n, each in enumerate(noise)})
        failed = {int(each.subject) for each in told if each.word == "FAIL"}
        named += bool(failed & {0, 1, 2})
        others += bool(failed - {0, 1, 2})
    return named / trials, others / trials


def main() -> None:
    """Print the tables."""
    print(f"{'true ratio':>10} {'pairs':>5} {'PASS':>7} {'INCONCL.':>8} {'FAIL':>7}")
    for slower in (1.0, 1.1):
        for pairs in (5, 6, 8, 10, 12):
            told = shares(slower, pairs)
            print(f"{slower:>10} {pairs:>5} " + " ".join(f"{told[w]:>7.3f}" for w in told))
    print(f"\n{'margin':>10} {'pairs':>5} {'A/A PASS':>9} {'A/A FAIL':>9} {'+10 % FAIL':>11}")
    for margin in (0.03, 0.04, 0.05):
        same, slow = shares(1.0, 8, margin=margin), shares(1.1, 8, margin=margin)
        row = (same["PASS"], same["FAIL"], slow["FAIL"])
        print(f"{margin:>10} {8:>5} " + " ".join(f"{share:>9.3f}" for share in row))
    print("\n24 subjects, one endpoint +10 %: pairs, named, another named")
    for pairs in (6, 8, 12):
        named, others = of_many(pairs)
        print(f"{'':>10} {pairs:>5} {named:>9.3f} {others:>9.3f}")


if __name__ == "__main__":
    main()
