"""Glances: their sums are the sums of the run, and they come while it goes on."""

from __future__ import annotations

from pathlib import Path

from capture.exchange import NEVER, Outcome
from replay.observe.glance import Glance
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import get, recorder, write_tape


def test_what_glances_tell_sums_up_to_the_run(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "t.tape", [(n % 4, n * 5, get(f"/{n}")) for n in range(300)])
    seen: list[Glance] = []
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True, workers=2)
        summary = replay(tape, options, tmp_path / "run.tape", observers=[seen.append])
    parts = [part for glance in seen for part in glance.parts]
    assert sum(glance.due for glance in seen) == 300
    assert sum(glance.sent for glance in seen) == summary.sent == 300
    assert sum((part.outcome == Outcome.ANSWERED).sum() for part in parts) == summary.answered
    assert sum((part.service_ns != NEVER).sum() for part in parts) == 300
    assert seen[-1].in_flight == 0
    assert len({glance.elapsed_ns // 1_000_000_000 for glance in seen}) >= 2, "only told at the end"


def test_a_run_that_nobody_looks_at_tells_no_glance(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "t.tape", [(0, 0, get())])
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), no_calibrate=True)
        assert not options.watched
        assert replay(tape, options, tmp_path / "run.tape").answered == 1


def test_what_failed_is_told_with_its_outcome(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "t.tape", [(n, n, get()) for n in range(20)])
    seen: list[Glance] = []
    with recorder() as target:
        url = target.url
    options = ReplayOptions(target=(url,), no_calibrate=True)
    replay(tape, options, tmp_path / "run.tape", observers=[seen.append])
    outcomes = [code for glance in seen for part in glance.parts for code in part.outcome.tolist()]
    assert outcomes == [Outcome.REFUSED] * 20
