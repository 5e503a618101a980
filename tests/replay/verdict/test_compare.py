"""Two runs side by side: what differs is told with its interval, and a single pair says suspect."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.tape import TapeHeader, TapeWriter
from replay.verdict.compare import as_text, compare, mcnemar
from replay.verdict.compare_cli import compare as command
from tests.replay.runs import rows_of, run, run_columns


def test_a_run_beside_itself_is_alike_and_all_ratios_are_one():
    told = compare(run(), run())
    assert told.word == "alike"
    assert {each.ratio for each in told.ratios} == {1.0}
    assert (told.paired, told.answers_differ, told.chance) == (2000, 0, 1.0)


def test_a_slower_endpoint_is_suspect_and_its_interval_holds_the_true_ratio():
    told = compare(run(), run(slow=2.0, seed=2))
    suspect = {(each.endpoint, each.quantile) for each in told.ratios if each.word}
    assert suspect == {("GET /search", q) for q in ("p50", "p90", "p99")}
    assert all(each.low < 2.0 < each.high for each in told.ratios if each.quantile == "p50"
               and each.word)  # fmt: skip
    assert "suspect" in as_text(told)


def test_changes_of_status_are_counted_by_pair():
    columns = run_columns()
    columns["status"] = np.where(np.arange(2000) % 100 == 0, 404, 200)
    told = compare(run(), rows_of(columns))
    assert sum(change.count for change in told.changes) == 20
    assert {(change.a, change.b) for change in told.changes} == {(200, 404)}
    assert told.word == "suspect"


def test_pairs_are_the_same_request_whatever_order_the_rows_are_in():
    columns = run_columns()
    order = np.random.default_rng(3).permutation(2000)
    shuffled = {name: np.asarray(column)[order] for name, column in columns.items()}
    told = compare(run(), rows_of(shuffled))
    assert (told.paired, told.changes) == (2000, ())


def test_an_uneven_split_is_no_chance_and_an_even_one_is():
    assert mcnemar(10, 12) > 0.5
    assert mcnemar(0, 30) < 1e-6


def test_nothing_is_judged_where_a_run_did_not_follow_its_plan():
    told = compare(run(), run(late_ms=200, slow=100))
    assert told.word == "INVALID"
    assert told.refused.startswith("B did not follow its plan: lateness p50")


@pytest.mark.parametrize(("gate", "code"), [("p99(*) > 300ms", 3), ("errors > 0", 0)])
def test_gates_of_a_comparison_are_checked_on_the_second(tmp_path: Path, gate: str, code: int):
    paths = []
    for name, slow in (("a", 1.0), ("b", 100.0)):
        path = tmp_path / f"{name}.tape"
        writer = TapeWriter(path, TapeHeader(kind="run"))
        writer.append_rows(run_columns(slow=slow))
        writer.close()
        paths.append(str(path))
    done = CliRunner().invoke(command, [*paths, "--json", "--fail-if", gate])
    assert done.exit_code == code
    assert json.loads(done.stdout)["verdict"] == "suspect"


@pytest.mark.parametrize(("gates", "code"), [((), 4), (("--fail-if", "p99(*) > 300ms"), 3)])
def test_a_comparison_that_is_invalid_does_not_succeed(
    tmp_path: Path, gates: tuple[str, ...], code: int
):
    paths = []
    for name, late_ms in (("a", 0), ("b", 200)):
        paths.append(str(tmp_path / f"{name}.tape"))
        writer = TapeWriter(paths[-1], TapeHeader(kind="run"))
        writer.append_rows(run_columns(late_ms=late_ms, slow=100))
        writer.close()
    done = CliRunner().invoke(command, [*paths, *gates])
    assert done.exit_code == code
    assert "INVALID" in done.stdout


def test_times_that_a_coarse_clock_tells_as_nothing_have_ratios_all_the_same():
    columns = run_columns()
    columns["response_last_ns"] = columns["request_first_ns"].copy()
    coarse = rows_of(columns)
    for a, b, ratio in ((coarse, coarse, 1.0), (coarse, run(), 5e3), (run(), coarse, 2e-4)):
        told = compare(a, b).ratios
        assert len(told) == 9
        for each in told:
            assert np.isfinite([each.low, each.high]).all()
            assert 0.3 * ratio <= each.low <= each.ratio <= each.high <= 4 * ratio


def test_classes_of_errors_sizes_and_throughput_are_told_side_by_side():
    columns = run_columns()
    columns["outcome"] = np.where(np.arange(2000) % 50 == 0, 6, 1)
    columns["status"] = np.where(np.arange(2000) % 40 == 1, 503, 200)
    columns["response_bytes"] = np.full(2000, 900)
    before = run_columns() | {"response_bytes": np.full(2000, 300)}
    told = compare(rows_of(before), rows_of(columns))
    assert told.errors == {"answered 503": (0, 50), "timed out": (0, 40)}
    assert {each.answers for each in told.sizes} == {(300.0, 900.0)}
    assert told.throughput[1] == pytest.approx(3 * told.throughput[0], rel=0.01)
    assert "timed out: 0, then 40" in as_text(told)
    assert "answers of 300 B, then 900 B" in as_text(told)


def test_a_run_is_paired_with_the_tape_that_it_replayed():
    recording = {name: column for name, column in run_columns().items() if name != "due_ns"}
    recording |= {"outcome": np.zeros(2000, int), "source": np.full(2000, -1)}
    recording |= {"response_digest": np.arange(1, 2001)}
    tape = replace(rows_of(recording), tape_id="t")
    columns = run_columns() | {"status": np.full(2000, 500), "response_digest": np.full(2000, 7)}
    ran = replace(rows_of(columns), source_id="t")
    told = compare(tape, ran)
    assert (told.paired, told.only_b_failed) == (2000, 2000)
    assert told.answers_differ == 0, "digests of a recording have a key of their own"
    assert compare(tape, replace(ran, source_id="other")).paired == 0


def test_why_nothing_is_judged_is_the_first_line():
    assert as_text(compare(run(), run(late_ms=200, slow=100))).startswith(
        "INVALID: B did not follow its plan: lateness p50"
    )


def test_two_that_have_no_endpoint_in_common_are_not_called_alike():
    other = run_columns()
    other["endpoint"] = ["GET /else"] * 2000
    told = compare(run(), rows_of(other))
    assert told.word == "INVALID"
    assert "no endpoint in common" in as_text(told)
