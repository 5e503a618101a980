"""The leak test of a soak: what is kept of a metric, what is told of it and when."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError
from replay.soak.budget import budget_of, read_budget
from replay.soak.series import MOST, Series, Watched
from tests.bench.bench_soak_leaks import first_alarm, shop_like

MB = 1 << 20


def looked_at(
    values: np.ndarray, every_s: float = 1.0, budget: str = "10%", metric: str = "rss_bytes"
) -> Watched:
    watched = Watched(metric, read_budget(budget), 86_400.0)
    for place, value in enumerate(values.tolist()):
        watched.add(place * every_s, value)
        watched.look(place * every_s, 3)
    return watched


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=3000))
def test_a_series_keeps_extremes_and_never_grows(values: list[float]) -> None:
    series = Series()
    for place, value in enumerate(values):
        series.add(float(place), value)
    at, kept = series.arrays()
    assert len(series.rows) <= MOST
    assert kept.min() == min(values)
    assert kept.max() == max(values)
    assert (np.diff(at) >= 0).all()
    assert series.last == values[-1]


def test_a_leak_beneath_a_sawtooth_is_found_within_five_minutes() -> None:
    at = np.arange(300.0)
    values = 80 * MB + 200 * 1024 * at + (at % 9) / 9 * 10 * MB
    assert looked_at(values).leaks


@pytest.mark.parametrize("seed", [15, 17, 20, 23, 27, 46])
def test_a_leak_beneath_teeth_longer_than_a_span_is_found_within_five_minutes(seed: int) -> None:
    assert shop_like(seed, 200_000.0) <= 300
    assert shop_like(seed, 0.0) == math.inf


@pytest.mark.parametrize("period", [100, 150, 200])
@pytest.mark.parametrize("begun", [0.05, 0.3, 0.55, 0.8, 0.95])
def test_a_tooth_shorter_than_the_watch_is_no_leak_wherever_it_began(
    period: int, begun: float
) -> None:
    at = np.arange(300.0)
    assert not looked_at(80 * MB + (at / period + begun) % 1 * 60 * MB).leaks


def test_a_sawtooth_alone_is_no_leak_and_neither_is_a_warm_up() -> None:
    at = np.arange(3600.0)
    assert not looked_at(80 * MB + (at % 9) / 9 * 60 * MB).leaks
    assert not looked_at(80 * MB + 200 * MB * (1 - np.exp(-at / 60))).leaks


def test_a_slow_tooth_that_is_taken_for_a_leak_is_taken_back_when_it_falls() -> None:
    at = np.arange(2400.0)
    slow = 80 * MB + (at % 1200) * 200 * 1024
    assert looked_at(slow[:600]).leaks, "nobody can tell it from a leak yet"
    assert not looked_at(slow).leaks


def test_a_pool_that_fills_is_given_more_time_than_memory() -> None:
    at = np.arange(580.0)
    values = 14 + at / 20
    assert not looked_at(values, metric="threads").leaks
    assert looked_at(values * MB).leaks
    assert looked_at(14 + np.arange(900.0) / 20, metric="threads").leaks


def test_growth_within_its_budget_is_told_as_none() -> None:
    at = np.arange(600.0)
    values = 80 * MB + 200 * 1024 * at
    assert looked_at(values, budget="10%").leaks
    assert not looked_at(values, budget="*rss*=100GB").leaks


def test_looks_are_few_however_often_it_is_asked() -> None:
    watched = looked_at(np.full(72 * 720, 80.0 * MB), every_s=5.0)
    assert watched.looks <= math.ceil(math.log(72 * 3600 / 240) / math.log(1.15)) + 1


def test_some_simulated_days_without_a_leak_tell_none() -> None:
    assert [first_alarm(seed, 6 * 3600.0, 0.0) for seed in range(4)] == [math.inf] * 4


def test_the_last_budget_that_fits_counts() -> None:
    budgets = [read_budget(text) for text in ("20%", "*rss*=500MB", "*=1GB")]
    assert budget_of("x_rss_bytes", budgets[:2]).of(0) == 500 * MB
    assert budget_of("threads", budgets[:2]).of(50) == 10
    assert budget_of("x_rss_bytes", budgets).of(0) == 1 << 30
    assert budget_of("threads", []).of(50) == 5


@pytest.mark.parametrize("text", ["", "much", "=5%", "*rss*=", "-5%", "5 apples"])
def test_a_budget_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(ReplayError, match="no budget"):
        read_budget(text)
