"""The judgement names what broke, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from capture.exchange import NEVER, Lateness, Outcome
from replay.verdict.compare import compare
from replay.verdict.judge import judge
from tests.replay.runs import rows_of, run, run_columns


def test_a_run_like_its_recording_passes():
    verdict = judge(run())
    assert (verdict.word, verdict.findings) == ("PASS", ())


def test_a_missing_index_is_named_with_its_endpoint_and_nothing_else():
    verdict = judge(run(slow=100))
    assert [(f.kind, f.subject) for f in verdict.findings] == [("slow", "GET /search")]
    assert "from 12 ms to 1.2 s" in verdict.sentence
    assert verdict.worst[0].endpoint == "GET /search"


def test_a_small_pool_is_named_with_its_size_and_no_endpoint_is_called_slow():
    rng = np.random.default_rng(3)
    columns = run_columns(count=3000, rate=100, pool=0)
    burst = np.sort(rng.uniform(0, 1.5e9, 1500)).astype(np.int64)  # a flash in the middle
    due = np.concatenate([columns["due_ns"][:1500], columns["due_ns"][1499] + burst])
    from tests.replay.runs import _served

    columns["due_ns"], columns["request_first_ns"] = due, due + 10_000
    ended = _served(due + 10_000, columns["recorded_service_ns"], 4)
    columns["response_first_ns"] = columns["response_last_ns"] = ended
    verdict = judge(rows_of(columns))
    assert [finding.kind for finding in verdict.findings] == ["pool"]
    assert {row.endpoint for row in verdict.worst} <= set(verdict.findings[0].subject.split(", "))
    assert "A pool of about 4 saturates" in verdict.sentence or "about 3" in verdict.sentence


def test_a_payment_that_the_recording_refused_and_the_run_took_is_charged_twice():
    columns = run_columns(count=40)
    columns["endpoint"] = ["POST /pay"] * 40
    columns["session"] = np.repeat(np.arange(20), 2)
    columns["key"] = np.full(40, 7)
    columns["recorded_status"] = np.tile([200, 409], 20)
    verdict = judge(rows_of(columns))
    assert [finding.kind for finding in verdict.findings] == ["duplicate"]
    assert "POST /pay charged twice in 20 cases" in verdict.sentence


def test_new_failures_are_counted_beyond_those_recorded():
    columns = run_columns(count=300)
    columns["status"] = np.where(np.arange(300) % 10 == 0, 503, 200)
    assert {f.kind for f in judge(rows_of(columns)).findings} == {"errors"}


def test_a_late_generator_makes_the_run_invalid_and_is_blamed():
    verdict = judge(run(late_ms=200, slow=100))
    assert verdict.word == "INVALID"
    assert "this generator is to blame" in verdict.sentence


def test_a_run_that_the_target_itself_held_up_is_judged():
    columns = run_columns(slow=100)
    held = np.arange(2000) % 50 == 0
    columns["late_cause"] = np.where(held, Lateness.CONNECTION, Lateness.NONE)
    columns["request_first_ns"] = columns["due_ns"] + np.where(held, 2_000_000_000, 10_000)
    columns["response_last_ns"] = columns["response_last_ns"] + np.where(held, 2_000_000_000, 0)
    verdict = judge(rows_of(columns))
    assert verdict.fidelity is not None
    assert (verdict.fidelity.verdict, verdict.fidelity.blame) == ("INVALID", "target")
    assert verdict.word == "FAIL"


def test_what_the_generators_own_lateness_blurs_is_not_called_slow():
    columns = run_columns(slow=3)  # 24 ms more
    blurred = np.random.default_rng(1).exponential(3e6, 2000).astype(np.int64)  # p99 14 ms
    columns["request_first_ns"] = columns["due_ns"] + blurred
    columns["response_last_ns"] = columns["response_last_ns"] + blurred
    assert judge(rows_of(columns)).findings == ()


@pytest.mark.parametrize(
    ("method", "was", "now", "found"),
    [
        ("GET", 404, 200, ["status"]),
        ("GET", 200, 404, ["status"]),
        ("POST", 400, 201, ["status"]),
        ("POST", 409, 200, []),
        ("GET", 404, 410, []),
    ],
)
def test_answers_of_another_class_are_told_but_not_what_hangs_on_order(
    method: str, was: int, now: int, found: list[str]
):
    columns = run_columns(count=300)
    columns["endpoint"] = [f"{method} /x"] * 300
    columns["recorded_service_ns"] = np.full(300, 8_000_000)
    columns["response_last_ns"] = columns["request_first_ns"] + 8_000_000
    columns["recorded_status"] = np.where(np.arange(300) % 10 == 0, was, 200)
    columns["status"] = np.where(np.arange(300) % 10 == 0, now, 200)
    columns["session"] = columns["key"] = np.arange(300)
    told = judge(rows_of(columns)).findings
    assert [finding.kind for finding in told] == found
    if found:
        assert f"answered {now} where {was} was recorded, 30 times" in told[0].sentence


def test_conflicts_that_met_another_request_of_the_same_order_are_no_finding():
    columns = run_columns(count=300)
    columns["endpoint"] = ["POST /x"] * 300
    columns["recorded_service_ns"] = np.full(300, 8_000_000)
    columns["response_last_ns"] = columns["request_first_ns"] + 8_000_000
    columns["session"] = columns["key"] = np.arange(300)
    which = np.arange(300) % 10
    columns["recorded_status"] = np.where(which == 0, 409, 200)
    columns["status"] = np.where(which == 1, 409, 200)
    assert judge(rows_of(columns)).findings == ()
    columns["status"] = np.where(which <= 2, 409, 200)
    assert [finding.kind for finding in judge(rows_of(columns)).findings] == ["status"]


def test_a_run_that_nothing_answered_is_one_finding_and_nothing_to_compare_with():
    columns = run_columns(count=200)
    columns["outcome"] = np.full(200, Outcome.REFUSED)
    columns["status"] = np.zeros(200, np.int64)
    columns["response_last_ns"] = np.full(200, NEVER)
    dead = rows_of(columns)
    (found,) = judge(dead).findings
    assert found.sentence == "none of 200 requests was answered (connections refused)"
    told = compare(dead, run(count=200))
    assert told.word == "INVALID"
    assert told.refused.endswith(
        "for in A none of 200 requests was answered (connections refused)."
    )
    assert compare(run(count=200), dead).word == "suspect"
