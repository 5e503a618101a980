"""A replay that is interrupted, loses a worker or its disk still ends, and tells the truth."""

from __future__ import annotations

import math
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from capture.errors import WiretapeError
from capture.exchange import NEVER, Outcome
from capture.tape import Tape
from replay.cli import replay as command
from replay.collector import Collector
from replay.options import ReplayOptions
from replay.outcome import Summary
from replay.run import replay
from replay.workers import crew
from replay.workers.worker import worker_main
from tests.replay.recorder import ANSWER, endless, get, recorder, waited
from tests.replay.taping import Request, tape_of

ROOT = Path(__file__).resolve().parents[3]


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 500_000_000, "no_calibrate": True, **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def long_tape(path: Path, seconds: int = 60) -> Path:
    return tape_of(path, [Request(n % 4, n * 10, get(f"/{n}")) for n in range(seconds * 100)])


def started(tape: Path, run: Path, url: str, *more: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "wiretape", "replay", str(tape), "--target", url, "-o"]
    return subprocess.Popen(
        [*command, str(run), "--no-calibrate", *more],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def rows_of(run: Path, name: str) -> np.ndarray:
    with Tape.open(run) as tape:
        assert tape.whole
        return np.concatenate([np.asarray(block[name]) for block in tape.columns([name])])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_to_end_leaves_a_valid_run_of_what_was_due_until_then(
    tmp_path: Path, number: signal.Signals
) -> None:
    tape = long_tape(tmp_path / "x.tape")
    with recorder() as target:
        process = started(tape, tmp_path / "run.tape", target.url)
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        time.sleep(0.3)
        process.send_signal(number)
        said, error = process.communicate(timeout=20)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    assert "Stopped before its end" in said
    outcomes = rows_of(tmp_path / "run.tape", "outcome")
    # A busy machine may leave unsent what was due at the very moment.
    assert set(outcomes.tolist()) <= {Outcome.ANSWERED, Outcome.UNSENT}
    assert np.count_nonzero(outcomes == Outcome.ANSWERED) > len(outcomes) / 2
    assert len(outcomes) < 6000


def test_a_second_ctrl_c_ends_at_once_with_a_valid_run(tmp_path: Path) -> None:
    def never(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)

    tape = long_tape(tmp_path / "x.tape")
    with recorder(never) as target:
        process = started(tape, tmp_path / "run.tape", target.url)
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0
    assert Outcome.ABANDONED in rows_of(tmp_path / "run.tape", "outcome")


def test_a_run_is_written_to_its_end_however_often_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Collector.end

    def impatient(collector: Collector, *args: Any) -> Summary:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        return end(collector, *args)

    monkeypatch.setattr(Collector, "end", impatient)
    tape = tape_of(tmp_path / "x.tape", [Request(1, n, get(f"/{n}")) for n in range(5)])
    with recorder() as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert (summary.answered, summary.interrupted) == (5, True)
    assert len(rows_of(tmp_path / "run.tape", "outcome")) == 5
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_who_interrupts_before_the_start_has_interrupted_and_no_worker_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_ready(*_: Any) -> None:
        signal.pause()

    monkeypatch.setattr(crew, "worker_main", never_ready)
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        replay(tape, options("http://127.0.0.1:9", workers=2), tmp_path / "run.tape")
    timer.join()


@pytest.mark.parametrize("from_request", [0, 3000])
def test_a_hook_that_never_returns_cannot_keep_a_replay_from_ending(
    tmp_path: Path, from_request: int
) -> None:
    stuck = "import itertools, time\nseen = itertools.count()\ndef rewrite(request):\n"
    stuck += f"    if next(seen) >= {from_request}:\n        time.sleep(1000)\n    return request\n"
    (tmp_path / "stuck.py").write_text(stuck)
    tape = long_tape(tmp_path / "x.tape")
    with recorder() as target:
        hook = ("--hook", str(tmp_path / "stuck.py"))
        process = started(tape, tmp_path / "run.tape", target.url, *hook)
        if from_request:
            assert waited(lambda: sum(map(bool, target.received)) >= 4)
        else:
            assert waited(lambda: (tmp_path / "run.tape").exists() and len(children(process.pid)))
            time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        said, error = process.communicate(timeout=30)
    assert "Traceback" not in error
    if from_request:
        assert process.returncode == 0, error
        assert "did not end when asked" in said
        with Tape.open(tmp_path / "run.tape") as run:
            assert run.whole
    else:
        assert process.returncode == 130, error


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("which", ["feeder", "sender"])
def test_a_dead_workers_share_is_booked_as_unsent_and_the_rest_goes_on(
    tmp_path: Path, which: str
) -> None:
    tape = long_tape(tmp_path / "x.tape", 2)
    with recorder() as target:
        process = started(tape, tmp_path / "run.tape", target.url, "--workers", "2")
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        feeder = children(process.pid)[0]
        os.kill(feeder if which == "feeder" else children(feeder)[0], signal.SIGKILL)
        said, error = process.communicate(timeout=20)
    assert process.returncode == 0, error
    assert "died" in said
    outcomes = rows_of(tmp_path / "run.tape", "outcome")
    assert len(outcomes) == 200
    assert 50 <= np.count_nonzero(outcomes == Outcome.ANSWERED) < 200
    assert Outcome.UNSENT in outcomes
    sources = rows_of(tmp_path / "run.tape", "source")
    assert sorted(sources.tolist()) == list(range(200))


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_the_share_of_a_worker_that_died_before_the_start_has_the_times_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    def dies(pipe: Any, tape: str, options: ReplayOptions, shard: int, of: int) -> None:
        if not shard:
            os._exit(9)
        time.sleep(0.2)  # so that it dies first
        worker_main(pipe, tape, options, shard, of)

    monkeypatch.setattr(crew, "worker_main", dies)
    tape = tape_of(tmp_path / "x.tape", [Request(n, n, get(f"/{n}")) for n in range(40)])
    began = time.time_ns()
    with recorder() as target:
        chosen = options(target.url, workers=2, speed=speed)
        summary = replay(tape, chosen, tmp_path / "run.tape")
    assert set(summary.outcomes) == {"ANSWERED", "UNSENT"}
    assert any("died" in warning for warning in summary.warnings)
    due = rows_of(tmp_path / "run.tape", "due_ns")
    assert len(due) == 40
    assert began <= due.min() <= due.max() <= time.time_ns() + 40_000_000


def test_where_every_worker_died_before_the_start_nothing_could_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "worker_main", lambda *_: os._exit(9))
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with pytest.raises(WiretapeError, match="No worker lived to send the first request"):
        replay(tape, options("http://127.0.0.1:9", workers=2), tmp_path / "run.tape")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_where_a_worker_of_a_soak_dies_the_soak_ends_and_days_to_come_are_not_booked(
    tmp_path: Path,
) -> None:
    tape = long_tape(tmp_path / "x.tape", 2)
    with recorder() as target:
        soak = ("--workers", "2", "--soak", "72h")
        process = started(tape, tmp_path / "run.tape", target.url, *soak)
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        said, error = process.communicate(timeout=20)
    assert process.returncode == 0, error
    assert "died" in said
    assert "Stopped before its end" in said
    due = rows_of(tmp_path / "run.tape", "due_ns")
    assert 0 < due.max() - due.min() < 600 * 10**9


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_where_the_parent_is_killed_nobody_goes_on_sending(tmp_path: Path) -> None:
    tape = long_tape(tmp_path / "x.tape", 2)
    with recorder() as target:
        process = started(tape, tmp_path / "run.tape", target.url, "--workers", "2")
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        feeders = children(process.pid)
        family = [*feeders, *(pid for feeder in feeders for pid in children(feeder))]
        assert len(family) == 4
        process.kill()
        process.communicate()
        assert waited(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in family))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_disk_that_is_full_in_mid_run_ends_the_replay_with_one_sentence(tmp_path: Path) -> None:
    tape = long_tape(tmp_path / "x.tape", 30)
    with recorder() as target:
        process = started(tape, tmp_path / "run.tape", target.url)
        assert waited(lambda: sum(map(bool, target.received)) >= 4)
        # The parent alone writes files: what it writes may grow no further now.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2_000, 2_000))
        _, error = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in error
    assert "cannot be written" in error.strip().splitlines()[-1]
    with Tape.open(tmp_path / "run.tape") as run:
        assert not run.losses


