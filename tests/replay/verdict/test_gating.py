"""Gates at the command line: from options and files, told on stderr, as JUnit and to GitHub."""

from __future__ import annotations

import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from capture.tape import TapeHeader, TapeWriter
from replay.cli import replay
from replay.verdict.cli import report
from replay.verdict.gating import GateFileError, Gates, gate_file, junit, parsed
from replay.verdict.judge import judge
from tests.replay.recorder import get, recorder, write_tape
from tests.replay.runs import run, run_columns


def _run(path: Path) -> Path:
    writer = TapeWriter(path, TapeHeader(kind="run"))
    writer.append_rows(run_columns(slow=100))
    writer.close()
    return path


def test_the_gates_of_a_file_fail_as_those_of_options_do(tmp_path: Path):
    gates = tmp_path / "gates.toml"
    gates.write_text('fail_if = ["p99(GET /search) > 1.2 * recorded", "errors > 1%"]\n')
    path = _run(tmp_path / "run.tape")
    report_xml = tmp_path / "gates.xml"
    done = CliRunner().invoke(
        report, [str(path), "--gate", str(gates), "--junit", str(report_xml)],
        standalone_mode=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.return_value == 3
    suite = ElementTree.parse(report_xml).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert suite.find("testcase/failure").get("message").startswith("p99(GET /search)")


def test_a_replay_ends_with_3_where_a_gate_has_failed_and_keeps_its_run(tmp_path: Path):
    tape = write_tape(tmp_path / "x.tape", [(n, n * 5, get(f"/{n}")) for n in range(20)])
    with recorder() as target:
        command = [str(tape), "--target", target.url, "-o", str(tmp_path / "run.tape")]
        fine = CliRunner().invoke(
            replay, [*command, "--fail-if", "status(5xx) > 0"], standalone_mode=False
        )
        failed = CliRunner().invoke(
            replay, [*command, "--fail-if", "status(2xx) > 19"], standalone_mode=False
        )
    assert (fine.return_value, failed.return_value) == (0, 3), failed.output
    assert "gate failed: status(2xx) > 19: it is 20" in failed.output
    assert (tmp_path / "run.tape").exists()


def test_a_wrong_gate_is_told_before_a_byte_is_sent(tmp_path: Path):
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    with socket.create_server(("127.0.0.1", 0)) as target:
        url = f"http://127.0.0.1:{target.getsockname()[1]}"
        done = CliRunner().invoke(replay, [str(tape), "--target", url, "--fail-if", "p99 ?"])
        target.setblocking(False)
        with pytest.raises(BlockingIOError):
            target.accept()
    assert done.exit_code == 2
    assert "^" in done.output


@pytest.mark.parametrize("text", ["fail_if = 3", "[gates]", "fail_if = [1]", "not toml"])
def test_a_file_that_holds_no_gates_is_refused_in_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "gates.toml"
    path.write_text(text)
    with pytest.raises(GateFileError, match=r"gates\.toml"):
        gate_file(path)


def test_github_is_told_on_one_line_whatever_the_endpoint_is_called(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    rows = run(slow=100)
    assert Gates(parsed(["p99(*) > 300ms"])).end("run.tape", rows, judge(rows)) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[1].startswith("::error title=wiretape gate, run.tape::p99(*) > 300ms")


def test_what_an_endpoint_is_called_cannot_break_the_xml():
    from replay.verdict.gate import Checked

    told = junit("run.tape", [Checked('p99(GET /<a>&"b") > 1s', True, 'GET /<a>&"b" has 2\x01')])
    assert ElementTree.fromstring(told).find("testcase").get("name") == 'p99(GET /<a>&"b") > 1s'
