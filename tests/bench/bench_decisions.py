"""How often pairs of runs decide wrongly or not at all: A/A and a true +10 %, by simulation.

Every run's p99 has noise of 3 % of its own, so the ratio of a pair has 4.2 %.
"""

from __future__ import annotations

import numpy as np

from replay.verdict.pairs import decide

TRIALS = 2000
NOISE = 0.03


def shares(slower: float, pairs: int, seed: int = 5) -> dict[str, float]:
    """Share of each decision over simulated trials of a candidate `slower` times as slow."""
    rng = np.random.default_rng(seed)
    words: dict[str, int] = {"PASS": 0, "INCONCLUSIVE": 0, "FAIL": 0}
    for _ in range(TRIALS):
        noise = rng.lognormal(0, NOISE, (pairs, 2))
        words[decide({"p99": [(a, slower * b) for a, b in noise]})[0].word] += 1
    return {word: count / TRIALS for word, count in words.items()}


def main() -> None:
    """Print the table."""
    print(f"{'true ratio':>10} {'pairs':>5} {'PASS':>7} {'INCONCL.':>8} {'FAIL':>7}")
    for slower in (1.0, 1.1):
        for pairs in (5, 6, 8, 10, 12):
            told = shares(slower, pairs)
            print(f"{slower:>10} {pairs:>5} " + " ".join(f"{told[w]:>7.3f}" for w in told))


if __name__ == "__main__":
    main()
