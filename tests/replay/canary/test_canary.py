"""A canary grows while all is well, stops sending to what goes bad, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.canary.cli import canary
from replay.canary.state import PROMOTED, RUNNING, UNFAITHFUL, State, read_state
from tests.replay.canary.services import service, users_tape
from tests.replay.recorder import free_port

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return users_tape(tmp_path_factory.mktemp("canary") / "x.tape", 8, 150)


def _canary(tape: Path, baseline: str, candidate: str, *more: str) -> Result:
    return CliRunner().invoke(
        canary,
        [str(tape), "--baseline", baseline, "--candidate", candidate, "--block", "100ms",
         "--no-calibrate", "--json", *more],
        standalone_mode=False,
    )  # fmt: skip


def test_a_candidate_that_goes_bad_is_left_within_the_step_and_no_share_is_left_to_it(
    tape: Path, tmp_path: Path
):
    state = tmp_path / "canary.json"
    with service() as old, service() as new:
        new.bad_after = 100
        done = _canary(
            tape, old.url, new.url, "--steps", "50,100", "--step-for", "8s", "--state", str(state)
        )
        asked = new.asked
    told = json.loads(done.stdout)
    assert done.return_value == 3, done.output
    assert (told["word"], told["share"], told["step"]) == ("rolled back", 0, 0)
    assert told["why"].startswith("failures: candidate ")
    assert asked < 500  # of some 600 that the step held for it
    assert told["log"][-1]["subjects"][0]["worth"] >= told["log"][-1]["subjects"][0]["alarm"]
    assert json.loads(state.read_text()) == told


def test_a_candidate_like_the_baseline_is_promoted_from_the_step_that_was_not_decided(
    tape: Path, tmp_path: Path
):
    path = tmp_path / "canary.json"
    with service() as old, service() as new:
        first = State(read_tape_id(tape), old.url, new.url, [50.0, 100.0], step=1, share=50.0)
        first.write(str(path))
        done = _canary(
            tape, old.url, new.url, "--steps", "50,100", "--step-for", "2s", "--state", str(path),
            "--least", "20ms", "--holds", "1",
        )  # fmt: skip
        again = _canary(
            tape, old.url, new.url, "--steps", "50,100", "--step-for", "2s", "--state", str(path),
            "--holds", "0",
        )  # fmt: skip
        counts = old.asked, new.asked
    told = json.loads(done.stdout)
    assert {each["step"] for each in told["log"]} == {2}
    assert counts[0] >= counts[1]  # what the candidate gets, the baseline got before
    assert counts[1] > 200 or told["word"] == "unfaithful"
    # A busy machine may keep no run to its time; it must not make the candidate look worse.
    assert (told["word"], done.return_value) in (("promoted", 0), ("unfaithful", 4)), done.output
    if told["word"] == "promoted":
        assert json.loads(again.stdout) == told  # what is over is not begun again


def test_a_baseline_that_does_not_run_is_named_and_the_candidate_gets_nothing(
    tape: Path, tmp_path: Path
):
    state, url = tmp_path / "canary.json", f"http://127.0.0.1:{free_port()}"
    with service() as new:
        done = _canary(
            tape, url, new.url, "--steps", "50", "--step-for", "2s", "--state", str(state)
        )
    assert str(done.exception).startswith(f"The baseline {url} failed all requests (")
    told = json.loads(state.read_text())
    assert (told["word"], told["share"]) == (RUNNING, 0)


def read_tape_id(path: Path) -> str:
    from capture.tape import Tape

    with Tape.open(path) as tape:
        return str(tape.header.tape_id)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--steps", "5,1"],
        ["--steps", "a,b"],
        ["--steps", "0,50"],
        ["--steps", "50,101"],
        ["--speed", "max"],
        ["--for", "3s"],
        ["--step-for", "1s"],
        ["--loop", "2"],
        ["--soak", "3s"],
    ],
)
def test_a_canary_that_makes_no_sense_is_a_usage_error(tape: Path, given: list[str]):
    urls = ["--baseline", "http://127.0.0.1:1", "--candidate", "http://127.0.0.1:2"]
    done = CliRunner().invoke(canary, [str(tape), *(urls if given else []), *given])
    assert done.exit_code == 2, done.output


def test_a_state_of_another_canary_is_refused_in_one_sentence(tmp_path: Path):
    path = str(tmp_path / "canary.json")
    fresh = State("x", "http://a", "http://b", [50.0, 100.0])
    assert read_state(path, fresh) is fresh
    State("x", "http://a", "http://c", [50.0, 100.0]).write(path)
    with pytest.raises(Exception, match="another candidate"):
        read_state(path, fresh)
    State("x", "http://a", "http://b", [50.0, 100.0], UNFAITHFUL, "late", 0.0, 1).write(path)
    left = read_state(path, fresh)
    assert (left.word, left.step) == (RUNNING, 1)
    Path(path).write_text('{"word": "running"}')
    with pytest.raises(Exception, match="no state of a canary"):
        read_state(path, fresh)


def test_a_state_that_is_read_is_the_one_that_was_written(tmp_path: Path):
    path = str(tmp_path / "canary.json")
    state = State("x", "http://a", "http://b", [50.0], PROMOTED, "well", 50.0, 1, 3, [{"a": 1}])
    state.write(path)
    assert read_state(path, State("x", "http://a", "http://b", [50.0])) == state
    assert state.over
    assert not State("x", "a", "b", [], RUNNING).over
