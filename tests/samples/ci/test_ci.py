"""The definitions for CI do what they say: their shell steps are run, against a real target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.replay.recorder import ANSWER, Recorder, answering, get, recorder, write_tape
from tests.samples.ci.runners import CI, composite, gitlab, load

FAILING = b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_tape(tmp_path / "x.tape", [(n % 5, n * 5.0, get("/cart")) for n in range(30)])


@pytest.fixture
def target() -> Iterator[Recorder]:
    with recorder() as told:
        yield told


def test_the_action_passes_where_no_gate_fails_and_hands_out_its_report(
    tape: Path, target: Recorder, tmp_path: Path
):
    ran = composite(
        tmp_path, tape=tape.name, target=target.url, package="",
        fail_if="errors > 0.5%\nstatus(5xx) > 0\n", options="--no-calibrate --timeout 5s",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    assert ran.steps == ["Replay", "Report"]
    assert ran.outputs["verdict"] in ("PASS", "FAIL", "INVALID")
    assert (tmp_path / ran.outputs["report"]).read_text().startswith("<!doctype html>")
    assert (tmp_path / ran.outputs["run"]).exists()
    assert "2 gates passed" in ran.summary
    assert json.loads((tmp_path / "wiretape/gates.json").read_text())["failed"] == 0


def test_the_action_fails_where_a_gate_fails_annotates_it_and_reports_all_the_same(
    tape: Path, tmp_path: Path
):
    with recorder(answering(FAILING)) as target:
        ran = composite(
            tmp_path, tape=tape.name, target=target.url, package="", options="--no-calibrate",
            fail_if="errors > 0.5%",
        )  # fmt: skip
    assert ran.code == 3, ran.said
    assert ran.steps == ["Replay", "Report"]
    assert "::error title=wiretape gate of run.tape::errors > 0.5%25: it is 1" in ran.said
    assert "1 of 1 gates failed" in ran.summary
    suite = ElementTree.parse(tmp_path / "wiretape/gates.xml").getroot()
    assert suite.get("failures") == "1"
    assert (tmp_path / ran.outputs["report"]).exists()


def test_the_action_reads_gates_of_a_file_and_takes_what_is_written_in_an_input_for_text(
    tape: Path, target: Recorder, tmp_path: Path
):
    (tmp_path / "gates.toml").write_text('fail_if = ["errors > 1%"]\n')
    ran = composite(
        tmp_path, tape=tape.name, target=target.url, package="", options="--no-calibrate",
        gates="gates.toml", folder="a folder; touch broken",
    )  # fmt: skip
    assert ran.code == 0, ran.said
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "a folder; touch broken" / "gates.xml").exists()


def test_the_action_without_gates_only_reports_and_a_wrong_tape_is_told(
    tape: Path, target: Recorder, tmp_path: Path
):
    told = composite(
        tmp_path, tape=tape.name, target=target.url, package="", options="--no-calibrate"
    )
    assert told.code == 0, told.said
    assert told.summary == ""
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = composite(empty, tape="nowhere.tape", target=target.url, package="")
    assert ran.code == 2
    assert ran.outputs["verdict"] == ""


@pytest.mark.parametrize(("answer", "code"), [(ANSWER, 0), (FAILING, 3)])
def test_the_gitlab_job_ends_as_its_gates_do_in_a_plain_shell_and_keeps_what_it_names(
    tape: Path, tmp_path: Path, answer: bytes, code: int
):
    with recorder(answering(answer)) as target:
        ran = gitlab(
            tmp_path, tape=tape.name, target=target.url, package="", options="--no-calibrate",
            fail_if="errors > 0.5%\np99(*) > 20s",
        )  # fmt: skip
    assert ran.code == code, ran.said
    suite = ElementTree.parse(tmp_path / ran.outputs["junit"]).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1" if code else "0")
    assert (tmp_path / "wiretape/report.html").exists()
    assert "gates" in (tmp_path / "wiretape/gates.md").read_text()


def test_the_workflow_gives_the_action_what_it_asks_for():
    asked = load("github/action.yml")["inputs"]
    (job,) = load("github/workflow.yml")["jobs"].values()
    (step,) = [step for step in job["steps"] if step.get("id") == "wiretape"]
    assert set(step["with"]) <= set(asked)
    assert {name for name, told in asked.items() if told.get("required")} <= set(step["with"])
    example = (CI / "gitlab" / "wiretape.yml").read_text()
    assert "WIRETAPE_FAIL_IF: |" in example
