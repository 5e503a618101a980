"""A recorder of live packets in a network namespace of its own, and what puts packets before it.

The namespace has a pair of interfaces that are joined: frames written to one arrive at the other,
where the recorder listens. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from capture.ledger import Ledger

ROOT = Path(__file__).parents[3]
HERE, THERE = "wt0", "wt1"
_MTU = 9000


class Namespace:
    """A namespace with the interfaces HERE and THERE."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *words: str) -> None:
        """Run `ip` in it."""
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)

    def inside(self, *command: str) -> list[str]:
        """The command, to be run in it."""
        return ["ip", "netns", "exec", self.name, sys.executable, *command]

    def join(self) -> None:
        """Make the pair of interfaces."""
        pair = ["link", "add", HERE, "mtu", str(_MTU), "type", "veth", "peer", "name", THERE]
        self.ip(*pair, "mtu", str(_MTU))
        self.ip("link", "set", HERE, "up")
        self.ip("link", "set", THERE, "up")

    def send(self, *options: str) -> None:
        """Write a generated capture to THERE, packet by packet: `options` are those of `inject`."""
        command = self.inside("-m", "tests.capture.live.inject", THERE, *options)
        subprocess.run(command, cwd=ROOT, check=True, timeout=120)


class Agent:
    """A running `capture live`."""

    def __init__(self, space: Namespace, path: Path, *options: str) -> None:
        command = space.inside("-m", "wiretape", "capture", "live", "-i", HERE, "--json",
                               "--ring", "64MB", "-o", str(path), *options)  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.told = ""
        self.hears("Ctrl-C ends it")

    def hears(self, words: str) -> None:
        """Wait until it has said these words."""
        assert self.process.stderr is not None
        while words not in self.told:
            line = self.process.stderr.readline()
            assert line, f"the recorder ended: {self.told}"
            self.told += line

    def end(self) -> Ledger:
        """End it; its ledger."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        self.told += err
        assert self.process.returncode == 0, err
        return Ledger.from_dict(json.loads(out)["ledger"])

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


Start = Callable[..., Agent]
"""Starts a recorder with these options."""


@contextmanager
def namespace() -> Iterator[Namespace | None]:
    """A namespace for the time of a test; None where none can be made."""
    name = f"wiretape-{os.getpid()}"
    if shutil.which("ip") is None or os.geteuid():
        yield None
        return
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        yield None
        return
    space = Namespace(name)
    try:
        space.join()
        yield space
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)
