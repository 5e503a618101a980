"""Fidelity: what is excellent, what is not, and who is to blame."""

import numpy as np

from capture.exchange import Lateness, Outcome
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
