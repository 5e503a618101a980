"""The demo tells its whole story, live and from the sample, and leaves nothing running."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.tape import Tape

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
MARK = "DEMO_TEST_MARK"


def may_capture() -> bool:
    if not hasattr(socket, "AF_PACKET"):
        return False
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0):
            return True
    except PermissionError:
        return False


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark in the environment of everything that a demo starts; none of it may stay."""
    mark = uuid.uuid4().hex
    yield mark
    until = time.monotonic() + 20
    while running(mark) and time.monotonic() < until:
        time.sleep(0.05)  # a sender notices within a poll that its run has gone
    assert running(mark) == []


def running(mark: str) -> list[str]:
    """The processes that carry the mark."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:
            continue  # it has ended, or is not ours
    return found


def start(folder: Path, mark: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "samples.demo", "--folder", str(folder), *arguments],
        cwd=ROOT, env=os.environ | {MARK: mark}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def told(folder: Path, mark: str, *arguments: str) -> str:
    with start(folder, mark, *arguments) as demo:
        said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert "\x1b" not in said  # plain where nobody looks at a terminal
    assert all(len(line) <= 80 for line in said.splitlines() if str(folder) not in line)
    return said


def tells_its_story(said: str, folder: Path, speed: int) -> None:
    """Every part is there, what cannot be missed is named, and what is left is where it is told."""
    flat = re.sub(r"[\s│]+", " ", said)
    assert "one polite user at a time: PASSED" in flat
    assert re.search(r"─ (FAIL|INVALID) ─", said)
    assert "GET /search went from" in flat
    run = folder / f"staging-{speed}x.tape"
    for left in (folder / "production.tape", run, run.with_suffix(".html")):
        assert left.stat().st_size > 1000
        assert str(left) in said
    for command in ("wiretape capture pcap", "wiretape replay", "wiretape report"):
        assert command in said


def test_without_privilege_the_demo_records_the_sample_and_says_so(
    tmp_path: Path, mark: str
) -> None:
    said = told(tmp_path, mark, "--sample", "--speed", "4")
    assert "Recording the sample capture instead" in said
    tells_its_story(said, tmp_path, 4)
    flat = re.sub(r"[\s│]+", " ", said)
    # A staging that is full for long refuses payments before it takes them twice.
    assert "POST /payment charged twice" in flat or "× 503" in flat
    assert "pool of about" in flat or "─ INVALID ─" in said
    with Tape.open(tmp_path / "production.tape") as tape:
        assert tape.exchange_count > 500
        assert not tape.ledger.imbalances()


@pytest.mark.skipif(not may_capture(), reason="live capture needs CAP_NET_RAW")
def test_with_privilege_the_demo_records_live_and_loses_nothing(tmp_path: Path, mark: str) -> None:
    said = told(tmp_path, mark, "--seconds", "5", "--speed", "2")
    assert "Recorded live, from the loopback interface." in said
    # So few seconds hold few double clicks and little that would fill a pool on a quick machine.
    tells_its_story(said, tmp_path, 2)
    made = re.search(r"sessions, ([\d,]+) requests", said)
    assert made is not None
    with Tape.open(tmp_path / "production.tape") as tape:
        # A handshake that is no HTTP is in the ledger, not on the tape.
        assert abs(tape.exchange_count - int(made[1].replace(",", ""))) <= 2
        assert not tape.ledger.imbalances()


def test_ctrl_c_ends_everything_that_the_demo_started(tmp_path: Path, mark: str) -> None:
    with start(tmp_path, mark, "--sample", "--speed", "1") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Replay" in line:
                break
        demo.send_signal(signal.SIGINT)
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Interrupted" in said
    assert list(tmp_path.iterdir()) == []
