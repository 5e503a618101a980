"""`wiretape report` reads a run from disk and says what broke."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from capture.errors import ReplayError
from capture.tape import TapeHeader, TapeWriter
from replay.verdict.report_cli import report
from replay.verdict.rows import read_rows
from tests.replay.runs import run_columns


def _write(path: Path, *runs: dict[str, object]) -> Path:
    writer = TapeWriter(path, TapeHeader(kind="run"))
    for columns in runs:
        writer.append_rows(columns)
    writer.close()
    return path


def test_a_run_of_two_blocks_is_reported_as_one_page_and_as_json(tmp_path: Path):
    path = _write(tmp_path / "run.tape", run_columns(slow=100), run_columns(slow=100))
    page = tmp_path / "report.html"
    done = CliRunner().invoke(report, [str(path), "--html", str(page), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["findings"][0]["subject"] == "GET /search"
    assert sum(row["count"] for row in told["endpoints"]) == 4000
    assert page.read_text().startswith("<!doctype html>")


def test_a_run_without_exchanges_is_refused_in_one_sentence(tmp_path: Path):
    with pytest.raises(ReplayError, match=r"empty\.tape: holds no exchange"):
        read_rows(_write(tmp_path / "empty.tape"))


@pytest.mark.parametrize(
    ("gate", "code", "said"),
    [
        ("p99(*) > 300ms", 3, "gate failed: p99(*) > 300ms: GET /search has"),
        ("errors > 1%", 0, "FAIL: GET /search went from"),
        ("p99(*) >", 2, "Expected a number here"),
    ],
)
def test_a_failed_gate_exits_3_and_a_wrong_one_is_a_usage_error(
    tmp_path: Path, gate: str, code: int, said: str
):
    path = _write(tmp_path / "run.tape", run_columns(slow=100))
    done = CliRunner().invoke(report, [str(path), "--fail-if", gate])
    assert done.exit_code == code
    assert said in done.output
