"""Spares carry what is due while its connection waits, and never more than the machine can bear."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capture.exchange import Lateness, Outcome, Reuse
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.taping import Request, tape_of
from tests.replay.test_targets import server_context

ROOT = Path(__file__).resolve().parents[3]
LITTLE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (140, 140))
sys.argv = ["wiretape", *sys.argv[1:]]
from wiretape import main
main()
"""


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 5_000_000_000, "no_calibrate": True, "host": "keep", **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def stalling(seconds: float) -> Callable[[socket.socket, list[bytes]], None]:
    """A target that answers nothing for so long after its first connection, then everything."""
    began: list[float] = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        began.append(time.monotonic())
        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(max(0.0, began[0] + seconds - time.monotonic()))
            sock.sendall(ANSWER * data.count(b"\r\n\r\n"))

    return behave


def with_few_descriptors(
    tape: Path, url: str, run: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    where = ["--target", url, "-o", str(run), "--no-calibrate", "--host", "keep"]
    return subprocess.run(
        [sys.executable, "-c", LITTLE, "replay", str(tape), *where, *more],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def columns(path: Path, *names: str) -> list[np.ndarray]:
    with Tape.open(path) as run:
        blocks = list(run.columns(names))
    return [np.concatenate([np.asarray(block[name]) for block in blocks]) for name in names]


def test_a_stall_is_met_with_spares_that_are_opened_once_and_used_again(tmp_path: Path) -> None:
    requests = [Request(1, n, get(f"/{n}")) for n in range(150)]
    requests += [Request(1, 600 + 20 * n, get(f"/later/{n}")) for n in range(10)]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder(stalling(0.3)) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
        assert len(target.received) <= 151
    assert summary.outcomes == {"ANSWERED": 160}
    due, sent, reuse = columns(tmp_path / "run.tape", "due_ns", "request_first_ns", "reuse")
    assert summary.spare >= 140
    assert (reuse[np.argsort(due)][-10:] == Reuse.REUSED).all()
    assert np.median(sent - due) < 100_000_000  # they did not wait for the stall to end


def test_what_finds_no_descriptor_for_a_spare_waits_and_is_sent(tmp_path: Path) -> None:
    tape = tape_of(
        tmp_path / "x.tape", [Request(1 + n % 3, n / 5, get(f"/{n}")) for n in range(1000)]
    )
    with recorder(stalling(0.5)) as target:
        done = with_few_descriptors(tape, target.url, tmp_path / "run.tape")
        received = sum(piece.count(b"\r\n\r\n") for one in target.received for piece in one)
        assert len(target.received) < 100
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert received == 1000
    outcome, cause = columns(tmp_path / "run.tape", "outcome", "late_cause")
    assert (outcome == 1).all()
    assert set(cause.tolist()) & {Lateness.CONNECT, Lateness.CONNECTION}


def test_connections_that_rest_make_room_where_there_is_no_descriptor_and_that_is_told(
    tmp_path: Path,
) -> None:
    requests = [Request(n, 6 * n, get(f"/{n}")) for n in range(120)]
    tape = tape_of(tmp_path / "x.tape", requests, {n: 6.0 * n for n in range(120)})
    with recorder() as target:
        done = with_few_descriptors(tape, target.url, tmp_path / "run.tape")
        assert len(target.received) == 120
    assert done.returncode == 0, done.stderr
    assert "connections that rested were closed early" in done.stdout
    (outcome,) = columns(tmp_path / "run.tape", "outcome")
    assert (outcome == Outcome.ANSWERED).all()


@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_request_waits_for_a_descriptor_and_is_late_rather_than_lost(
    tmp_path: Path, speed: str
) -> None:
    def slowly(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(0.4)
            sock.sendall(ANSWER)

    requests = [Request(n % 200, n / 4, get(f"/{n}")) for n in range(400)]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder(slowly) as target:
        done = with_few_descriptors(tape, target.url, tmp_path / "run.tape", "--speed", speed)
    assert done.returncode == 0, done.stderr
    (outcome,) = columns(tmp_path / "run.tape", "outcome")
    assert (outcome == Outcome.ANSWERED).all(), np.unique(outcome, return_counts=True)
    for pieces in target.received:
        first = [int(piece.split(b"/")[1].split(b" ")[0]) for piece in pieces]
        assert first == sorted(first)


def test_where_no_descriptor_comes_free_that_is_the_outcome(tmp_path: Path) -> None:
    def never(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)

    tape = tape_of(tmp_path / "x.tape", [Request(n, n / 4, get(f"/{n}")) for n in range(200)])
    with recorder(never) as target:
        limits = ["--connect-timeout", "300ms", "--timeout", "1s"]
        done = with_few_descriptors(tape, target.url, tmp_path / "run.tape", *limits)
    assert done.returncode == 1
    assert "raise `ulimit -n`" in done.stderr
    (outcome,) = columns(tmp_path / "run.tape", "outcome")
    assert set(outcome.tolist()) == {Outcome.TIMED_OUT, Outcome.NO_RESOURCES}


def test_only_so_many_spares_are_opened_at_a_time(tmp_path: Path) -> None:
    """A target that accepts nothing is not buried under connections."""
    from replay.sending.spares import MOST_OPENING

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft > 2 * MOST_OPENING
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        stuffed = [socket.socket() for _ in range(4)]
        for sock in stuffed:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        tape = tape_of(tmp_path / "x.tape", [Request(1, n / 5, get()) for n in range(1000)])
        limited = options(url, connect_timeout=300_000_000, timeout=300_000_000)
        summary = replay(tape, limited, tmp_path / "run.tape")
        for sock in stuffed:
            sock.close()
    assert set(summary.outcomes) == {"CONNECT_TIMED_OUT"}
    assert summary.planned == 1000


def test_a_request_does_not_overtake_the_one_whose_connection_is_still_opening(
    tmp_path: Path,
) -> None:
    """A spare has nothing to do while the lane of the third connection shakes hands for long."""
    context, _ = server_context(tmp_path)
    accepted: list[socket.socket] = []

    def behave(plain: socket.socket, pieces: list[bytes]) -> None:
        accepted.append(plain)
        time.sleep(0.15 if len(accepted) == 3 else 0)
        with context.wrap_socket(plain, server_side=True) as sock:
            while data := sock.recv(65536):
                pieces.append(data)
                time.sleep(0.02)
                sock.sendall(ANSWER)

    requests = [Request(1, 0, get("/busy")), Request(1, 5, get("/spare"))]
    requests += [Request(2, 300 + n, get(f"/{n}")) for n in range(3)]
    tape = tape_of(tmp_path / "x.tape", requests, opened_ms={2: 300})
    with recorder(behave) as target:
        secure = options(target.url.replace("http:", "https:"), insecure=True)
        summary = replay(tape, secure, tmp_path / "run.tape")
    assert summary.answered == 5
    source, sent, cause = columns(tmp_path / "run.tape", "source", "request_first_ns", "late_cause")
    sent, cause = sent[np.argsort(source)], cause[np.argsort(source)]
    assert sent[2] < sent[3]
    assert sent[2] < sent[4]
    assert (cause[2:] == Lateness.TLS).all()
