"""Fidelity: what is excellent, what is not, and who is to blame."""

import numpy as np
import pytest

from capture.exchange import Lateness, Outcome
from shapes.chance import most_by_chance
from shapes.fidelity import FidelityMeter, fidelity

N = 30_000


def plan(seed: int = 1) -> np.ndarray:
    gaps = np.random.default_rng(seed).exponential(5e5, N)
    return (1_700_000_000_000_000_000 + np.cumsum(gaps)).astype(np.int64)


def test_a_run_that_followed_its_plan_is_excellent() -> None:
    due = plan()
    late = np.random.default_rng(2).exponential(2e4, N).astype(np.int64)
    found = fidelity(due, due + late)
    assert found.verdict == "EXCELLENT"
    assert found.s > 98
    assert abs(found.drift_ppm) < 5
    assert found.horizon_s is not None


def test_a_slow_loop_is_the_generators_fault() -> None:
    due = plan()
    cause = np.full(N, Lateness.LOOP)
    found = fidelity(due, due + 60_000_000, late_cause=cause)
    assert (found.verdict, found.blame) == ("INVALID", "generator")


def test_a_target_that_refuses_is_to_blame() -> None:
    due = plan()
    found = fidelity(due, np.full(N, -1), outcome=np.full(N, Outcome.REFUSED))
    assert (found.verdict, found.blame) == ("INVALID", "target")


def test_counts_refilled_evenly_within_each_second_fail_at_small_timescales() -> None:
    random = np.random.default_rng(4)
    bursts = 1_700_000_000_000_000_000 + np.sort(random.integers(0, 60, 600)) * 1_000_000_000
    due = np.sort((np.repeat(bursts, 50) + random.integers(0, 10**6, N)).astype(np.int64))
    second = due // 10**9
    first = np.searchsorted(second, second)
    place = np.arange(N) - first
    counts = np.searchsorted(second, second, "right") - first
    even = second * 10**9 + place * 10**9 // counts
    assert fidelity(due, even).s < 50


@pytest.mark.parametrize(("n", "rate"), [(100, 100), (100, 1000), (300, 50), (300, 1000)])
def test_a_short_run_that_was_on_time_is_not_judged_by_chance(n: int, rate: int) -> None:
    random = np.random.default_rng(n + rate)
    for _ in range(30):
        due = (1.7e18 + np.cumsum(random.exponential(1e9 / rate, n))).astype(np.int64)
        found = fidelity(due, due + random.integers(0, 500_000, n))
        assert found.valid, found.reasons


@pytest.mark.parametrize("phase", [0, 2_400_000, 4_950_000])
def test_a_clockwork_that_was_on_time_is_a_clockwork_wherever_bins_begin(phase: int) -> None:
    due = 1_700_000_000_000_000_000 + phase + np.arange(400) * 5_000_000
    late = np.random.default_rng(3).integers(20_000, 200_000, 400)
    found = fidelity(due, due + late)
    assert found.valid, found.reasons
    random = np.random.default_rng(4).exponential(5e6, 400)
    poisson = due[0] + np.cumsum(random).astype(np.int64)
    assert fidelity(due, np.maximum(due, poisson)).s < 90


def test_a_short_run_whose_bursts_were_spread_is_found_out() -> None:
    burst = np.repeat(1_700_000_000_000_000_000 + np.arange(10) * 300_000_000, 20)
    place = np.tile(np.arange(20), 10)
    found = fidelity(burst + place * 10_000, burst + place * 2_000_000)
    assert found.s < 50


def test_a_limit_is_exceeded_where_more_are_late_than_chance_allows() -> None:
    due = plan()[:300]
    late = np.full(300, 20_000)
    late[7] = 60_000_000
    once = fidelity(due, due + late)
    assert once.lateness_p999_ns > 50e6
    assert not any("p99.9" in reason for reason in once.reasons)
    late[[90, 170, 260]] = 60_000_000
    often = fidelity(due, due + late)
    assert any("p99.9" in reason for reason in often.reasons)


@pytest.mark.parametrize("share", [0.5, 0.01, 0.001])
def test_what_chance_allows_is_what_the_binomial_distribution_says(share: float) -> None:
    from scipy.stats import binom

    for n in (1, 2, 10, 59, 300, 2_000, 20_000):
        assert abs(most_by_chance(n, share) - binom.ppf(0.95, n, share)) <= 1, n


def test_a_request_sent_twice_and_one_that_overtook_are_found() -> None:
    due = plan()
    source = np.arange(N)
    source[10] = 9
    sent = due.copy()
    sent[20] = sent[19] - 1
    found = fidelity(due, sent, source=source, clone=np.zeros(N), connection=np.zeros(N, np.int64))
    assert (found.duplicated, found.inversions) == (1, 1)
    assert found.verdict == "INVALID"


def test_meters_of_two_workers_merge_into_the_meter_of_both() -> None:
    due, whole = plan(), FidelityMeter()
    sent = due + np.random.default_rng(5).integers(0, 10**6, N)
    whole.add({"due_ns": due, "request_first_ns": sent})
    merged = FidelityMeter()
    for part in range(2):
        one = FidelityMeter()
        one.add({"due_ns": due[part::2], "request_first_ns": sent[part::2]})
        merged.merge(one)
    a, b = whole.render(), merged.render()
    assert a.idc == b.idc
    assert (a.s, a.verdict) == (b.s, b.verdict)
    assert abs(a.drift_ppm - b.drift_ppm) < 1e-3
