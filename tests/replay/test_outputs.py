"""What cannot be written is found out before anything is sent, by every command that sends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from capture.errors import WiretapeError
from capture.written import FILE, FOLDER, KEPT, apart, unfit, write_text
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import Recorder, get, recorder, write_tape
from wiretape import cli

ERRORS = ("--fail-if", "errors > 1%")


@pytest.fixture
def target() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tape, a directory with one, and places where nothing can be written."""
    write_tape(tmp_path / "x.tape", [(1, n, get(f"/{n}")) for n in range(5)])
    (tmp_path / "tapes").mkdir()
    write_tape(tmp_path / "tapes" / "x.tape", [(1, n, get(f"/{n}")) for n in range(5)])
    (tmp_path / "file").write_text("here before")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere" / "run.tape")
    return tmp_path


def commands(url: str) -> dict[str, list[str]]:
    """The start of each command that sends; what follows is an option and where it writes."""
    pair = ["--baseline", url, "--candidate", url]
    return {
        "replay": ["replay", "x.tape", "--target", url],
        "tapes": ["replay", "tapes", "--target", url],
        "gated": ["replay", "x.tape", "--target", url, *ERRORS],
        "soak": ["soak", "x.tape", "--target", url, "--for", "2s"],
        "soak of tapes": ["soak", "tapes", "--target", url, "--for", "2s"],
        "capacity": ["capacity", "x.tape", "--target", url, "--slo", "p99 < 1s"],
        "trial": ["trial", "x.tape", *pair],
        "canary": ["canary", "x.tape", *pair, "--step-for", "60s"],
        "plan": ["plan", "x.tape"],
    }


@pytest.mark.parametrize(
    ("command", "option", "places"),
    [
        ("replay", "-o", "folder file/x nowhere/x pipe null lost x.tape"),
        ("tapes", "-o", "tapes/run.tape"),
        ("replay", "--hgrm", "file file/x null"),
        ("gated", "--junit", "folder file/x nowhere/x x.tape"),
        ("gated", "--summary", "folder x.tape"),
        ("gated", "--gates-json", "folder x.tape"),
        ("soak", "-o", "file file/x"),
        ("soak of tapes", "-o", "tapes"),
        ("capacity", "--html", "folder file/x nowhere/x x.tape"),
        ("trial", "--keep", "file file/x"),
        ("canary", "--state", "folder file/x nowhere/x pipe null x.tape"),
        ("plan", "--html", "folder file/x nowhere/x x.tape"),
    ],
)
def test_what_cannot_be_written_is_wrong_usage_and_nothing_is_sent(
    folder: Path, target: Recorder, monkeypatch: pytest.MonkeyPatch,
    command: str, option: str, places: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    tape = (folder / "x.tape").read_bytes()
    for place in places.split():
        done = CliRunner().invoke(cli, [*commands(target.url)[command], option, place])
        assert done.exit_code == 2, (place, done.output)
        said = done.output.replace("\n", " ")
        assert place.partition("/")[0] in said
        assert option in said
    assert target.received == []
    assert (folder / "x.tape").read_bytes() == tape
    assert not (folder / "run.tape").exists()


def test_two_things_are_not_written_to_one_file(
    folder: Path, target: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    given = ["replay", "x.tape", "--target", target.url, "-o", "r", *ERRORS, "--junit", "./r"]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 2
    assert "-o and --junit name the same file" in done.output
    apart({"--html": folder / "null", "--markdown": folder / "null"})


def test_the_library_finds_it_out_as_well(folder: Path, target: Recorder) -> None:
    options = ReplayOptions(target=(target.url,), no_calibrate=True)
    with pytest.raises(WiretapeError, match="could be read again"):
        replay(folder / "x.tape", options, folder / "null")
    with pytest.raises(WiretapeError, match="no folder"):
        replay(folder / "x.tape", options, folder / "r", histograms=folder / "file")
    assert target.received == []


def test_what_can_be_written_is_left_as_it_is(folder: Path) -> None:
    (folder / "there").symlink_to(folder / "new")
    fitting = {
        FILE: ("file", "new", "null", "pipe", "there"),
        KEPT: ("file", "new", "there"),
        FOLDER: ("folder", "new", "new/and/newer"),
    }
    for kind, names in fitting.items():
        assert [name for name in names if unfit(folder / name, kind)] == []
    assert (folder / "file").read_text() == "here before"
    assert not (folder / "new").exists()


def test_names_that_no_file_can_have_are_told(tmp_path: Path) -> None:
    assert "name too long" in unfit(tmp_path / ("n" * 300), FILE)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert unfit(tmp_path / "loop", FILE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o555)
    (tmp_path / "file").touch(mode=0o444)
    assert "nothing may be written in" in unfit(tmp_path / "mine" / "x", FILE)
    assert "nothing may be written in" in unfit(tmp_path / "mine" / "x" / "y", FOLDER)
    assert "may not be written" in unfit(tmp_path / "file", KEPT)


def test_a_failed_write_names_the_file() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(WiretapeError, match="/dev/full: cannot be written"):
        write_text("/dev/full", "x" * 100)
