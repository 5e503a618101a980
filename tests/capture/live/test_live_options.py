"""What the options of `capture live` say of the interfaces, the kernel and the rights, it does."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from capture.tape import Tape
from tests.capture.live.agent import HERE, ROOT, THERE, Agent, Namespace, Start


def attempt(space: Namespace, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A recording that ends by itself, if only because it cannot begin."""
    command = ["-m", "wiretape", "capture", "live", "--for", "1s", *options]
    command += ["-o", str(folder / "a.tape")]
    return subprocess.run(
        space.inside(*command), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def status(agent: Agent, field: str) -> str:
    lines = Path(f"/proc/{agent.process.pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(field + ":"))


def promiscuity(space: Namespace) -> int:
    told = subprocess.run(
        ["ip", "-n", space.name, "-d", "-j", "link", "show", HERE], capture_output=True, check=True
    )
    return int(json.loads(told.stdout)[0]["promiscuity"])


def test_several_interfaces_are_recorded_onto_one_tape(space: Namespace, start: Start) -> None:
    agent = start("-i", THERE)
    space.send("--connections", "10")
    time.sleep(0.5)
    ledger = agent.end()
    assert ledger.imbalances() == []
    # Each frame leaves the one and arrives at the other: the second copy is told, not kept.
    assert ledger.count("exchanges", "kept") == 3 * 10
    repeated = ledger.count("stream bytes", "repeated")
    assert repeated == ledger.count("stream bytes", "put in order") > 0


def test_a_filter_of_the_kernel_keeps_out_what_it_does_not_name(
    space: Namespace, start: Start
) -> None:
    agent = start("--filter", "tcp port 1")
    space.send("--connections", "10")
    time.sleep(0.5)
    assert agent.end().count("packets", "seen") == 0


@pytest.mark.parametrize("asked", [False, True])
def test_an_interface_is_promiscuous_only_where_that_is_asked_for(
    space: Namespace, start: Start, asked: bool
) -> None:
    agent = start(*["--promiscuous"] * asked)
    assert promiscuity(space) == asked
    agent.end()
    assert promiscuity(space) == 0


def test_no_capability_is_left_once_the_ring_is_open(start: Start) -> None:
    agent = start()
    assert int(status(agent, "CapEff"), 16) == int(status(agent, "CapPrm"), 16) == 0
    assert status(agent, "NoNewPrivs") == "1"


def nobody_reads_python() -> bool:
    """Whether another user can read the Python that runs here: not one in the home of root."""
    look = f"import os, sys; os.setuid({pwd.getpwnam('nobody').pw_uid}); "
    look += "sys.exit(not os.access(os.__file__, os.R_OK))"
    return subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_user_who_cannot_read_what_it_needs_is_refused_in_one_sentence(
    space: Namespace, tmp_path: Path
) -> None:
    if nobody_reads_python():
        pytest.skip("this Python is readable to all")
    done = attempt(space, tmp_path, "-i", HERE, "--user", "nobody")
    assert done.returncode == 1
    assert "nobody cannot read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_once_become_holds_no_right_of_root() -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    steps = """
import os
from capture.live.privileges import drop_privileges
os.access = lambda *_: True
print(drop_privileges("nobody"), os.getresuid(), os.getgroups())
print([line for line in open("/proc/self/status") if line.startswith("CapEff")])
"""
    done = subprocess.run(
        [sys.executable, "-c", steps], cwd=ROOT, capture_output=True, text=True, check=True
    )
    number = pwd.getpwnam("nobody").pw_uid
    told, capabilities = done.stdout.splitlines()
    assert told == f"running as nobody ({number}, {number}, {number}) []"
    assert int(capabilities.partition("\\t")[2].partition("\\n")[0], 16) == 0


def test_it_becomes_the_user_that_it_is_told_to(space: Namespace) -> None:
    if not nobody_reads_python():
        pytest.skip("this Python is not readable to another user")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder, "live.tape")
        agent = Agent(space, path, "--user", "nobody")
        try:
            assert set(status(agent, "Uid").split()) == {str(pwd.getpwnam("nobody").pw_uid)}
            assert int(status(agent, "CapEff"), 16) == 0
            space.send("--connections", "2")
            time.sleep(0.3)
            assert agent.end().count("exchanges", "kept") == 6
            assert path.owner() == "nobody"
        finally:
            agent.kill()


@pytest.mark.alone
def test_what_the_kernel_drops_is_booked_and_connections_are_let_go_from_then_on(
    space: Namespace, start: Start, tmp_path: Path
) -> None:
    agent = start("--ring", "1MB", "--log-format", "json")
    agent.process.send_signal(signal.SIGSTOP)
    space.send("--connections", "2000")
    agent.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    space.send("--connections", "5", "--seed", "2")
    time.sleep(0.5)
    ledger = agent.end()
    assert ledger.imbalances() == []
    dropped = ledger.count("packets", "dropped by the kernel")
    assert 0 < dropped < ledger.count("packets", "seen")
    with Tape.open(tmp_path / "live.tape") as tape:
        assert tape.ledger.count("packets", "dropped by the kernel") == dropped
        assert tape.exchange_count >= 15
        # Rather than lose more at random it lets connections go, though it was set no limit.
        assert min(rate for _, rate in tape.rates) < 1.0
    (told,) = [line for line in map(json.loads, agent.told.splitlines()) if "kept" in line["event"]]
    assert told["level"] == "warning"
    assert "more came than could be recorded" in told["event"]


@pytest.mark.parametrize("wrong", [["-i", "nowhere0"], ["-i", HERE, "--user", "no-such-user"]])
def test_a_wrong_interface_or_user_is_one_sentence(
    space: Namespace, tmp_path: Path, wrong: list[str]
) -> None:
    done = attempt(space, tmp_path, *wrong)
    assert done.returncode == 1
    assert wrong[-1] in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
