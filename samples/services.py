"""Starts copies of the shop and lets traffic at them, as processes of their own."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """A command of the demo did not do what it should; the text is what it said."""


@contextlib.contextmanager
def shop(*switches: str) -> Iterator[str]:
    """A copy of the shop with those switches; gives its address."""
    command = [sys.executable, "-m", "samples.shop", "--port", "0", *switches]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise Failed(f"the shop did not start with {' '.join(switches)}")
        yield line[line.index("http://") :].strip()
    finally:
        end(process)


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM, patience: float = 20) -> None:
    """End a process that was started here."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def traffic(url: str, *switches: str) -> dict[str, Any]:
    """Let traffic at a shop; gives what was done."""
    command = [sys.executable, "-m", "samples.traffic", "--url", url, "--json", *switches]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def wiretape(*arguments: str | Path, allowed: Sequence[int] = (0,)) -> str:
    """Run a `wiretape` command; gives what it printed."""
    command = [sys.executable, "-m", "wiretape", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise Failed(f"{' '.join(command[2:])}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def recording(url: str, tape: Path) -> Iterator[subprocess.Popen[str]]:
    """Record loopback live while the block runs. Ends early where there is no privilege."""
    port = url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "wiretape", "capture", "live", "-i", "lo", "--port", port]
    process = subprocess.Popen(
        [*command, "-o", str(tape)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        end(process, signal.SIGINT)
