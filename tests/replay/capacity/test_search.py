"""The search comes as near to the limit as it should; nobody is blamed for what we could not do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.capacity.search import BREAKS, GENERATOR, HIGHEST, HOLDS, INVALID, TARGET, Search

LIMITS = st.floats(0.02, 900)


def _searched(search: Search, limit: float, reach: float = 1e9, flaky: float = 0.0) -> list[float]:
    """Probe a target with that limit, by a generator with that reach; gives the scales probed."""
    rng = random.Random(2)
    probed = []
    while (scale := search.next()) is not None:
        probed.append(scale)
        word = INVALID if scale > reach else HOLDS if scale <= limit else BREAKS
        if word == HOLDS and rng.random() < flaky:
            word = INVALID
        search.told(scale, word)
    return probed


@given(LIMITS, st.floats(0.02, 900), st.sampled_from([0.01, 0.05, 0.25]), st.integers(0, 3))
def test_the_limit_is_found_as_near_as_was_wanted_wherever_it_is(
    limit: float, start: float, precision: float, confirm: int
):
    search = Search(start, precision=precision, confirm=confirm)
    probed = _searched(search, limit)
    low, high = search.bracket
    assert low <= limit < high
    assert high / low <= 1 + precision + 1e-9
    assert search.bound_by == TARGET
    assert search.confirmed
    assert probed.count(low) == 1 + confirm
    assert len(probed) <= 40


@given(LIMITS)
def test_a_limit_beyond_our_reach_is_not_the_targets(limit: float):
    search = Search(1.0)
    _searched(search, limit, reach=limit / 2)
    low, _ = search.bracket
    assert search.bound_by == GENERATOR
    assert low <= limit / 2


@given(LIMITS)
def test_probes_that_fail_now_and_then_by_our_fault_are_made_again(limit: float):
    search = Search(1.0, most=200)
    _searched(search, limit, flaky=0.1)
    low, high = search.bracket
    assert low <= limit
    assert search.bound_by == GENERATOR or low <= limit < high


def test_a_target_without_a_limit_is_probed_up_to_the_highest():
    search = Search(1.0, highest=10)
    probed = _searched(search, 1e9)
    assert max(probed) == 10
    assert search.bound_by == HIGHEST
    assert search.bracket[0] == 10


def test_a_target_that_holds_nothing_is_probed_down_to_the_lowest():
    search = Search(1.0, lowest=0.1)
    probed = _searched(search, 0.0)
    assert min(probed) == 0.1
    assert search.bracket == (0.0, 0.1)
    assert not search.confirmed


def test_one_probe_that_broke_by_chance_is_overruled():
    search = Search(1.0, precision=0.25)
    unlucky = True
    while (scale := search.next()) is not None:
        word = HOLDS if scale <= 3.0 else BREAKS
        if scale == 2.0 and unlucky:
            word, unlucky = BREAKS, False
        search.told(scale, word)
    low, high = search.bracket
    assert low <= 3.0 < high


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_probes_are_made_than_were_allowed(most: int):
    assert len(_searched(Search(1.0, most=most), 5.0)) == most
