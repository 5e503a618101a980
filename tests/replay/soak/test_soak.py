"""Soaks from beginning to end: what is written, what a restart goes on with, how wrong use ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from capture.errors import WiretapeError
from capture.tape import Tape
from replay.soak.cli import soak
from tests.replay.recorder import get, recorder, write_tape

ROOT = Path(__file__).parents[3]
QUICK = ("--no-calibrate", "--watch-every", "200ms", "--checkpoint-every", "300ms")


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_tape(tmp_path / "t.tape", [(n % 5, n * 10, get(f"/{n}")) for n in range(100)])


@pytest.fixture
def target() -> Iterator[str]:
    with recorder() as found:
        yield found.url


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "wiretape", "soak", *map(str, arguments), *QUICK],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def soaked(*arguments: str | Path) -> tuple[int, str, str]:
    return ended(start(*arguments))


def waited_for(path: Path, wanted: Any = lambda state: state["windows"]["whole"]["sent"]) -> None:
    for _ in range(300):
        if path.exists() and wanted(json.loads(path.read_text())):
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was never as it should be")


def test_a_soak_leaves_runs_a_report_and_figures_that_agree(
    tape: Path, target: str, tmp_path: Path
) -> None:
    out = tmp_path / "soak"
    code, told, said = soaked(
        tape, "--target", target, "--for", "3s", "-o", out, "--pid", str(os.getpid()), "--json",
        "--segment", "1s", "--summary-every", "1s",
    )  # fmt: skip
    assert code == 0, said
    report = json.loads(told)
    assert report == json.loads((out / "report.json").read_text())
    runs = sorted(out.glob("segment-*.tape"))
    rows = 0
    for path in runs:
        with Tape.open(path) as run:
            assert run.header.kind == "run"
            assert not run.losses
            rows += run.exchange_count
    assert report["totals"]["sent"] == report["totals"]["due"] == rows > 250
    assert report["complete"]
    assert [each["segment"] for each in report["segments"]] == [path.name for path in runs]
    assert sum(each["sent"] for each in report["windows"]) == rows
    assert f"pid_{os.getpid()}_rss_bytes" in (out / "watched.csv").read_text()
    assert "What this soak could not validate" in (out / "report.html").read_text()
    assert " sent (" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_ends_with_valid_runs_and_a_report_and_resume_goes_on(
    number: signal.Signals, tape: Path, target: str, tmp_path: Path
) -> None:
    out = tmp_path / "soak"
    common = (tape, "--target", target, "-o", out, "--json")
    process = start(*common, "--for", "4s")
    waited_for(out / "soak.json")
    os.killpg(process.pid, number)  # as a terminal does it: to all of the group
    code, told, said = ended(process)
    assert code == 0, said
    first = json.loads(told)
    assert not first["complete"]
    assert 0 < first["totals"]["sent"] < 380
    assert any("was stopped before" in item for item in first["not_validated"])
    code, told, said = soaked(*common, "--for", "4s", "--resume")
    assert code == 0, said
    whole = json.loads(told)
    assert whole["complete"]
    assert len(whole["restarts"]) == 1
    # What was due in the moment of the stop is sent once, or told as sent twice: never left out.
    assert 385 <= whole["totals"]["sent"] <= 420
    numbers = [int(path.stem.rpartition("-")[2]) for path in sorted(out.glob("segment-*.tape"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_soak_that_is_killed_resumes_from_its_checkpoint(
    tape: Path, target: str, tmp_path: Path
) -> None:
    out = tmp_path / "soak"
    common = (tape, "--target", target, "-o", out, "--for", "4s", "--json")
    process = start(*common)
    waited_for(out / "soak.json", lambda state: state["windows"]["whole"]["sent"] > 50)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    code, told, said = soaked(*common, "--resume")
    assert code == 0, said
    report = json.loads(told)
    assert report["complete"]
    assert len(report["restarts"]) == 1
    assert report["totals"]["sent"] >= 330
    files = sorted(path.name for path in out.glob("segment-*.tape"))
    assert sorted(each["segment"] for each in report["segments"]) == files
    assert (out / "report.html").exists()


def test_a_target_that_ends_is_one_finding_and_one_alert(
    tape: Path, target: str, tmp_path: Path
) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    alerts, out = tmp_path / "alerts", tmp_path / "s"
    soaking = start(
        tape, "--target", target, "--for", "4s", "-o", out, "--pid", str(process.pid),
        "--alert-command", f"cat >> {shlex.quote(str(alerts))}; echo >> {alerts}", "--json",
    )  # fmt: skip
    waited_for(out / "soak.json")
    process.communicate(b"\n")
    code, told, said = ended(soaking)
    assert code == 0, said
    report = json.loads(told)
    assert report["verdict"] == "FAIL"
    assert [each["kind"] for each in report["findings"]] == ["ended"]
    lines = alerts.read_text().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["kind"] == "ended"
    assert said.count("the process has ended") == 1


def test_a_target_that_has_gone_is_told_before_its_segment_ends(tape: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        gone = f"http://127.0.0.1:{held.getsockname()[1]}"
    code, told, said = soaked(tape, "--target", gone, "--for", "2s", "-o", tmp_path / "s", "--json")
    assert code == 1, said
    assert "None of" in said
    first = json.loads(told)["findings"][0]
    assert (first["kind"], first["subject"], first["segment"]) == ("errors", "*", "")


def test_a_sender_that_dies_ends_the_soak_and_books_no_days_to_come(
    tape: Path, target: str, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    process = start(tape, "--target", target, "--for", "72h", "-o", out, "--json")
    waited_for(out / "soak.json")
    pid = process.pid
    for _ in range(2):  # the feeder, then the sender
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    code, told, said = ended(process)
    assert code == 0, said
    report = json.loads(told)
    assert not report["complete"]
    assert any("died" in warning for warning in report["warnings"])
    assert report["totals"]["due"] < 3000


def test_a_gate_that_fails_in_a_segment_exits_3_and_may_end_the_soak(
    tape: Path, target: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    code, told, said = soaked(
        tape, "--target", target, "--for", "60s", "-o", tmp_path / "s", "--fail-if",
        "status(2xx) > 10", "--stop-on-gate", "--segment", "1s", "--json",
        "--junit", tmp_path / "gates.xml",
    )  # fmt: skip
    assert code == 3, said
    assert time.monotonic() - began < 50
    assert json.loads(told)["findings"][0]["kind"] == "gate"
    assert 'failures="1"' in (tmp_path / "gates.xml").read_text()


def test_laps_leave_no_connection_open_where_the_tape_saw_no_end(tmp_path: Path) -> None:
    open_now: list[int] = []
    count = 0
    lock = threading.Lock()

    def behave(sock: socket.socket, _pieces: list[bytes]) -> None:
        nonlocal count
        with lock:
            count += 1
            open_now.append(count)
        try:
            while sock.recv(65536):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        finally:
            with lock:
                count -= 1

    tape = write_tape(tmp_path / "t.tape", [(n % 5, n * 10, get()) for n in range(50)])
    with recorder(behave) as found:
        code, _, said = soaked(tape, "--target", found.url, "--for", "3s", "-o", tmp_path / "s")
    assert code == 0, said
    assert len(open_now) >= 25, "each lap has connections of its own"
    assert max(open_now) <= 20, "and they end with their lap"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--for", "2s", "--scrape", "http://127.0.0.1:1/metrics"), "cannot be read"),
        (("--for", "2s", "--pid", "4194304"), "there is no such process"),
        (("--for", "2s", "--watch-command", "exit 4"), "ended with 4"),
        (("--for", "2s", "--resume"), "nothing is to go on"),
        (("--for", "2s", "-o", "/proc/soak"), "cannot be made"),
        (("--for", "2s", "--scrape", "nonsense"), "is no address"),
        (("--for", "2s", "--budget", "much"), "is no budget"),
        (("--for", "2s", "--alert-webhook", "ftp://x"), "is no address"),
        (("--for", "2s", "--dashboard", "8899x"), "is no address"),
        ((), "Say how long"),
    ],
)
def test_wrong_use_is_one_sentence_before_anything_is_sent(
    tape: Path, target: str, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    where = () if "-o" in arguments else ("-o", str(tmp_path / "s"))
    done = CliRunner().invoke(soak, [str(tape), "--target", target, *where, *arguments, *QUICK])
    if isinstance(done.exception, WiretapeError):
        assert sentence in str(done.exception)
        assert "\n" not in str(done.exception)
    else:
        assert done.exit_code == 2, done.exception
        assert sentence in done.output


@pytest.mark.parametrize("flag", ["--dashboard", "--metrics"])
def test_a_port_that_is_taken_is_one_sentence(
    tape: Path, target: str, tmp_path: Path, flag: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        common = [str(tape), "--target", target, "--for", "1s", "-o", str(tmp_path / "s")]
        done = CliRunner().invoke(soak, [*common, flag, f":{port}", *QUICK])
    assert isinstance(done.exception, WiretapeError)
    assert f"{flag} 127.0.0.1:{port}: cannot be served there" in str(done.exception)


def test_a_soak_that_never_began_leaves_no_trace(tape: Path, target: str, tmp_path: Path) -> None:
    out, bad = tmp_path / "s", tmp_path / "bad.tape"
    bad.write_text("no tape")
    common = ["--target", target, "--for", "1s", "-o", str(out)]
    done = CliRunner().invoke(soak, [str(bad), *common])
    assert "is no tape" in str(done.exception)
    assert list(out.iterdir()) == []
    (out / "soak.json").write_text('{"version":1}')
    done = CliRunner().invoke(soak, [str(tape), *common, "--resume"])
    assert "is no checkpoint of a soak" in str(done.exception)
    assert (out / "soak.json").read_text() == '{"version":1}'


def test_a_folder_that_holds_a_soak_is_not_written_over(
    tape: Path, target: str, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "soak.json").write_text("{}")
    common = [str(tape), "--target", target, "--for", "500ms", "-o", str(folder)]
    done = CliRunner().invoke(soak, [*common, *QUICK])
    assert "holds a soak already" in str(done.exception)
    assert (folder / "soak.json").read_text() == "{}"
