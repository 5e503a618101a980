"""Users shared out between two targets stay where they are, at every share that has them."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.observe.glance import Glance
from replay.options import ReplayOptions
from replay.planning.split import places, routes
from replay.run import replay
from shapes.fidelity import fidelity
from tests.replay.recorder import get, recorder, write_tape


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), st.integers(0, 50))
def test_a_user_has_the_same_place_wherever_its_rows_stand(sessions: list[int], clone: int):
    ids = np.array(sessions, np.uint64)
    found = places(ids, np.full(len(ids), clone))
    assert ((found >= 0) & (found < 1)).all()
    again = places(ids[::-1], np.full(len(ids), clone))[::-1]
    assert (found == again).all()


def test_shares_are_met_and_nested():
    chunk = {"due_ns": np.arange(40_000), "session": np.arange(40_000, dtype=np.uint64),
             "clone": np.zeros(40_000, np.int32)}  # fmt: skip
    before = np.zeros(40_000, bool)
    for share in (0.01, 0.05, 0.25, 0.5, 1.0):
        _, to = routes(chunk, 2, share)
        assert abs(to.mean() - share) < 0.01
        assert (to[before] == 1).all()
        before = to == 1


def test_with_a_split_each_request_goes_to_one_target_and_a_session_to_one_alone(tmp_path: Path):
    requests = [(n % 20, n * 4.0, get(f"/{n % 20}")) for n in range(100)]
    tape = write_tape(tmp_path / "x.tape", requests)
    with recorder() as a, recorder() as b:
        options = ReplayOptions(target=(a.url, b.url), split=0.5, no_calibrate=True)
        summary = replay(tape, options, tmp_path / "run.tape")
        got = [b"".join(map(b"".join, each.received)).count(b"GET") for each in (a, b)]
    assert summary.answered == sum(got) == 100
    assert sorted(got) == [0, 100]  # all of this tape's requests are of one user


def test_a_split_of_one_target_is_refused_in_one_sentence() -> None:
    with pytest.raises(click.UsageError, match="two targets"):
        ReplayOptions(target=("http://127.0.0.1:1",), split=0.5)


def test_who_looks_on_and_has_seen_enough_ends_the_sending(tmp_path: Path):
    tape = write_tape(tmp_path / "x.tape", [(n, n * 20.0, get("/")) for n in range(400)])
    glances: list[Glance] = []

    def enough(glance: Glance) -> bool:
        glances.append(glance)
        return sum(len(part.due_ns) for each in glances for part in each.parts) > 20

    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        summary = replay(tape, options, tmp_path / "run.tape", observers=[enough])
    assert 20 < summary.sent < 300
    assert summary.answered == summary.sent
    told = sum(len(part.due_ns) for each in glances for part in each.parts)
    assert told == summary.sent
    known = [each.known_ns for each in glances]
    assert known == sorted(known)


def test_clones_and_targets_that_share_a_recorded_connection_do_not_overtake_each_other():
    due = np.arange(100) * 1_000_000
    sent = due.copy()
    sent[1::2] -= 3_000_000  # every other request goes out before the one that was due before it
    connection = np.zeros(100, np.int64)
    other = np.arange(100) % 2
    assert fidelity(due, sent, connection=connection).inversions > 0
    assert fidelity(due, sent, connection=connection, clone=other).inversions == 0
    assert fidelity(due, sent, connection=connection, target_index=other).inversions == 0
