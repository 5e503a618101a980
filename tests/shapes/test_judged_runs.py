"""Fidelity judges simulated runs as a person would who knew what had been done to them."""

from typing import Any

import numpy as np
import pytest

from capture.exchange import Lateness, Outcome
from shapes.fidelity import Fidelity, FidelityMeter
from tests.shapes.shape_tapes import BEGIN

S = 10**9


def simulated(count: int = 40_000, seed: int = 1) -> dict[str, Any]:
    """A run that kept to a bursty plan of some 60 s on 200 connections, a few µs late each."""
    random = np.random.default_rng(seed)
    busy = np.repeat(random.random(count // 50) < 0.2, 50)
    due = BEGIN + np.cumsum(random.exponential(np.where(busy, 2e5, 1.9e6))).astype(np.int64)
    late = random.exponential(2e4, count).astype(np.int64)
    which = random.integers(0, 3, count)
    connection = random.integers(0, 200, count)
    return {
        "due_ns": due,
        "request_first_ns": _in_turn(connection, due + late),
        "connection": connection,
        "session": (connection + 1).astype(np.uint64),
        "endpoint": (which, ["GET /", "GET /a", "POST /b"]),
        "source": np.arange(count),
        "clone": np.zeros(count, np.int32),
        "outcome": np.full(count, Outcome.ANSWERED),
        "late_cause": np.full(count, Lateness.LOOP),
    }


def _in_turn(connection: Any, sent: Any) -> Any:
    """No request goes out before one that precedes it on its connection."""
    for place in range(connection.max() + 1):
        rows = connection == place
        sent[rows] = np.maximum.accumulate(sent[rows])
    return sent


def judged(rows: dict[str, Any], pieces: int = 1) -> Fidelity:
    meter = FidelityMeter()
    for at in np.array_split(np.arange(rows["due_ns"].size), pieces):
        block = {name: column[at] for name, column in rows.items() if name != "endpoint"}
        meter.add({**block, "endpoint": (rows["endpoint"][0][at], rows["endpoint"][1])})
    return meter.render()


def stopped(rows: dict[str, Any], at_ns: int, held: int = 2048) -> dict[str, Any]:
    """The run as it stands after Ctrl-C: a batch or so of what was not yet due is booked unsent."""
    last = int(np.searchsorted(rows["due_ns"], at_ns))
    codes, names = rows["endpoint"]
    cut = {name: column[: last + held].copy() for name, column in rows.items()
           if name != "endpoint"}  # fmt: skip
    cut["request_first_ns"][last:] = -1
    cut["outcome"][last:] = Outcome.UNSENT
    return {**cut, "endpoint": (codes[: last + held], names)}


def test_a_run_that_kept_to_its_plan_is_excellent() -> None:
    found = judged(simulated())
    assert (found.verdict, found.reasons, found.blame) == ("EXCELLENT", [], None)
    assert found.s > 98


def test_a_run_five_percent_slow_is_the_generators_fault() -> None:
    rows = simulated()
    due = rows["due_ns"]
    rows["request_first_ns"] = BEGIN + ((due - BEGIN) * 1.05).astype(np.int64)
    found = judged(rows)
    assert (found.verdict, found.blame) == ("INVALID", "generator")
    assert found.rate_error == pytest.approx(1 - 1 / 1.05, rel=0.01)
    assert found.drift_ppm == pytest.approx(50_000, rel=0.01)


@pytest.mark.parametrize(("every_ns", "verdict"), [(S // 2, "INVALID"), (10 * S, "VALID")])
def test_stalls_of_20_ms_are_forgiven_only_where_they_are_rare(every_ns: int, verdict: str) -> None:
    rows = simulated()
    due = rows["due_ns"]
    into = (due - BEGIN) % every_ns
    rows["request_first_ns"] = np.where(into < 20_000_000, due - into + 20_000_000, due)
    found = judged(rows)
    assert found.verdict == verdict
    assert found.blame == ("generator" if verdict == "INVALID" else None)


def test_reordered_repeated_and_missing_requests_are_counted_one_by_one() -> None:
    rows = simulated()
    rows["source"][100] = rows["source"][99]
    rows["request_first_ns"][200] = -1
    rows["outcome"][200] = Outcome.RESET
    pair = np.flatnonzero(rows["connection"] == 7)[:2]
    rows["request_first_ns"][pair[1]] = rows["request_first_ns"][pair[0]] - 1
    found = judged(rows, pieces=9)
    assert (found.duplicated, found.inversions) == (1, 1)
    assert (found.planned, found.sent) == (40_000, 39_999)
    assert found.verdict == "INVALID"
    assert len(found.reasons) == 3


def test_a_run_that_left_out_an_endpoint_loses_its_score() -> None:
    rows = simulated()
    rows["request_first_ns"][rows["endpoint"][0] == 2] = -1
    rows["outcome"][rows["endpoint"][0] == 2] = Outcome.REFUSED
    found = judged(rows)
    assert found.mix_term == pytest.approx(2 / 3, abs=0.01)
    assert found.s < 70
    assert (found.verdict, found.blame) == ("INVALID", "target")


@pytest.mark.parametrize("pieces", [1, 13])
def test_a_stopped_run_is_held_to_what_was_due_until_then(pieces: int) -> None:
    found = judged(stopped(simulated(), BEGIN + 30 * S), pieces)
    assert found.verdict == "EXCELLENT"
    assert found.not_due == 2048
    assert found.planned == found.sent


def test_what_was_due_before_the_stop_and_not_sent_still_counts() -> None:
    rows = stopped(simulated(), BEGIN + 30 * S)
    rows["request_first_ns"][500:510] = -1
    rows["outcome"][500:510] = Outcome.UNSENT
    found = judged(rows, pieces=7)
    assert (found.verdict, found.blame) == ("INVALID", "generator")
    assert found.planned - found.sent == 10


def test_stopped_workers_merge_into_one_stopped_run() -> None:
    rows = stopped(simulated(), BEGIN + 30 * S)
    workers = rows["connection"] % 2
    merged = FidelityMeter()
    for number in range(2):
        at = workers == number
        one = FidelityMeter()
        one.add({name: column[at] for name, column in rows.items() if name != "endpoint"})
        merged.merge(one)
    found = merged.render()
    assert (found.verdict, found.not_due) == ("EXCELLENT", 2048)
