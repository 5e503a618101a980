"""A trial fails a candidate that is slower or fails more and names where; an equal one passes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from click.testing import CliRunner

from replay.verdict.judge import judge
from replay.verdict.trial import Taken, as_text, result
from replay.verdict.trial_cli import trial
from tests.bench.fault_proxy import fault_proxy
from tests.replay.canary.services import service, users_tape
from tests.replay.recorder import free_port, get, recorder, write_tape
from tests.replay.runs import rows_of, run_columns

pytestmark = pytest.mark.alone


def _run(seed: int, slow: float = 1.0, failing: float = 0.0):
    """A run with 3 % noise of its own."""
    rng = np.random.default_rng(seed)
    columns = run_columns(count=1500, slow=slow, seed=seed)
    took = columns["response_last_ns"] - columns["request_first_ns"]
    columns["response_last_ns"] = columns["request_first_ns"] + (took * rng.lognormal(0, 0.03))
    columns["response_last_ns"] = columns["response_last_ns"].astype(np.int64)
    columns["status"] = np.where(rng.random(1500) < failing, 503, 200)
    return rows_of(columns)


def test_a_candidate_that_is_slower_at_one_endpoint_fails_there_and_nowhere_else():
    pairs = [(_run(n), _run(n + 100, slow=1.3)) for n in range(8)]
    told = result(pairs, [], 0.05, 0.005)
    failed = {each.subject for each in told.decisions if each.word == "FAIL"}
    assert told.word == "FAIL"
    assert failed == {"p50(GET /search)", "p90(GET /search)", "p99(GET /search)"}
    assert "FAIL after 8 pairs" in as_text(told)


def test_what_most_runs_of_the_candidate_show_and_none_of_the_baseline_is_told_as_the_cause():
    taken = Taken()
    for n in range(5):
        old, new = _run(n), _run(n + 100, slow=30)
        taken.add(old, new)
        taken.look(judge(old), judge(new) if n else judge(old))
    told = taken.result([], 0.05, 0.005)
    (cause,) = told.causes
    assert cause.startswith("GET /search went from ")
    assert f"seen in most runs of the candidate: {cause}" in as_text(told)
    assert told.decisions[0].subject.endswith("(GET /search)")


def test_the_same_target_twice_does_not_fail():
    told = result([(_run(n), _run(n + 100)) for n in range(8)], [], 0.1, 0.005)
    assert "FAIL" not in {each.word for each in told.decisions}
    assert {each.word for each in told.decisions if each.subject.startswith("errors")} == {"PASS"}


def test_more_failures_fail_and_are_told_as_a_difference():
    pairs = [(_run(n), _run(n + 100, failing=0.05)) for n in range(6)]
    told = result(pairs, [], 0.2, 0.005)
    failed = [each for each in told.decisions if each.word == "FAIL"]
    assert {each.subject[:6] for each in failed} == {"errors"}
    assert all(0.02 < each.ratio < 0.09 for each in failed)


def test_fewer_than_five_pairs_say_suspect_at_most():
    told = result([(_run(1), _run(2, slow=3.0))], [], 0.05, 0.005)
    assert told.word == "suspect"


def test_pairs_of_runs_against_real_targets_are_interleaved_and_decided(tmp_path: Path):
    requests = [(n % 10, n * 5, get("/same")) for n in range(40)]
    tape = write_tape(tmp_path / "x.tape", requests)
    with recorder() as old, recorder() as new:
        done = CliRunner().invoke(
            trial,
            [str(tape), "--baseline", old.url, "--candidate", new.url, "--pairs", "2", "--json",
             "--no-calibrate", "--keep", str(tmp_path / "runs")],
        )  # fmt: skip
    told = json.loads(done.stdout)
    made, left_out = told["pairs"], len(told["left_out"])
    assert made == 2 or made + left_out == 5  # those left out are made up for, three times
    assert done.exit_code == (0 if made else 4)  # a busy machine may keep no pair to time
    runs = {path.stem: path.stat().st_mtime for path in (tmp_path / "runs").glob("*.tape")}
    assert 2 * made + left_out <= len(runs) <= 2 * (made + left_out)
    for number in range(1, made + left_out + 1):
        first, second = ("baseline", "candidate") if number % 2 else ("candidate", "baseline")
        if f"{number}-{second}" in runs:
            assert runs[f"{number}-{first}"] < runs[f"{number}-{second}"]
    assert sum(map(len, old.received)) + sum(map(len, new.received)) == 40 * len(runs)


@pytest.mark.parametrize("given", [[], ["--baseline", "http://127.0.0.1:1"], ["--pairs", "0"]])
def test_a_trial_of_nothing_is_a_usage_error(tmp_path: Path, given: list[str]):
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    assert CliRunner().invoke(trial, [str(tape), *given]).exit_code == 2


def test_a_candidate_that_is_slow_at_one_page_fails_a_real_trial_there(tmp_path: Path):
    tape = users_tape(tmp_path / "x.tape", 0.6, 150, users=30)
    with service(0.004) as old, service(0.004) as new:
        new.delays[b"/cart"] = 0.03
        done = CliRunner().invoke(
            trial,
            [str(tape), "--baseline", old.url, "--candidate", new.url, "--pairs", "5", "--json",
             "--margin", "50%", "--no-calibrate", "--extra", "0"],
        )  # fmt: skip
    told = json.loads(done.stdout)
    if told["pairs"] < 5:  # on a machine too busy to send on time nothing is decided
        assert told["verdict"] != "FAIL"
        return
    failed = {each["subject"] for each in told["decisions"] if each["word"] == "FAIL"}
    assert done.exit_code == 3
    assert failed == {"p50(GET /cart)"}


@pytest.mark.parametrize(
    ("dead", "code", "said"),
    [
        (("baseline", "candidate"), 1, "Neither http://"),
        (("baseline",), 1, "The baseline http://"),
        (("candidate",), 3, "FAIL after "),
        (("name",), 1, "'no-such.invalid' cannot be resolved"),
    ],
)
def test_a_side_that_answers_nothing_ends_a_trial_with_the_first_pair(
    tmp_path: Path, dead: tuple[str, ...], code: int, said: str
):
    tape = write_tape(tmp_path / "x.tape", [(n, n * 60, get("/same")) for n in range(10)])
    with recorder() as target:
        sides = dict.fromkeys(("baseline", "candidate"), target.url)
        if dead == ("name",):
            sides["candidate"] = "http://no-such.invalid"
        else:
            sides |= {side: f"http://127.0.0.1:{free_port()}" for side in dead}
        given = [word for side, url in sides.items() for word in (f"--{side}", url)]
        done = CliRunner().invoke(
            trial, [str(tape), *given, "--no-calibrate", "--extra", "0"], standalone_mode=False
        )
    ended = done.exception if code == 1 else None
    told = str(ended or done.stdout)
    assert said in told
    assert ended or done.return_value == code
    if dead != ("name",):
        assert "none of 10 requests was answered (connections refused)" in told
        assert all(sides[side] in told for side in dead)
        # A pair that a busy machine made unfaithful is left out, and another one made.
        assert done.stderr.count("pair ") == 1 + done.stderr.count("left out")


def test_the_proxy_of_the_noise_bench_passes_on_what_comes_and_draws_its_luck_anew():
    with recorder() as target:
        port = urlsplit(target.url).port
        assert port is not None
        with fault_proxy(port, slower=1.1) as proxy:
            proxy.begin()
            assert 0.8 < proxy.luck.value != 1.0
            with urlopen(f"{proxy.url}/page", timeout=10) as answer:
                assert answer.status == 200
    assert b"GET /page HTTP/1.1" in b"".join(raw for raws in target.received for raw in raws)


def test_ctrl_c_ends_a_trial_and_not_only_the_run_under_way(tmp_path: Path):
    tape = write_tape(tmp_path / "a.tape", [(1, second * 1000, get("/a")) for second in range(30)])
    with recorder() as target:
        command = [
            sys.executable, "-m", "wiretape", "trial", str(tape), "--pairs", "3",
            "--baseline", target.url, "--candidate", target.url, "--no-calibrate",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            until = time.monotonic() + 30
            while not target.arrivals and not any(target.received) and time.monotonic() < until:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.endswith(b"wiretape: interrupted.\n")
