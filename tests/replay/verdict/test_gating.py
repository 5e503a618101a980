"""Gates at the command line: from options and files, told on stderr, as JUnit and to GitHub."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from capture.tape import TapeHeader, TapeWriter
from replay.cli import replay
from replay.verdict.compare_cli import compare
from replay.verdict.gate import Checked
from replay.verdict.gate_files import as_json, as_junit, as_markdown
from replay.verdict.gating import GateFileError, Gates, gate_file, parsed
from replay.verdict.judge import judge
from replay.verdict.report_cli import report
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


@pytest.mark.parametrize(
    "text", ["fail_if = 3", "[gates]", "fail_if = [1]", "not toml", "fail_if = []"]
)
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
    assert said[1].startswith("::error title=wiretape gate of run.tape::p99(*) > 300ms")


ODD = [
    Checked('p99(GET /<a>&"b") > 1s', True, 'GET /<a>&"b" has 2\x01 | 3\n# of `x`'),
    Checked("errors(GET /a|b) > 0", False, ""),
]


def test_what_an_endpoint_is_called_cannot_break_the_xml():
    suite = ElementTree.fromstring(as_junit("run.tape", ODD))
    assert suite.find("testcase").get("name") == 'p99(GET /<a>&"b") > 1s'


def test_what_an_endpoint_is_called_cannot_break_the_table():
    rows = run()
    told = as_markdown("run.tape", ODD, judge(rows)).splitlines()
    assert told[0] == "### wiretape: 1 of 2 gates failed (run.tape)"
    table = [line for line in told if line.startswith("|")]
    assert len(table) == 4
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in table)
    assert "<a>" not in table[2].split("`")[-1]


def test_the_gates_are_told_as_json_beside_the_verdict():
    told = json.loads(as_json("run.tape", ODD, judge(run(slow=100))))
    assert (told["verdict"], told["failed"], len(told["gates"])) == ("FAIL", 1, 2)
    assert told["gates"][0]["gate"] == ODD[0].gate


def test_a_summary_is_added_to_what_the_file_holds(tmp_path: Path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    command = [str(_run(tmp_path / "run.tape")), "--fail-if", "errors > 1%"]
    for _ in range(2):
        done = CliRunner().invoke(report, [*command, "--summary", str(summary)])
        assert done.exit_code == 0, done.output
    assert summary.read_text().startswith("before\n")
    assert summary.read_text().count("1 gates passed") == 2


@pytest.mark.parametrize("option", ["--junit", "--summary", "--gates-json"])
def test_telling_of_gates_that_are_not_there_is_a_usage_error(tmp_path: Path, option: str):
    path = str(_run(tmp_path / "run.tape"))
    for command, given in ((report, [path]), (compare, [path, path]), (replay, [path])):
        done = CliRunner().invoke(command, [*given, option, str(tmp_path / "out")])
        assert done.exit_code == 2
        assert option in done.output
    assert not (tmp_path / "out").exists()


def test_a_comparison_has_a_baseline_and_a_replay_has_none(tmp_path: Path):
    writer = TapeWriter(tmp_path / "a.tape", TapeHeader(kind="run"))
    writer.append_rows(run_columns())
    writer.close()
    a, b = str(tmp_path / "a.tape"), str(_run(tmp_path / "b.tape"))
    gate = ["--fail-if", "p99(/search) > 2 * baseline"]
    assert CliRunner().invoke(compare, [a, b, *gate]).exit_code == 3
    assert CliRunner().invoke(compare, [a, a, *gate]).exit_code == 0
    done = CliRunner().invoke(replay, [a, "--target", "http://127.0.0.1:1", *gate])
    assert done.exit_code == 2
    assert "wiretape compare" in done.output


def test_what_is_wrong_with_gates_is_told_before_anything_is_sent(tmp_path: Path):
    path = _run(tmp_path / "run.tape")
    gates = tmp_path / "gates.toml"
    gates.write_text('fail_if = ["errors > 1 parsec"]\n')
    wrong = CliRunner().invoke(report, [str(path), "--gate", str(gates)])
    assert wrong.exit_code == 2
    assert f"{gates}: fail_if" in wrong.output.replace("\n", "")
    assert "There is no 'parsec' here" in wrong.output
    nowhere = tmp_path / "none" / "gates.xml"
    lost = CliRunner().invoke(
        report, [str(path), "--fail-if", "errors > 1%", "--junit", str(nowhere)]
    )
    assert lost.exit_code == 2
    assert "there is no folder" in lost.output
