"""The front door: help, version, completion, and mistakes in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import wiretape

from .reference import commands

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wiretape", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_command_has_help_with_an_example() -> None:
    for names, command in commands(wiretape.cli):
        shown = CliRunner().invoke(command, ["--help"], prog_name=" ".join(names))
        assert shown.exit_code == 0, names
        assert "Example:" in shown.output, f"{' '.join(names)} has no example"


def test_the_module_runs_as_the_command_does() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == f"wiretape, version {wiretape.__version__}"


def test_an_unknown_command_is_a_usage_error() -> None:
    done = run("rewind")
    assert done.returncode == 2
    assert "No such command 'rewind'" in done.stderr


def test_completion_offers_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wiretape"],
        env={"_WIRETAPE_COMPLETE": "bash_complete", "COMP_WORDS": "wiretape ", "COMP_CWORD": "1",
             "PATH": "/usr/bin:/bin"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "plain,capture" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("tape", "info", "nowhere.tape"),
        ("tape", "cat", "pyproject.toml"),
        ("tape", "verify", "README.md"),
        ("shapes", "pyproject.toml"),
        ("replay", "pyproject.toml", "--target", "http://127.0.0.1:9"),
        ("report", "pyproject.toml", "--html", "/dev/null"),
        ("capture", "pcap", "pyproject.toml", "-o", "/nowhere/x.tape"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_sentence(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode in (1, 2)
    said = done.stderr.removeprefix("Usage:") if done.returncode == 2 else done.stderr
    assert "Traceback" not in said
    assert said.strip()
    assert done.returncode == 2 or said.count("\n") == 1, said


def test_a_target_that_is_no_url_is_wrong_usage() -> None:
    done = run("replay", "samples/tapes/v1.tape", "--target", "http://[::1")
    assert done.returncode == 2
    assert "is no target" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plan_at_the_slowest_speed_is_shown() -> None:
    done = run("plan", "samples/tapes/v1.tape", "--speed", "1e-6")
    assert done.returncode == 0, done.stderr
    assert run("plan", "samples/tapes/v1.tape", "--speed", "1e-300").returncode == 2


def test_a_recording_is_not_judged_as_a_run() -> None:
    done = run("report", "samples/tapes/v1.tape")
    assert done.returncode == 1
    assert "is a recording, not a run" in done.stderr