def test_a_duration_ends_the_run_and_leaves_out_what_was_due_later(tmp_path: Path) -> None:
    tape = long_tape(tmp_path / "x.tape")
    with recorder() as target:
        summary = replay(tape, options(target.url, duration=300_000_000), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": summary.sent}
    assert 10 < summary.sent < 60


def test_a_target_that_never_answers_is_given_up(tmp_path: Path) -> None:
    def never(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)

    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder(never) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"TIMED_OUT": 1}
    assert (rows_of(tmp_path / "run.tape", "response_last_ns") == NEVER).all()


@pytest.mark.parametrize(
    ("piece", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, "GARBAGE"),  # endless headers
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "TIMED_OUT"),  # endless body
    ],
)
def test_an_endless_response_ends_in_bounded_time_and_memory(
    tmp_path: Path, piece: bytes, outcome: str
) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder(endless(piece)) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {outcome: 1}


def test_a_response_that_dribbles_is_read_to_its_end(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        for byte in ANSWER:
            sock.sendall(bytes([byte]))
            time.sleep(0.002)
        sock.recv(1)

    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 1}


def test_a_target_that_hangs_while_connecting_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            tape = tape_of(tmp_path / "x.tape", [Request(n, 0, get()) for n in range(3)])
            hasty = options(url, connect_timeout=200_000_000)
            summary = replay(tape, hasty, tmp_path / "run.tape")
    assert summary.outcomes["CONNECT_TIMED_OUT"] >= 1
    assert sum(summary.outcomes.values()) == 3


def said_by(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments))
    return result.exit_code, result.output if result.exit_code else str(result.exception)


def test_no_target_is_a_usage_error(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    assert said_by(str(tape))[0] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": ("ftp://x",)},
        {"target": ("http://no-such-name.invalid:1",)},
        {"set_header": ("no colon",)},
        {"map_path": ("(=x",)},
        {"resolve": ("nonsense",)},
        {"bearer_env": "NOT_SET_ANYWHERE"},
        {"hook": "no-such-file.py"},
        {"ca": "no-such-file.pem", "target": ("https://127.0.0.1:1",)},
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    settings = {"target": ("http://127.0.0.1:1",), "no_calibrate": True, **wrong}
    with pytest.raises(WiretapeError) as told:
        replay(tape, ReplayOptions(**settings), tmp_path / "run.tape")  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    assert threading.active_count() == 1


def test_the_recorded_server_is_refused_as_a_target(tmp_path: Path) -> None:
    from capture.exchange import Close

    with recorder() as target:
        server = target.url.removeprefix("http://")
        ends = {1: (10.0, Close.FIN_CLIENT)}
        requests = [Request(1, 0, get())]
        tape = tape_of(tmp_path / "x.tape", requests, closed_ms=ends, server=server)
        with pytest.raises(WiretapeError, match="--yes-this-is-production"):
            replay(tape, options(target.url), tmp_path / "run.tape")
        sure = options(target.url, yes_this_is_production=True)
        assert replay(tape, sure, tmp_path / "run.tape").answered == 1
