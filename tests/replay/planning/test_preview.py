"""What a plan is said to send and to take, and whether this machine can do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.tape import Tape
from replay.cli import plan as plan_command
from replay.cli import replay as replay_command
from replay.options import PlanOptions
from replay.planning.foresight import foresee
from replay.planning.needs import Limits, shortages
from replay.planning.on_time import bare_rate, lateness, on_time
from tests.replay.recorder import get, write_tape
from tests.replay.taping import Request, tape_of

MS, S = 1_000_000, 1_000_000_000


def shown(tape: Path, *more: str) -> dict[str, Any]:
    said = CliRunner().invoke(plan_command, [str(tape), "--json", *more])
    assert said.exit_code == 0, said.output
    found: dict[str, Any] = json.loads(said.output)
    return found


def test_the_busiest_second_and_10_ms_are_told(tmp_path: Path) -> None:
    burst = [(n, 1001 + n / 100, get("/")) for n in range(50)]
    tape = write_tape(tmp_path / "x.tape", [(99, 0, get("/")), (98, 1500, get("/")), *burst])
    found = shown(tape)
    assert found["peak_rate"] == 51
    assert found["peak_rate_10ms"] == 50 * 100
    assert found["requests"] == 52
    assert shown(tape, "--speed", "max")["on_time"] is None


def test_concurrency_and_connections_at_once_are_those_of_the_recording(tmp_path: Path) -> None:
    # Each answer takes half a ms: three overlap, on connections of which four are open at once.
    times = [(1, 0.0), (2, 0.1), (3, 0.2), (1, 5.0), (4, 9.0)]
    tape = write_tape(tmp_path / "x.tape", [(c, at, get("/")) for c, at in times])
    found = shown(tape, "--no-calibrate")
    assert (found["peak_in_flight"], found["peak_connections"]) == (3, 4)
    assert found["descriptors"] > 4
    assert found["source_ports"] == 4
    assert found["on_time"] is None


def test_methods_that_may_change_something_are_named(tmp_path: Path) -> None:
    post = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    requests = [Request(1, n, get() if n % 3 else post) for n in range(9)]
    tape = tape_of(tmp_path / "x.tape", requests)
    with Tape.open(tape) as opened:
        assert opened.exchange_count == 9
    found = shown(tape)
    assert sum(found["unsafe"].values()) in (0, 3, 9)  # the tape's makers may name no method


@pytest.mark.parametrize(
    ("open_at_once", "ports", "words"),
    [
        (100, 100, []),
        (20_000, 20_000, ["ulimit -Hn 20064"]),
        (29_000, 29_000, ["ulimit", "--source-ip with 2"]),
        (100, 30_000, ["tcp_tw_reuse"]),
    ],
)
def test_a_limit_that_the_plan_exceeds_is_told_with_what_to_set(
    open_at_once: int, ports: int, words: list[str]
) -> None:
    told = shortages(open_at_once, ports, Limits(descriptors=10_000, ports=28_000))
    assert len(told) == len(words)
    for word, sentence in zip(words, told, strict=True):
        assert word in sentence


def test_the_limits_are_those_of_this_machine() -> None:
    import resource

    here = Limits.here()
    assert here.descriptors == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert here.ports > 0


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 30)), min_size=1, max_size=60),
    st.sampled_from([500.0, 10_000.0, 1e6]),
)
def test_the_wait_in_bursts_is_that_of_a_queue_worked_off_in_order(
    gaps: list[tuple[int, int]], per_s: float
) -> None:
    bins = np.cumsum([gap for gap, _ in gaps])
    counts = np.array([count for _, count in gaps])
    free, waits = 0.0, []
    for place, count in zip(bins.tolist(), counts.tolist(), strict=True):
        due = place * 1e-3
        for _ in range(count):
            start = max(free, due)
            waits.append(start - due)
            free = start + 1 / per_s
    _, most = lateness(bins, counts, MS, per_s)
    assert most == pytest.approx(max(waits) * S, abs=2)


def test_as_many_workers_are_advised_as_keep_bursts_on_time(monkeypatch: Any) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    bins, counts = np.arange(0, 1000), np.full(1000, 10)  # 100,000/s
    assert on_time(bins, counts, 100_000, 1e6).workers == 1
    assert on_time(bins, counts, 100_000, 2e5).workers == 2
    beyond = on_time(bins, counts, 100_000, 1e4)
    assert beyond.workers == 0
    assert beyond.sentence().startswith("no: ")


def test_a_core_of_this_machine_sends_something() -> None:
    assert bare_rate(0.05) > 100


@pytest.mark.parametrize("command", [plan_command, replay_command])
@pytest.mark.parametrize("chosen", [("--only", "GET /nope"), ("--drop", "*"), ("--from", "1h")])
def test_a_choice_that_leaves_nothing_is_told_in_one_sentence(
    tmp_path: Path, command: Any, chosen: tuple[str, ...]
) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/")), (1, 5, get("/"))])
    run = tmp_path / "run.tape"
    where = ["--target", "http://127.0.0.1:9", "-o", str(run)] if command is replay_command else []
    said = CliRunner().invoke(command, [str(tape), *chosen, *where])
    assert said.exit_code == 1
    assert f"{chosen[0]} leaves none" in str(said.exception)
    assert not run.exists()


def test_what_a_run_is_on_the_way_to_is_counted_or_judged_by_its_begin(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(n % 9, n * 10.0, get("/")) for n in range(6000)])
    with Tape.open(tape) as opened:
        exact = foresee(opened, PlanOptions(speed=2.0, loop=3))
        about = foresee(opened, PlanOptions(speed=2.0, loop=3), within_s=0)
        assert foresee(opened, PlanOptions(only=("/nope",))).requests == 0
        assert foresee(opened, PlanOptions(only=("GET",))).requests == 6000
        assert foresee(opened, PlanOptions(only=("POST",))).requests == 0
        assert foresee(opened, PlanOptions(drop=("GET",))).requests == 0
        assert foresee(opened, PlanOptions(speed=float("inf"))).span_ns == 0
    assert (exact.requests, exact.about) == (18_000, False)
    assert exact.span_ns == pytest.approx(90 * S, rel=0.01)
    assert about.about
    assert about.requests == pytest.approx(18_000, rel=0.01)
    assert about.span_ns == pytest.approx(90 * S, rel=0.01)
