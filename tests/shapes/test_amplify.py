"""Cloning of sessions: whole, in order, as many as asked for, the same for the same seed."""

import numpy as np
import pytest

from shapes.amplify import Load, Starts, scaled


def system(sessions: int = 400, each: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    start = np.sort(random.integers(0, 60 * 10**9, sessions))
    due = start[:, None] + np.cumsum(random.integers(0, 10**8, (sessions, each)), axis=1)
    due[:, 0] = start
    order = np.argsort(due.ravel(), kind="stable")
    session = np.repeat(random.integers(1, 2**63, sessions).astype(np.uint64), each)[order]
    flat = due.ravel()[order]
    return {"session": session, "due_ns": flat, "open_ns": flat.copy(),
            "clone": np.zeros(flat.size, np.int32), "source": np.arange(flat.size)}  # fmt: skip


def amplified(k: float, pieces: int = 9, seed: int = 1) -> dict[str, np.ndarray]:
    plan = system()
    starts = Starts([(plan["session"], plan["due_ns"])])
    cuts = np.array_split(np.arange(plan["due_ns"].size), pieces)
    chunks = [{name: column[cut] for name, column in plan.items()} for cut in cuts]
    found = list(scaled(chunks, starts, Load(scale=k), seed))
    return {name: np.concatenate([chunk[name] for chunk in found]) for name in plan}


@pytest.mark.parametrize("k", [0.3, 1.0, 2.5, 10.0])
def test_the_factor_is_kept_and_due_times_do_not_decrease(k: float) -> None:
    found = amplified(k)
    assert np.all(np.diff(found["due_ns"]) >= 0)
    assert found["due_ns"].size == pytest.approx(2000 * k, rel=0.1)


def test_the_inside_of_a_cloned_session_is_as_recorded() -> None:
    found, plan = amplified(3), system()
    words = found["session"] * np.uint64(31) + found["clone"].astype(np.uint64)
    for word in np.unique(words)[:200]:
        rows = words == word
        recorded = plan["due_ns"][found["source"][rows]]
        assert rows.sum() == 5
        assert np.array_equal(np.diff(found["due_ns"][rows]), np.diff(recorded))


def test_a_factor_of_one_changes_nothing() -> None:
    found, plan = amplified(1), system()
    assert np.array_equal(found["due_ns"], plan["due_ns"])


def test_the_plan_does_not_depend_on_how_it_was_cut_into_chunks() -> None:
    a, b = amplified(4, pieces=1), amplified(4, pieces=40)
    assert np.array_equal(a["due_ns"], b["due_ns"])
    assert not np.array_equal(a["due_ns"], amplified(4, seed=2)["due_ns"])
