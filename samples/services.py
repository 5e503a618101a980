"""Starts copies of the shop, traffic, recorders and commands, as processes of their own.

A copy of the shop has one core, and whatever records or sends has the others: a target that eats
the generator's core would make the generator late, and a late generator proves nothing. For the
same reason all go before other programs, where that is allowed. Each process leads a group, so
that Ctrl-C reaches this program alone, which then ends them in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = ("--rows", "100000")
BUSY = ("--rate", "2.5", "--burst", "6", "--flash", "1.2", "--odd", "0.06")
"""The production of the demo, and the traffic it sees."""


class Failed(Exception):
    """A command of the demo did not do what it should; the text is what it said."""


@contextlib.contextmanager
def started(module: str, *arguments: str | Path, number: int = signal.SIGTERM,
            own_core: bool = False) -> Iterator[subprocess.Popen[str]]:  # fmt: skip
    """A module of this project as a process, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        _place(process.pid, own_core)
        yield process
    finally:
        _end(process, number)


def _place(pid: int, own_core: bool) -> None:
    """Give the process its cores, where the system lets us."""
    if not hasattr(os, "sched_setaffinity"):
        return
    first, *others = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(pid, {first} if own_core or not others else set(others))
    with contextlib.suppress(OSError):  # only root may
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def _end(process: subprocess.Popen[str], number: int, patience: float = 20) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def shop(*switches: str) -> Iterator[str]:
    """A copy of the shop with those switches; gives its address."""
    with shop_process(*switches) as (url, _):
        yield url


@contextlib.contextmanager
def shop_process(*switches: str) -> Iterator[tuple[str, int]]:
    """The same, with the number of its process beside its address."""
    with started("samples.shop", "--port", "0", *switches, own_core=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise Failed(f"the shop did not start with {' '.join(switches)}")
        yield line[line.index("http://") :].strip(), process.pid


def _run(module: str, *arguments: str | Path, allowed: Sequence[int] = (0,)) -> str:
    """Run a module of this project to its end; gives what it printed."""
    with started(module, *arguments, number=signal.SIGINT) as process:
        printed, complained = process.communicate()
    if process.returncode not in allowed:
        raise Failed(f"{module} {' '.join(map(str, arguments))}\n{printed}{complained}")
    return printed


def traffic(url: str, *switches: str) -> dict[str, Any]:
    """Let traffic at a shop; gives what was done."""
    told: dict[str, Any] = json.loads(_run("samples.traffic", "--url", url, "--json", *switches))
    return told


def wiretape(*arguments: str | Path, allowed: Sequence[int] = (0,)) -> str:
    """Run a `wiretape` command; gives what it printed."""
    return _run("wiretape", *arguments, allowed=allowed)


class Recording:
    """A live recording of one port of loopback. What it prints is read all the while."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: list[str] = []
        self._ready = threading.Event()
        assert process.stdout is not None
        assert process.stderr is not None
        self._printed: list[str] = []
        self._readers = [
            threading.Thread(target=self._listen, args=(process.stderr,)),
            threading.Thread(target=self._printed.extend, args=(process.stdout,)),
        ]
        for reader in self._readers:
            reader.start()

    def _listen(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._said.append(line.strip().removeprefix("wiretape: "))
            if "recording" in line:
                self._ready.set()
        self._ready.set()

    def began(self) -> bool:
        """Whether it records; waits until it says so, or ends and says why not."""
        self._ready.wait(30)
        return any("recording" in sentence for sentence in self._said)

    @property
    def sentence(self) -> str:
        """The last that it said of itself."""
        return self._said[-1] if self._said else "the recorder said nothing."

    def end(self) -> str:
        """End it as Ctrl-C does; gives its ledger, JSON as it printed it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        for reader in self._readers:
            reader.join()
        if code:
            raise Failed(self.sentence)
        return "".join(self._printed)


@contextlib.contextmanager
def recording(url: str, tape: Path) -> Iterator[Recording]:
    """Record loopback live while the block runs; says so if it may not."""
    port = url.rsplit(":", 1)[1]
    command = ("capture", "live", "-i", "lo", "--port", port, "-o", tape, "--json")
    with started("wiretape", *command, number=signal.SIGINT) as process:
        recorder = Recording(process)
        try:
            yield recorder
        finally:
            with contextlib.suppress(Failed):
                recorder.end()
