"""What is said while a replay runs and at its end: on a terminal, in a log, and as JSON."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from capture.exchange import Outcome
from capture.tape import Tape
from replay.cli import replay as command
from replay.observe.glance import Glance
from replay.options import ReplayOptions
from replay.outcome import Tally
from replay.progress import Pace, Progress
from replay.run import replay
from replay.telling import Teller, as_text, line_of
from tests.replay.recorder import ANSWER, get, recorder, write_tape
from tests.replay.test_abort import part

S = 1_000_000_000


def test_progress_is_the_rate_against_the_plan_of_the_last_seconds() -> None:
    pace = Pace(planned=1000)
    pace.span_ns = 10 * S
    told = []
    for second in range(1, 5):
        # The plan asks for 10 a second, then for 40; one worker of two is a little behind.
        many = 10 if second < 3 else 40
        for worker in (0, 1):
            sent = part([200] * (many - worker), late_ms=1)
            pace.glance(Glance(worker, second * S, due=many, in_flight=worker, parts=[sent]))
        told.append(pace.progress(Tally()))
    last = told[-1]
    assert (last.planned_rate, last.rate) == (80.0, 79.0)
    assert (last.sent, last.answered, last.in_flight, last.errors) == (196, 196, 1, 0)
    assert last.eta_s == 6.0
    assert last.lateness_p99_ns == pytest.approx(1e6, rel=1e-3)


def test_errors_are_told_as_they_come_not_when_a_batch_is_booked() -> None:
    pace = Pace(planned=10)
    bad = part([503, 200, 0], outcomes=[int(Outcome.ANSWERED)] * 2 + [int(Outcome.REFUSED)])
    pace.glance(Glance(0, S, due=3, parts=[bad]))
    assert pace.progress(Tally()).errors == 2


def test_at_full_speed_the_end_is_judged_by_the_rate() -> None:
    pace = Pace(planned=1000)
    pace.count(0, 200, 190, 10)
    pace.count(1, 300, 290, 10)
    first = pace.progress(Tally())
    assert (first.sent, first.in_flight, first.planned_rate) == (500, 20, None)
    assert "planned" not in line_of(first)


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(-3.0, 0, 0, 0, 9, 0, 0), "begins in 3 s"),
        (
            Progress(2.0, 1500, 1490, 10, 9000, 3, 250_000, True, 700.4, 750.0, 8.0),
            "   2.0 s  1,500 of about 9,000 sent, 700/s of 750/s planned, 10 in flight, "
            "lateness p99 0.250 ms, 3 errors, about 8 s left",
        ),
        (
            Progress(9.0, 9, 5, 4, 9, 0, 0, False, 0.0, 0.0, 0.0),
            "   9.0 s  9 of 9 sent, 0/s of 0/s planned, 4 in flight, lateness p99 0.000 ms, "
            "0 errors, waiting for answers",
        ),
    ],
)
def test_a_line_says_where_the_run_is(progress: Progress, line: str) -> None:
    assert line_of(progress) == line


class Terminal:
    """A stderr that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_on_a_terminal_one_line_changes_and_is_gone_at_the_end(monkeypatch: Any) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    teller = Teller(as_json=False)
    for second in (1.0, 2.0):
        teller(Progress(second, 1, 1, 0, 9, 0, 0))
    teller.end()
    assert "\n" not in screen.text
    assert screen.text.count("\r") == 3


def test_elsewhere_lines_are_plain_and_few(monkeypatch: Any, capsys: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    teller = Teller(as_json=False)
    for _ in range(40):  # 20 s, told every half second
        now[0] += 0.5
        teller(Progress(now[0] - 100, 1, 1, 0, 9, 0, 0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_json_events_are_a_line_each_and_the_summary_is_the_last_word(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, n * 20, get("/")) for n in range(100)])
    with recorder() as target:
        args = [str(tape), "--target", target.url, "--json", "--loop", "2", "--no-calibrate"]
        said = CliRunner().invoke(command, [*args, "-o", str(tmp_path / "run.tape")])
    assert said.exit_code == 0, said.output
    events = [json.loads(line)["progress"] for line in said.stderr.splitlines()]
    assert len(events) >= 2
    assert {event["planned"] for event in events} == {200}
    assert all(event["planned_rate"] is not None for event in events)
    assert json.loads(said.stdout)["summary"]["sent"] == 200


def test_what_is_planned_counts_laps_clones_targets_and_what_is_chosen(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(n, n * 30, get(f"/{n % 2}")) for n in range(20)])
    with recorder() as one, recorder() as two:
        seen: list[Progress] = []
        options = ReplayOptions(
            target=(one.url, two.url), loop=3, only=("GET /1",), no_calibrate=True
        )  # fmt: skip
        summary = replay(tape, options, tmp_path / "run.tape", seen.append)
    assert {progress.planned for progress in seen} == {60} == {summary.planned}


def test_the_causes_of_lateness_are_told_apart(tmp_path: Path) -> None:
    def slow(sock: socket.socket, pieces: list[bytes]) -> None:
        import time

        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(0.05)
            sock.sendall(ANSWER)

    tape = write_tape(tmp_path / "x.tape", [(1, n, get("/")) for n in range(4)])
    with recorder(slow) as target:
        options = ReplayOptions(target=(target.url,), order="strict")
        summary = replay(tape, options, tmp_path / "run.tape")
    assert summary.late_by_cause["CONNECTION"]["requests"] == 3
    assert summary.late_by_cause["CONNECTION"]["max"] > 100_000_000
    told = as_text(summary)
    assert "late by a busy connection: 3 requests" in told
    assert "noise floor" in told


def test_rewrites_are_counted_in_the_run(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(n, n, get(f"/v1/{n}")) for n in range(6)])
    with recorder() as target:
        options = ReplayOptions(
            target=(target.url,), map_path=("^/v1/(?=[0-3])=/v2/",), set_header=("X-A: b",),
            no_calibrate=True,
        )  # fmt: skip
        summary = replay(tape, options, tmp_path / "run.tape")
    assert summary.rewritten == {"map-path": 4, "host": 6, "set-header": 6}
    with Tape.open(tmp_path / "run.tape") as run:
        assert run.ledger.fates("rewrites") == summary.rewritten


def test_of_two_targets_each_has_its_own_line(tmp_path: Path) -> None:
    def broken(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            sock.sendall(ANSWER.replace(b"200 OK", b"500 No"))

    tape = write_tape(tmp_path / "x.tape", [(n, n * 5, get("/")) for n in range(6)])
    with recorder() as fine, recorder(broken) as wrong:
        options = ReplayOptions(target=(f"old={fine.url}", f"new={wrong.url}"), no_calibrate=True)
        summary = replay(tape, options, tmp_path / "run.tape")
    told = [(row["target"], row["requests"], row["failed"]) for row in summary.targets]
    assert told == [("old", 6, 0), ("new", 6, 6)]
    assert "\nold " in as_text(summary)
