"""The capacity of a pool is what Little's law says; what is wrong is told before a byte is sent."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.exchange import Lateness
from replay.capacity.capacity import Capacity, Probe, as_text, probe_of
from replay.capacity.cli import capacity
from replay.capacity.page import as_html
from replay.capacity.search import BREAKS, GENERATOR, HOLDS, INVALID, TARGET, Search
from replay.verdict.gate import parse
from tests.replay.capacity.pool import arrivals_tape, pool
from tests.replay.recorder import free_port
from tests.replay.runs import rows_of, run, run_columns

pytestmark = pytest.mark.alone

OBJECTIVE = parse("p99 < 100ms and errors < 1%")


def test_the_capacity_of_a_simulated_pool_is_its_size_over_the_time_of_a_request():
    """Requests of 8.7 ms on average, four at once: some 460 a second."""
    search = Search(1.0, precision=0.05)
    number = 0
    while (scale := search.next()) is not None:
        number += 1
        rows = run(count=int(800 * scale) + 400, rate=100 * scale, pool=4, seed=number)
        search.told(scale, probe_of(rows, OBJECTIVE, scale).word)
    low, _ = search.bracket
    assert 0.85 * 4.6 < low < 1.1 * 4.6
    assert search.bound_by == TARGET


def test_a_run_that_was_late_by_our_fault_says_nothing_of_the_target():
    probe = probe_of(run(late_ms=60), OBJECTIVE, 1.0)
    assert probe.word == INVALID
    assert "late" in probe.why


def test_what_users_wait_counts_from_when_it_was_due():
    columns = run_columns(rate=100)
    assert probe_of(rows_of(columns), OBJECTIVE, 1.0).word == HOLDS
    # The target kept 200 ms of waiting outside its door: its connections were busy.
    columns["due_ns"] = columns["due_ns"] - 200_000_000
    columns["late_cause"] = np.full(len(columns["due_ns"]), Lateness.CONNECTION)
    probe = probe_of(rows_of(columns), OBJECTIVE, 1.0)
    assert probe.word == BREAKS
    assert probe.p50 > 200


def _probe(scale: float, word: str, mean: float) -> Probe:
    return Probe(scale, word, "", 50 * scale, 50 * scale, mean, mean, mean, 0.0, 1.0, 99.0)


def test_the_knee_is_where_more_load_brings_more_waiting_than_answers():
    probes = (_probe(1, HOLDS, 10), _probe(2, HOLDS, 11), _probe(4, BREAKS, 200))
    told = Capacity("p99 < 1s", 2.0, 4.0, TARGET, True, probes)
    assert told.knee is probes[1]
    assert told.rate == 100
    assert "up to scale 2 (100.0 requests/s) and no more at 4" in told.sentence
    assert as_text(told).count("knee") == 1
    page = as_html("x.tape", told)
    assert "Capacity of x.tape" in page
    assert f"<h1>{html.escape(told.sentence)}</h1>" in page
    assert "http://" not in page.split("<script>")[0]


def test_a_search_that_found_our_own_limit_says_so():
    told = Capacity("p99 < 1s", 2.0, 4.0, GENERATOR, True, (_probe(2, HOLDS, 10),))
    assert "this generator cannot go as far as 4" in told.sentence


def test_the_capacity_of_a_real_pool_is_found(tmp_path: Path):
    tape = arrivals_tape(tmp_path / "x.tape", 1.5, 40)
    page = tmp_path / "capacity.html"
    with pool(4, 0.02) as url:
        done = CliRunner().invoke(
            capacity,
            [str(tape), "--target", url, "--slo", "p99 < 250ms and errors < 1%", "--scale", "3",
             "--precision", "40%", "--confirm", "0", "--probes", "5", "--rest", "100ms",
             "--no-calibrate", "--json", "--html", str(page)],
            standalone_mode=False,
        )  # fmt: skip
    told = json.loads(done.stdout)
    assert page.exists()
    held = [each["offered"] for each in told["probes"] if each["word"] == "holds"]
    broken = [each["offered"] for each in told["probes"] if each["word"] == "breaks"]
    # Little: 4 / 20 ms = 200 a second. A short run overloads a little before it shows.
    assert held or broken
    assert all(rate < 300 for rate in held)
    assert all(rate > 120 for rate in broken)
    if told["bound_by"] == "target":  # a busy machine may keep us from getting there
        assert done.return_value == 0
        assert 100 < told["rate"] < 300
    else:
        assert done.return_value == 4


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--slo", "p99 < 1s"],
        ["--target", "http://127.0.0.1:1"],
        ["--target", "http://127.0.0.1:1", "--slo", "p99 <"],
        ["--target", "http://127.0.0.1:1", "--slo", "p99 < 1s", "--speed", "max"],
        ["--target", "http://127.0.0.1:1", "--slo", "p99 < 1s", "--lowest", "2"],
        ["--target", "http://127.0.0.1:1", "--slo", "leaks < 1"],
        ["--target", "http://127.0.0.1:1", "--slo", "p99(GET /none) < 1s"],
        ["--target", "http://127.0.0.1:1", "--slo", "errors < 1% and response(p99, /none) < 1s"],
        ["--target", "http://127.0.0.1:1", "--target", "http://127.0.0.1:2", "--slo", "p99 < 1s"],
    ],
)
def test_a_search_that_makes_no_sense_is_a_usage_error(tmp_path: Path, given: list[str]):
    tape = arrivals_tape(tmp_path / "x.tape", 0.2, 40)
    done = CliRunner().invoke(capacity, [str(tape), *given])
    assert done.exit_code == 2, done.output


def test_a_target_that_does_not_run_is_named_at_once(tmp_path: Path):
    tape = arrivals_tape(tmp_path / "x.tape", 0.2, 40)
    url = f"http://127.0.0.1:{free_port()}"
    done = CliRunner().invoke(
        capacity, [str(tape), "--target", url, "--slo", "p99 < 1s", "--no-calibrate"]
    )
    assert str(done.exception).startswith(f"{url} is silent: none of ")
    assert "probe" not in done.stderr
