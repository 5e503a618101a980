"""Soaks: lap after lap as other users each, entered anywhere, gone on with after a stop."""

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from capture.errors import ReplayError
from capture.tape import Tape
from replay.cli import plan as plan_command
from replay.options import PlanOptions, ReplayOptions
from replay.planning.bookmark import Bookmark
from replay.planning.plan import plan_chunks
from replay.run import replay
from tests.replay.planning.test_more import tape_of
from tests.replay.recorder import recorder, write_tape
from tests.shapes.shape_tapes import BEGIN, write

S = 10**9
NAMES = ("due_ns", "lane", "clone", "source", "session", "open_ns")


def long_tape(folder: Path, sessions: int = 600, span_s: int = 60) -> Path:
    """Short sessions of three requests each, spread over a minute."""
    random = np.random.default_rng(3)
    start = np.sort(random.integers(0, span_s * S, sessions))
    due = (start[:, None] + np.array([0, 2 * 10**8, 5 * 10**8])).ravel()
    user = np.repeat(np.arange(1, sessions + 1), 3)
    order = np.argsort(due, kind="stable")
    rows = {
        "connection": user[order].astype(np.int64), "session": user[order].astype(np.uint64),
        "request_first_ns": BEGIN + due[order], "request_bytes": np.full(due.size, 90),
        "endpoint": [f"GET /{turn % 3}" for turn in order],
    }  # fmt: skip
    return write(folder / "long.tape", rows, blocks=4)


def planned(path: Path, shard: int = 0, of: int = 1, **options: object) -> dict[str, np.ndarray]:
    with Tape.open(path) as tape:
        chunks = list(plan_chunks(tape, PlanOptions(**options), shard, of))  # type: ignore[arg-type]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in NAMES}


def test_a_soak_keeps_the_recorded_rate_in_order_for_as_long_as_is_asked(tmp_path: Path) -> None:
    found = planned(long_tape(tmp_path), soak=3600 * S)
    assert np.all(np.diff(found["due_ns"]) >= 0)
    assert 3599 * S < found["due_ns"][-1] < 3600 * S
    assert found["due_ns"].size == pytest.approx(1800 * 60, rel=0.05)
    per_s = np.bincount(found["due_ns"] // (10 * S))
    assert per_s.min() > 150
    assert per_s.max() < 500


def test_each_lap_is_other_users_at_other_moments_and_no_session_is_cut(tmp_path: Path) -> None:
    found = planned(long_tape(tmp_path), soak=600 * S)
    users = np.stack([found["session"].astype(np.int64), found["clone"]])
    _, first, times = np.unique(users, axis=1, return_index=True, return_counts=True)
    ended = found["due_ns"][first] < 590 * S
    assert np.all(times[ended] == 3)
    of_one = found["due_ns"][found["session"] == 300]
    phases = np.unique(of_one[::3] % (60 * S))
    assert phases.size > 5


def test_a_soak_entered_anywhere_is_the_rest_of_the_whole_one(tmp_path: Path) -> None:
    path = long_tape(tmp_path)
    whole = planned(path, soak=900 * S, scale=1.5, seed=4)
    for position in (1, 59 * S, 61 * S, 500 * S, 890 * S):
        rest = planned(path, soak=900 * S, scale=1.5, seed=4, position=position)
        later = whole["due_ns"] >= position
        rows = {name: column[later] for name, column in whole.items()}
        assert np.array_equal(rest["due_ns"] + position, rows["due_ns"])
        key = np.lexsort((rest["source"], rest["lane"]))
        other = np.lexsort((rows["source"], rows["lane"]))
        assert np.array_equal(rest["lane"][key], rows["lane"][other])


def test_workers_share_a_soak_out_without_loss(tmp_path: Path) -> None:
    path = long_tape(tmp_path)
    whole = planned(path, soak=300 * S)
    parts = [planned(path, shard, 3, soak=300 * S) for shard in range(3)]
    assert sum(part["due_ns"].size for part in parts) == whole["due_ns"].size
    assert np.array_equal(np.sort(np.concatenate([p["due_ns"] for p in parts])), whole["due_ns"])


def test_a_tape_of_few_sessions_is_joined_end_to_end(tmp_path: Path) -> None:
    found = planned(tape_of(tmp_path, users=5), soak=60 * S)
    assert found["due_ns"].size == pytest.approx(15 * 60 / 0.44, rel=0.1)
    assert np.all(np.diff(found["due_ns"]) >= 0)


def test_what_contradicts_a_soak_is_refused() -> None:
    for options in ({"loop": 2}, {"speed": float("inf")}):
        with pytest.raises(click.UsageError):
            PlanOptions(soak=S, **options)  # type: ignore[arg-type]


def test_a_stopped_soak_goes_on_where_it_was_and_sends_everything_once(tmp_path: Path) -> None:
    path, run = tape_of(tmp_path, users=10, each=2), tmp_path / "run.tape"
    with recorder() as target:
        options = {"target": (target.url,), "no_calibrate": True, "soak": 4 * S, "host": "keep"}
        replay(path, ReplayOptions(duration=S, **options), run)  # type: ignore[arg-type]
        saved = json.loads((tmp_path / "run.tape.position").read_text())["due_ns"]
        assert 0 < saved <= S
        replay(path, ReplayOptions(resume=True, **options), run)  # type: ignore[arg-type]
        with pytest.raises(ReplayError, match="had come to its end"):
            replay(path, ReplayOptions(resume=True, **options), run)  # type: ignore[arg-type]
    sent = []
    for part in (tmp_path / "run.1.tape", run):
        with Tape.open(part) as tape:
            for block in tape.columns(("source", "clone", "request_first_ns")):
                assert np.all(block["request_first_ns"] >= 0)
                sent += list(zip(block["source"].tolist(), block["clone"].tolist(), strict=True))
    whole = planned(path, soak=4 * S)
    assert sorted(sent) == sorted(
        zip(whole["source"].tolist(), whole["clone"].tolist(), strict=True)
    )


def test_a_position_of_another_plan_or_none_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run.tape"
    with pytest.raises(ReplayError, match="nothing is to go on"):
        Bookmark(run, "a", PlanOptions(soak=S)).go_on()
    Bookmark(run, "a", PlanOptions(soak=S)).sent_until(S // 2)
    assert Bookmark(run, "a", PlanOptions(soak=9 * S)).go_on() == S // 2
    for tape, options in (("b", PlanOptions(soak=S)), ("a", PlanOptions(soak=S, seed=3))):
        with pytest.raises(ReplayError, match="another plan"):
            Bookmark(run, tape, options).go_on()
    (tmp_path / "run.tape.position").write_text("{")
    with pytest.raises(ReplayError, match="cannot be read"):
        Bookmark(run, "a", PlanOptions(soak=S)).go_on()


def test_a_soak_of_an_empty_tape_says_that_there_is_nothing_to_send(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "empty.tape", [])
    with Tape.open(path) as tape:
        assert not list(plan_chunks(tape, PlanOptions(soak=60 * S)))
    found = CliRunner().invoke(plan_command, [str(path), "--soak", "1m"])
    assert "nothing to send" in str(found.exception)
