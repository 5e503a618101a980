"""A leak is found beneath the sawtooth of a collector, and none is found where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.errors import ReplayError
from capture.tape import TapeHeader, TapeWriter
from replay.verdict.leaks import growth_of, leaks, read_samples
from replay.verdict.report_cli import report
from tests.replay.runs import MB, memory, run, run_columns


@pytest.mark.parametrize("seed", range(10))
def test_a_kilobyte_for_each_request_is_found_within_five_minutes(seed: int):
    growth = growth_of("rss", *memory(seed, leak=200 * 1024))
    assert growth is not None
    assert growth.leaks
    assert growth.low <= 200 * 1024 * 1.2
    assert growth.high >= 200 * 1024 * 0.8


def test_fifty_runs_without_a_leak_give_none():
    found = [growth_of("rss", *memory(seed)) for seed in range(100, 150)]
    assert [growth for growth in found if growth is None or growth.leaks] == []


def test_what_grows_by_less_than_matters_in_a_day_is_no_leak():
    growth = growth_of("rss", np.arange(600.0), 200.0 * MB + np.arange(600.0) * 10)
    assert growth is not None
    assert growth.low > 0
    assert not growth.leaks


def test_of_a_few_samples_nothing_is_said():
    assert growth_of("rss", np.arange(20.0), np.arange(20.0)) is None


def test_a_leak_is_told_by_the_hour_and_by_the_request():
    at, rss = memory(1, leak=200 * 1024)
    (finding,) = leaks({"seconds": at, "rss_bytes": rss, "fds": np.full(300, 40.0)}, run())
    assert (finding.kind, finding.subject) == ("leak", "rss_bytes")
    assert "for each request" in finding.sentence


def test_a_report_names_the_leak_of_what_was_watched(tmp_path: Path):
    writer = TapeWriter(tmp_path / "run.tape", TapeHeader(kind="run"))
    writer.append_rows(run_columns())
    writer.close()
    at, rss = memory(1, leak=200 * 1024)
    watched = tmp_path / "watched.csv"
    rows = [f"{a},{b:.0f}" for a, b in zip(at, rss, strict=True)]
    watched.write_text("\n".join(["seconds,rss_bytes", *rows]))
    done = CliRunner().invoke(
        report,
        [str(tmp_path / "run.tape"), "--watched", str(watched), "--fail-if", "findings(leak) > 0"],
    )
    assert done.exit_code == 3
    assert "FAIL: rss_bytes grows by" in done.output


@pytest.mark.parametrize("text", ["", "a,b\n1,2", "seconds,rss\n1,x", "seconds,rss\n1,2\n3"])
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "watched.csv"
    path.write_text(text)
    with pytest.raises(ReplayError, match=r"watched\.csv"):
        read_samples(path)
