"""How a replay ends: 4 where it was not as faithful as was required, 1 where nothing answered."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import replay.run
from capture.errors import ReplayError
from capture.tape import Tape
from replay.cli import replay as command
from replay.outcome import Tally
from tests.bench.common import free_port
from tests.replay.recorder import get, write_tape


def invoked(folder: Path, monkeypatch: pytest.MonkeyPatch, *args: str, s: float = 93.0) -> Any:
    (folder / "x.tape").touch()
    fidelity = {"s": s, "verdict": "VALID"}
    tally = Tally()
    tally.planned = tally.sent = 1
    summary = tally.summary(noise_floor={}, fidelity=fidelity, warnings=[])
    monkeypatch.setattr(replay.run, "replay", lambda *_, **__: summary)
    options = [str(folder / "x.tape"), "--target", "http://127.0.0.1:1", *args]
    return CliRunner().invoke(command, options, standalone_mode=False)


@pytest.mark.parametrize(("required", "code"), [("95", 4), ("93", 0), ("90", 0)])
def test_a_score_below_what_is_required_exits_4(
    required: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = invoked(tmp_path, monkeypatch, "--require-fidelity", required)
    assert found.return_value == code
    assert ("below the 95" in found.stderr) == (code == 4)


def test_nothing_is_required_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoked(tmp_path, monkeypatch, s=0.0).return_value == 0


@pytest.mark.parametrize("args", [("101",), ("abc",), ("95", "--speed", "max")])
def test_what_cannot_be_required_is_a_usage_error(
    args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = invoked(tmp_path, monkeypatch, "--require-fidelity", *args)
    assert getattr(found.exception, "exit_code", None) == 2


@pytest.mark.parametrize(("gate", "code"), [((), None), (("--fail-if", "errors > 1%"), 3)])
def test_a_replay_to_which_nothing_answers_keeps_its_run_and_does_not_succeed(
    gate: tuple[str, ...], code: int | None, tmp_path: Path
) -> None:
    tape, run = (
        write_tape(tmp_path / "x.tape", [(n, n, get("/")) for n in range(3)]),
        tmp_path / "r",
    )
    given = [str(tape), "--target", f"http://127.0.0.1:{free_port()}", "-o", str(run), *gate]
    done = CliRunner().invoke(command, [*given, "--no-calibrate"], standalone_mode=False)
    with Tape.open(run) as ran:
        assert ran.exchange_count == 3
    if code:
        assert done.return_value == code
        return
    assert isinstance(done.exception, ReplayError)
    assert str(done.exception).startswith(
        "None of 3 requests was answered (connections refused): check the target's URL"
    )
