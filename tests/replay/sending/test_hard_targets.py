"""Targets that stall, restart, dribble or never end: the run ends, and tells of it."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from capture.errors import ReplayError
from capture.exchange import Lateness
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, endless, free_port, get, recorder
from tests.replay.taping import Request, tape_of

SPEEDS = pytest.mark.parametrize("speed", [1.0, math.inf])
SERVER = """
import socket, sys, threading
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(256)
print("ready", flush=True)
def serve(sock):
    try:
        while data := sock.recv(65536):
            sock.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 3_000_000_000, "no_calibrate": True, "host": "keep", **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


@contextmanager
def server(port: int) -> Iterator[subprocess.Popen[str]]:
    """A target in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def long_tape(path: Path, count: int = 200) -> Path:
    return tape_of(path, [Request(n % 4, n * 5, get(f"/{n}")) for n in range(count)])


@SPEEDS
def test_a_target_that_is_stopped_for_a_while_answers_late_and_nothing_is_lost(
    tmp_path: Path, speed: float
) -> None:
    port = free_port()
    tape = long_tape(tmp_path / "x.tape", 200 if speed == 1.0 else 20_000)
    with server(port) as process:

        def stop() -> None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.4)
            process.send_signal(signal.SIGCONT)

        timer = threading.Timer(0.3, stop)
        timer.start()
        chosen = options(f"http://127.0.0.1:{port}", speed=speed)
        summary = replay(tape, chosen, tmp_path / "run.tape")
        timer.join()
    assert summary.outcomes == {"ANSWERED": summary.planned}


def test_a_target_that_is_restarted_fails_while_it_is_away_and_answers_after(
    tmp_path: Path,
) -> None:
    port = free_port()
    tape = long_tape(tmp_path / "x.tape", 300)
    gone = threading.Event()

    def restart() -> None:
        with server(port) as first:
            started.set()
            time.sleep(0.5)
            first.kill()
        time.sleep(0.2)
        with server(port):
            gone.wait(10)

    started = threading.Event()
    thread = threading.Thread(target=restart)
    thread.start()
    assert started.wait(5)
    try:
        summary = replay(tape, options(f"http://127.0.0.1:{port}"), tmp_path / "run.tape")
    finally:
        gone.set()
        thread.join()
    assert set(summary.outcomes) <= {"ANSWERED", "REFUSED", "RESET", "CLOSED"}
    assert summary.outcomes["REFUSED"] > 0
    with Tape.open(tmp_path / "run.tape") as run:
        blocks = list(run.columns(["outcome", "due_ns"]))
    due = np.concatenate([np.asarray(block["due_ns"]) for block in blocks])
    outcome = np.concatenate([np.asarray(block["outcome"]) for block in blocks])[np.argsort(due)]
    assert outcome[0] == outcome[-1] == 1
    assert len(outcome) == 300


@SPEEDS
def test_a_dribbled_answer_is_one_answer(tmp_path: Path, speed: float) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            for byte in ANSWER:
                sock.send(bytes([byte]))
                time.sleep(0.001)

    tape = tape_of(tmp_path / "x.tape", [Request(n % 2, n, get(f"/{n}")) for n in range(8)])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url, speed=speed), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 8}


@SPEEDS
@pytest.mark.parametrize(
    ("start", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", {"GARBAGE"}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", {"GARBAGE"}),
        (b"HTTP/1.1 200 OK\r\n\r\n", {"TIMED_OUT"}),
    ],
)
def test_an_answer_without_an_end_is_given_up(
    tmp_path: Path, speed: float, start: bytes, outcome: set[str]
) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder(endless(start)) as target:
        chosen = options(target.url, speed=speed, timeout=400_000_000)
        began = time.monotonic()
        summary = replay(tape, chosen, tmp_path / "run.tape")
    assert time.monotonic() - began < 20
    assert set(summary.outcomes) == outcome


def test_what_waits_behind_bytes_that_the_target_does_not_take_is_booked_to_its_window(
    tmp_path: Path,
) -> None:
    from capture.exchange import Flag

    size = 20_000_000
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        time.sleep(0.3)
        pieces.append(head)
        left = len(head) + size + len(get("/b"))
        while left:
            left -= len(sock.recv(1 << 20))
        sock.sendall(ANSWER * 2)
        sock.recv(1)

    requests = [
        Request(1, 0, head, Flag.CUT_BY_CAPTURE, length=len(head) + size),
        Request(1, 50, get("/b"), Flag.PIPELINED),
    ]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 2}
    with Tape.open(tmp_path / "run.tape") as run:
        (block,) = run.columns(["late_cause", "due_ns", "request_first_ns"])
    assert np.asarray(block["late_cause"])[1] == Lateness.WINDOW
    late = np.asarray(block["request_first_ns"]) - np.asarray(block["due_ns"])
    assert late[1] > 100_000_000


@SPEEDS
def test_what_can_be_read_of_a_damaged_tape_is_sent(tmp_path: Path, speed: float) -> None:
    from capture.exchange import Exchange
    from capture.sanitize.sanitized import Sanitized
    from capture.tape import TapeHeader, TapeWriter
    from tests.replay.taping import fill

    tape = tmp_path / "x.tape"
    with TapeWriter(tape, TapeHeader()) as writer:
        for n in range(30):
            exchange = Exchange(n, 0)
            fill(exchange, Request(n, n, get(f"/{n}/{os.urandom(200).hex()}")))
            exchange.opened_ns = exchange.request_first_ns
            writer.append(Sanitized(exchange, 1))
            if n % 10 == 9:
                writer.seal()
        middle = writer.bytes_written // 2
    data = bytearray(tape.read_bytes())
    data[middle : middle + 40] = bytes(40)
    tape.write_bytes(data)
    with recorder() as target:
        summary = replay(tape, options(target.url, speed=speed), tmp_path / "run.tape")
    assert summary.answered == 20
    assert any("damaged" in warning for warning in summary.warnings) or summary.planned == 30


def test_a_tape_of_which_nothing_can_be_read_is_called_damaged_not_empty(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", [Request(n, n, get(f"/{n}")) for n in range(30)])
    data = bytearray(tape.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    tape.write_bytes(data)
    with pytest.raises(ReplayError, match="is damaged"):
        replay(tape, options("http://127.0.0.1:9"), tmp_path / "run.tape")
