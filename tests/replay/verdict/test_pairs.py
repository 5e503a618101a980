"""Pairs of runs fail a slower candidate and leave an equal one alone."""

from __future__ import annotations

import numpy as np

from replay.verdict.pairs import decide


def _pairs(rng: np.random.Generator, slower: float, count: int) -> list[tuple[float, float]]:
    noise = rng.lognormal(0, 0.03, (count, 2))
    return [(100 * a, 100 * slower * b) for a, b in noise]


def test_the_same_target_twice_almost_never_fails():
    rng = np.random.default_rng(1)
    wrong = sum(decide({"*": _pairs(rng, 1.0, 8)})[0].word == "FAIL" for _ in range(200))
    assert wrong <= 4


def test_a_much_slower_candidate_fails_and_only_its_endpoint():
    rng = np.random.default_rng(2)
    told = decide({"GET /a": _pairs(rng, 1.0, 8), "GET /b": _pairs(rng, 1.3, 8)})
    assert [decision.word == "FAIL" for decision in told] == [False, True]
    assert told[1].low < 1.3 < told[1].high * 1.05


def test_a_single_pair_is_at_most_suspect():
    assert decide({"*": [(100, 400)]})[0].word == "suspect"
    assert decide({"*": [(100, 100)]})[0].word == "INCONCLUSIVE"


def test_runs_without_an_answer_say_nothing():
    assert decide({"*": [(float("nan"), 3.0), (0.0, 1.0)]})[0].word == "INCONCLUSIVE"
