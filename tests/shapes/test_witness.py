"""A witness at the target confirms a replay, or finds what is missing, too many or late."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import WiretapeError
from capture.tape import Tape
from shapes.cli import shapes
from shapes.fidelity import Fidelity
from shapes.witness import matched, witnessed
from tests.shapes.shape_tapes import BEGIN, ran, recorded, write

COUNT = 20_000
PLAN = recorded(COUNT, gap_ns=1e6)
HOUR = 3600 * 10**9


def seen(path: Path, speed: float, keep: Any = slice(None), **changes: Any) -> Path:
    """What a recorder at the target saw, on a clock an hour ahead and 80 µs away."""
    random = np.random.default_rng(4)
    due = BEGIN + (PLAN["request_first_ns"] - BEGIN) / speed
    late = 80_000 + random.exponential(2e4, COUNT)
    rows = PLAN | {"request_first_ns": (due + late).astype(np.int64) + HOUR} | changes
    order = np.argsort(rows["request_first_ns"], kind="stable")[keep]
    some = {name: [c[i] for i in order] if isinstance(c, list) else c[order]
            for name, c in rows.items()}  # fmt: skip
    return write(path, some)


def judged(folder: Path, witness: Path, speed: float, plan: dict[str, Any] = PLAN) -> Fidelity:
    planned = write(folder / "plan.tape", plan)
    with Tape.open(planned) as a, Tape.open(witness) as b:
        return witnessed(a, b, speed)


@pytest.mark.parametrize("speed", [1.0, 2.0, 0.5])
def test_a_faithful_replay_is_confirmed_at_its_speed(speed: float, tmp_path: Path) -> None:
    found = judged(tmp_path, seen(tmp_path / "w.tape", speed), speed)
    assert found.verdict == "EXCELLENT", found.reasons
    assert found.lateness_p50_ns < 50_000
    assert found.s > 98


def test_the_wrong_speed_is_not_confirmed(tmp_path: Path) -> None:
    assert judged(tmp_path, seen(tmp_path / "w.tape", 1.0), 2.0).verdict == "INVALID"


def test_requests_that_never_arrived_are_counted(tmp_path: Path) -> None:
    keep = np.delete(np.arange(COUNT), [50, 5000, 5001])
    found = judged(tmp_path, seen(tmp_path / "w.tape", 1.0, keep), 1.0)
    assert (found.planned, found.sent, found.duplicated) == (COUNT, COUNT - 3, 0)
    assert found.lateness_p50_ns < 100_000


def test_requests_that_nobody_planned_are_counted(tmp_path: Path) -> None:
    keep = np.sort(np.append(np.arange(COUNT), [70, 9000]))
    found = judged(tmp_path, seen(tmp_path / "w.tape", 1.0, keep), 1.0)
    assert (found.sent, found.duplicated) == (COUNT + 2, 2)
    assert found.verdict == "INVALID"


def test_a_run_is_its_own_plan(tmp_path: Path) -> None:
    planned = write(tmp_path / "run.tape", ran(COUNT, gap_ns=1e6), kind="run")
    with Tape.open(planned) as run, Tape.open(seen(tmp_path / "w.tape", 1.0)) as witness:
        assert witnessed(run, witness).verdict == "EXCELLENT"


def test_the_command_reads_plan_and_witness(tmp_path: Path) -> None:
    plan = write(tmp_path / "plan.tape", PLAN)
    witness = seen(tmp_path / "w.tape", 2.0)
    args = ["fidelity", "--plan", str(plan), "--witness", str(witness), "--speed", "2"]
    found = CliRunner().invoke(shapes, [*args, "--json"])
    assert json.loads(found.stdout)["verdict"] == "EXCELLENT"
    assert "EXCELLENT" in CliRunner().invoke(shapes, args).stdout


@pytest.mark.parametrize(
    "args", [[], ["--plan", "x"], ["--witness", "x"], ["r", "--plan", "x", "--witness", "y"],
             ["r", "--speed", "0"], ["r", "--speed", "nan"], ["r", "--speed", "abc"]]
)  # fmt: skip
def test_half_a_question_is_a_usage_error(args: list[str]) -> None:
    assert CliRunner().invoke(shapes, ["fidelity", *args]).exit_code == 2


def test_an_empty_witness_says_so(tmp_path: Path) -> None:
    with pytest.raises(WiretapeError, match="witnessed nothing"):
        judged(tmp_path, write(tmp_path / "w.tape", {}), 1.0)


@given(st.lists(st.integers(0, 99)), st.lists(st.integers(0, 99)))
def test_each_due_time_is_given_once_and_as_many_as_can_be(a: list[int], b: list[int]) -> None:
    to = matched(np.sort(np.array(a, np.int64)), np.sort(np.array(b, np.int64)))
    given_out = to[to >= 0]
    assert to.size == len(b)
    assert given_out.size == min(len(a), len(b))
    assert np.all(np.diff(given_out) > 0)
    assert np.all(given_out < max(len(a), 1))
