"""A step of a canary is judged by what is worse at the candidate, not by which users it has."""

from __future__ import annotations

import numpy as np
import pytest

from capture.exchange import NEVER, Outcome
from replay.canary.judge import FAILURES, STATUSES, Rules, StepJudge
from replay.canary.subjects import longer
from replay.observe.glance import Glance, Part
from tests.bench.bench_canary import World, one_canary

SECONDS = 30


def _part(count: int = 1200, seed: int = 1, **changed: object) -> Part:
    rng = np.random.default_rng(seed)
    took = (rng.lognormal(1, 0.3, count) * 3e6).astype(np.int64)
    columns = {
        "late_ns": np.zeros(count), "endpoint": np.zeros(count, np.int64),
        "endpoints": ["GET /search"], "service_ns": took, "response_ns": took,
        "status": np.full(count, 200), "outcome": np.full(count, Outcome.ANSWERED),
        "due_ns": np.sort(rng.integers(0, int(SECONDS * 1e9), count)),
        "target": (rng.random(count) < 0.3).astype(np.uint8),
        "was_status": np.full(count, 200), "recorded_ns": took,
    } | changed  # fmt: skip
    return Part(**columns)  # type: ignore[arg-type]


def _judged(part: Part, answers: bool = True) -> StepJudge:
    judge = StepJudge(Rules(), ["GET /search"], 0.01, 60, answers=answers)
    judge.observe(Glance(0, 0, known_ns=0, parts=[part]))
    judge.end()
    return judge


def test_two_sides_that_are_alike_are_clean():
    assert _judged(_part()).word()[0] == "clean"


def test_answers_of_another_class_at_the_candidate_alone_are_an_alarm():
    part = _part()
    part.status = np.where(part.target == 1, 404, 200)
    judge = _judged(part)
    assert judge.alarm is not None
    assert judge.alarm.subject == STATUSES


def test_a_user_who_failed_in_the_recording_may_fail_on_the_side_that_has_him():
    part = _part()
    part.status = np.where(part.target == 1, 500, 200)
    part.was_status = part.status
    assert _judged(part).word()[0] == "clean"


def test_requests_that_were_never_answered_are_judged_only_where_none_were():
    part = _part()
    part.outcome = np.where(part.target == 1, Outcome.CLOSED, Outcome.ANSWERED)
    part.was_status = np.where(part.target == 1, 0, 200)
    assert _judged(part).word()[0] == "few"
    part.was_status = np.zeros(len(part.target), np.int64)
    judge = _judged(part, answers=False)
    assert judge.alarm is not None
    assert judge.alarm.subject == FAILURES


def test_users_whose_requests_always_were_heavy_are_not_a_slow_candidate():
    part = _part()
    heavy = np.where(part.target == 1, 5, 1)
    part.service_ns, part.recorded_ns = part.service_ns * heavy, part.recorded_ns * heavy
    assert _judged(part).word()[0] == "clean"
    part.recorded_ns = part.recorded_ns // heavy
    assert _judged(part).word()[0] == "worse"


def test_what_takes_longer_by_less_than_the_margin_is_the_same():
    part = _part()
    part.service_ns = np.where(part.target == 1, part.service_ns * 1.05, part.service_ns)
    assert _judged(part).word()[0] == "clean"
    part.service_ns = part.service_ns * np.where(part.target == 1, 3, 1)
    judge = _judged(part)
    assert judge.alarm is not None
    assert judge.alarm.subject == "time of GET /search"


def test_too_few_requests_say_nothing_either_way():
    assert _judged(_part(count=40)).word()[0] == "few"
    nothing = _part(service_ns=np.full(1200, NEVER), outcome=np.full(1200, Outcome.UNSENT))
    assert _judged(nothing).word()[0] == "few"


def test_glances_in_any_pieces_judge_as_one_does():
    part = _part()
    part.status = np.where((part.target == 1) & (part.due_ns > 1e10), 500, 200)
    whole = _judged(part)
    judge = StepJudge(Rules(), ["GET /search"], 0.01, 60)
    over = False
    for begin in range(0, 1200, 37):
        piece = {name: getattr(part, name)[begin : begin + 37] for name in vars(part)
                 if name != "endpoints"}  # fmt: skip
        known = int(part.due_ns[min(begin + 37, 1199)])
        glance = Glance(0, 0, known_ns=known, parts=[Part(endpoints=part.endpoints, **piece)])
        over = over or judge.observe(glance)
    assert over
    assert judge.alarm is not None
    assert whole.alarm is not None
    assert judge.alarm.worth == pytest.approx(whole.alarm.worth)
    assert judge.alarm.seconds == whole.alarm.seconds < 20


def test_of_all_pairs_as_many_are_longer_as_the_pairs_say():
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 9, 30), rng.integers(0, 9, 20)
    pairs = np.sign(b[:, None] - a[None, :]).mean()
    assert longer(a.astype(float), b.astype(float)) == pytest.approx(pairs)


@pytest.mark.parametrize(
    ("world", "end"),
    [(World(), "promoted"), (World(failing=1.0), "stopped"), (World(slower=3.0), "stopped")],
)
def test_a_simulated_canary_ends_as_it_should(world: World, end: str):
    assert one_canary(np.random.default_rng(1), world)[0].startswith(end)


def test_a_candidate_that_follows_its_baseline_is_judged_by_the_same_times_of_its_own_run():
    part = _part()
    judge = StepJudge(Rules(), ["GET /search"], 0.01, 60, workers=2)
    judge.begin(0)
    for worker in (0, 1):
        judge.observe(Glance(worker, 0, known_ns=1 << 60, parts=[part] if worker else []))
    judge.end()
    assert judge.counts() == (0, 0)
    judge.begin(1)
    part.status = np.full(1200, 500)
    assert not judge.observe(Glance(0, 0, known_ns=1 << 60, parts=[part]))  # the other is not here
    assert judge.observe(Glance(1, 0, known_ns=1 << 60, parts=[]))
    assert judge.alarm is not None
    assert judge.alarm.subject == FAILURES


def test_two_targets_that_both_fail_are_alike_but_not_clean():
    judge = _judged(_part(outcome=np.full(1200, Outcome.REFUSED), status=np.zeros(1200)))
    word, why = judge.word()
    assert word == "unclear"
    assert "the baseline itself failed" in why
