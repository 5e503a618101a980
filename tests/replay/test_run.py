"""A replay from a tape to a run, against real sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.tape import Tape
from replay.cli import replay as command
from replay.options import ReplayOptions
from replay.run import replay
from replay.verdict.fidelity import fidelity_of_rows
from replay.verdict.rows import read_rows
from tests.replay.recorder import get, recorder, write_tape


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"no_calibrate": True, "timeout": 2_000_000_000, **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def test_the_recorded_bytes_arrive_in_order_on_their_own_connections(tmp_path: Path) -> None:
    sent = [(1, 0, get("/a")), (2, 10, get("/b")), (1, 30, get("/c")), (2, 40, b"\x00broken\r\n")]
    tape = write_tape(tmp_path / "x.tape", sent)
    with recorder() as target:
        summary = replay(tape, options(target.url, host="keep"), tmp_path / "run.tape")
    assert summary.answered == summary.sent == 4
    wanted = [[get("/a"), get("/c")], [get("/b"), b"\x00broken\r\n"]]
    assert sorted(target.received) == sorted(wanted)


def test_the_host_becomes_the_targets_by_default(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    with recorder() as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    assert target.received == [[get("/", target.url.removeprefix("http://"))]]


def test_the_run_is_a_tape_with_due_sent_and_response_times(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, n, get(f"/{n}")) for n in range(0, 100, 10)])
    with recorder() as target:
        replay(tape, options(target.url, speed=2.0), tmp_path / "run.tape")
    names = ["due_ns", "request_first_ns", "response_last_ns", "status"]
    with Tape.open(tmp_path / "run.tape") as run:
        (block,) = run.columns(names)
    due, sent, answered, status = (np.asarray(block[name]) for name in names)
    assert np.diff(due).tolist() == [5_000_000] * 9
    assert (sent >= due).all()
    assert (answered > sent).all()
    assert set(status.tolist()) == {200}


def test_the_run_holds_what_its_own_summary_told(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, n, get(f"/{n}")) for n in range(0, 100, 10)])
    with recorder() as target:
        told = replay(tape, options(target.url, no_calibrate=False), tmp_path / "run.tape")
    with Tape.open(tmp_path / "run.tape") as run:
        assert run.summary["noise_floor"] == told.noise_floor != {}
        kept = run.summary["fidelity"]
    assert told.fidelity is not None
    assert {"s", "verdict", "lateness_p99_ns", "horizon_s"} <= kept.keys()
    assert (kept["s"], kept["sent"]) == (told.fidelity["s"], 10)
    fidelity = fidelity_of_rows(read_rows(tmp_path / "run.tape"))
    assert fidelity is not None
    assert fidelity.noise_p99_ns == told.noise_floor["p99"]


def test_a_busy_connection_makes_the_next_request_take_a_spare_one(tmp_path: Path) -> None:
    def slow(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            sock.settimeout(0.3)
            try:
                pieces.append(sock.recv(65536))
            except TimeoutError:
                pass
            sock.settimeout(5)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/a")), (1, 50, get("/b"))])
    with recorder(slow) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.spare == 1
    assert len(target.received) == 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"", "CLOSED"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "SHORT"),
        (b"\x16garbage\r\n\r\n", "GARBAGE"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "ANSWERED"),
    ],
)
def test_what_the_target_does_wrong_is_an_outcome(
    tmp_path: Path, answer: bytes, outcome: str
) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)

    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {outcome: 1}


def test_a_target_that_refuses_is_an_outcome(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/")), (2, 5, get("/"))])
    summary = replay(tape, options(f"http://127.0.0.1:{port}"), tmp_path / "run.tape")
    assert summary.outcomes == {"REFUSED": 2}


def test_at_speed_max_every_request_is_sent_once_on_its_connection(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(n % 4, n * 100, get(f"/{n}")) for n in range(400)])
    with recorder() as target:
        summary = replay(tape, options(target.url, speed=float("inf")), tmp_path / "run.tape")
    assert summary.answered == 400
    assert sorted(map(len, target.received)) == [100] * 4


def test_two_workers_share_the_connections_of_a_tape(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(n, n, get(f"/{n}")) for n in range(40)])
    with recorder() as target:
        summary = replay(tape, options(target.url, workers=2), tmp_path / "run.tape")
    assert summary.answered == 40


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "abc", "inf"])
def test_a_speed_that_is_no_positive_number_is_a_usage_error(tmp_path: Path, speed: str) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    said = CliRunner().invoke(command, [str(tape), "--target", "http://x", "--speed", speed])
    assert said.exit_code == 2
