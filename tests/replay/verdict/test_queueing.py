"""What waits is told from what it waits for, in a simulated target that serves c at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.verdict.judge import judge, recorded_ns
from replay.verdict.queueing import find_queue, most_in_flight, overtaking, served_at_once, turns
from tests.replay.runs import ENDPOINTS, MS, _served, rows_of, run_columns


def crowded(*, pool: int, rate: float = 400, slow: float = 1.0, seed: int = 1):
    """A target that holds `pool` requests at once, and gives up none."""
    return rows_of(run_columns(count=3000, rate=rate, pool=pool, slow=slow, seed=seed))


def alone(rows):
    return np.array([np.median(recorded_ns(rows)[rows.of(name)]) for name in ENDPOINTS])


def pooled(pool: int, count: int, seed: int, direct: float = 0.0, spread: float | None = None):
    """(sent, ended) of a full FIFO pool; a share of the requests is answered without it."""
    rng = np.random.default_rng(seed)
    service = (
        rng.exponential(10 * MS, count)
        if spread is None
        else (10 * MS * rng.lognormal(0, spread, count))
    )
    sent = np.cumsum(rng.exponential(service.mean() / pool / 1.3, count)).astype(np.int64)
    past = rng.random(count) < direct
    ended = sent + MS // 3
    ended[~past] = _served(sent[~past], service[~past].astype(np.int64), pool)
    return sent, ended


@pytest.mark.parametrize("direct", [0.0, 0.01])
@given(pool=st.integers(1, 32), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_size_of_a_full_pool_of_varied_requests_is_read_exactly(
    direct: float, pool: int, seed: int
):
    assert served_at_once(overtaking(*pooled(pool, 3000, seed, direct))) == pool


@given(pool=st.integers(1, 32), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_where_requests_are_more_alike_a_pool_is_read_as_a_little_smaller(pool: int, seed: int):
    told = served_at_once(overtaking(*pooled(pool, 2000, seed, spread=0.8)))
    assert pool - pool // 6 <= told <= pool


@pytest.mark.parametrize("pool", [1, 2, 4, 8, 32])
def test_a_full_pool_is_found_with_its_size(pool: int):
    columns = run_columns(count=4000, rate=180.0 * pool)
    spread = np.random.default_rng(2).lognormal(0, 0.8, 4000)
    service = columns["recorded_service_ns"] = (columns["recorded_service_ns"] * spread).astype(int)
    ended = columns["response_last_ns"] = _served(columns["request_first_ns"], service, pool)
    columns["response_first_ns"] = ended
    rows = rows_of(columns)
    queue = find_queue(rows, alone(rows), recorded_ns(rows))
    assert queue is not None
    assert abs(queue.at_once - pool) <= pool // 8


def test_what_each_took_from_its_turn_on_is_its_own_time():
    rng = np.random.default_rng(5)
    sent = np.sort(rng.integers(0, 1000 * MS, 500))
    service = rng.integers(5 * MS, 50 * MS, 500)
    ended = _served(sent, service, 3)
    assert np.array_equal(ended - turns(sent, ended, 3), service)


def test_no_more_are_overtaken_than_are_served_at_once():
    rng = np.random.default_rng(6)
    sent = np.sort(rng.integers(0, 100 * MS, 400))
    ended = _served(sent, rng.integers(1 * MS, 90 * MS, 400), 6)
    assert overtaking(sent, ended).max() == 5


def test_a_slow_endpoint_in_a_large_pool_is_the_cause_and_the_only_finding():
    verdict = judge(crowded(pool=40, slow=40))
    assert [(f.kind, f.subject) for f in verdict.findings] == [("slow", "GET /search")]
    assert "wait behind it" in verdict.findings[0].full


def test_a_slow_endpoint_and_a_pool_that_is_too_small_are_both_named():
    verdict = judge(crowded(pool=2, slow=40, rate=300))
    assert {f.kind for f in verdict.findings} == {"slow", "pool"}
    assert "a pool of about 2 saturates" in verdict.sentence


def test_two_endpoints_that_are_slow_by_the_same_each_time_are_two_causes_and_no_pool():
    columns = run_columns(count=1500, rate=60)
    which = np.array([ENDPOINTS.index(name) for name in columns["endpoint"]])
    added = np.array([0, 30, 60])[which] * MS
    ended = columns["request_first_ns"] + columns["recorded_service_ns"] + added
    columns["response_first_ns"] = columns["response_last_ns"] = ended
    found = {(f.kind, f.subject) for f in judge(rows_of(columns)).findings}
    assert found == {("slow", "GET /items/{id}"), ("slow", "GET /cart")}


def test_what_is_taken_now_and_was_refused_then_does_not_wait_for_a_pool():
    columns = run_columns(count=1500, rate=60)
    paid = np.array([name == "GET /cart" for name in columns["endpoint"]])
    columns["endpoint"] = [name.replace("GET /cart", "POST /pay") for name in columns["endpoint"]]
    refused = paid & (np.arange(1500) % 3 == 0)
    columns["recorded_status"][refused] = 409
    columns["recorded_service_ns"][paid] = 100 * MS
    columns["recorded_service_ns"][refused] = MS
    items = np.array([name == "GET /items/{id}" for name in columns["endpoint"]])
    took = np.where(paid, 100 * MS, columns["recorded_service_ns"])
    took = np.where(items, took * 6 + np.arange(1500) % 7 * 5 * MS, took)
    columns["response_last_ns"] = columns["request_first_ns"] + took
    assert "pool" not in {finding.kind for finding in judge(rows_of(columns)).findings}


def test_those_that_begin_in_one_instant_are_all_in_flight_at_once():
    starts = np.zeros(50, np.int64)
    assert most_in_flight(starts, starts + MS) == 50
    assert most_in_flight(np.arange(50) * MS, np.arange(50) * MS + MS) == 1
    assert most_in_flight(starts[:0], starts[:0]) == 0
