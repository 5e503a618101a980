"""The bets of a canary grow where something is worse, and by chance alone no more than they may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.canary.betting import Bets


def _worth(values: list[float], budget: float = 0.01, blocks: int = 60) -> list[float]:
    bets = Bets(budget, blocks)
    seen = []
    for value in values:
        bets.add(value)
        seen.append(bets.worth)
    return seen


@given(st.lists(st.floats(-1, 1), max_size=200), st.floats(0, 0.5), st.integers(1, 100))
def test_money_is_never_negative_whatever_is_seen(values: list[float], budget: float, blocks: int):
    assert all(worth >= 0 for worth in _worth(values, budget, blocks))


@given(st.integers(1, 8), st.floats(0, 0.2), st.integers(1, 12))
def test_over_all_ways_a_fair_coin_can_fall_the_money_stays_what_it_was(
    flips: int, budget: float, blocks: int
):
    """Exact: the mean over every sequence of ±x around the budget is 1."""
    total = 0.0
    for code in range(1 << flips):
        bets = Bets(budget, blocks)
        for flip in range(flips):
            bets.add(budget + (0.4 if code >> flip & 1 else -0.4))
        total += bets.worth
    assert total / (1 << flips) == pytest.approx(1)


def test_the_chance_of_ever_reaching_twenty_is_below_one_in_twenty():
    rng = np.random.default_rng(3)
    reached = sum(max(_worth(rng.choice([-1.0, 1.0], 120).tolist(), 0.0)) >= 20 for _ in range(600))
    assert reached / 600 <= 0.05


def test_what_fails_always_is_found_within_a_dozen_blocks():
    seen = _worth([1.0] * 30)
    assert next(n for n, worth in enumerate(seen) if worth >= 200) < 13


def test_what_goes_bad_late_is_found_soon_after():
    seen = _worth([0.0] * 60 + [1.0] * 30, blocks=120)
    assert max(seen[:60]) < 2
    assert next(n for n, worth in enumerate(seen) if worth >= 200) < 80


def test_a_difference_beyond_one_is_refused():
    with pytest.raises(ValueError, match="difference"):
        Bets(0, 1).add(1.5)
