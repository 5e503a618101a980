"""Bytes that changed between the plan and the sending are found, counted, and fail the run."""

from pathlib import Path

import numpy as np
import pytest

from capture.ledger import Ledger
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.options import ReplayOptions
from replay.run import replay
from replay.workers.feeder import Feeder
from shapes.fidelity import fidelity_of
from shapes.score import INVALID
from tests.replay.recorder import get, recorder, write_tape


def test_a_request_that_was_changed_in_memory_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tape(tmp_path / "x.tape", [(n, n * 20, get(f"/{n}")) for n in range(10)])
    hand_over = Feeder._hand_over

    def change_one(feeder: Feeder, made: object) -> None:
        with made.written.blob as blob:  # type: ignore[attr-defined]
            at = bytes(blob).index(b"/7 HTTP")
            blob[at + 1 : at + 2] = b"8"
        hand_over(feeder, made)  # type: ignore[arg-type]

    monkeypatch.setattr(Feeder, "_hand_over", change_one)
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        summary = replay(path, options, tmp_path / "run.tape")
    assert summary.fidelity is not None
    assert summary.fidelity["altered"] == 1
    assert summary.fidelity["verdict"] == INVALID
    with Tape.open(tmp_path / "run.tape") as run:
        assert fidelity_of(run).altered == 1
        digests = np.concatenate([b["request_digest"] for b in run.columns(("request_digest",))])
    assert np.unique(digests).size == 9  # as sent: two were the same


def test_a_run_whose_bytes_are_those_of_the_plan_has_none(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "x.tape", [(1, 0, get("/a")), (1, 20, get("/b"))])
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        summary = replay(path, options, tmp_path / "run.tape")
    assert summary.fidelity is not None
    assert summary.fidelity["altered"] == 0


def test_the_ledger_of_a_run_tells_what_was_altered(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.book("payloads", "altered", 3)
    writer = TapeWriter(tmp_path / "run.tape", TapeHeader(kind="run"))
    writer.append_rows({"due_ns": [1, 2, 3, 4], "request_first_ns": [1, 2, 3, 4]})
    writer.close(ledger)
    with Tape.open(tmp_path / "run.tape") as run:
        found = fidelity_of(run)
    assert found.altered == 3
    assert found.verdict == INVALID
