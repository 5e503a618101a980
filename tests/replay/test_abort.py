"""Conditions end a run early: the expressions, what they are measured over, and whole replays."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.exchange import NEVER, Outcome
from capture.tape import Tape
from replay.abort import Watch, parse
from replay.cli import replay as command
from replay.observe.glance import Glance, Part
from replay.verdict.gate import GateError
from tests.replay.recorder import ANSWER, get, recorder, write_tape

MS, S = 1_000_000, 1_000_000_000
TIMEOUT, FINE = int(Outcome.TIMED_OUT), int(Outcome.ANSWERED)


def part(statuses: list[int], *, service_ms: float = 5.0, late_ms: float = 0.0,
         outcomes: list[int] | None = None, recorded_ms: float = 5.0,
         endpoint: str = "GET /a") -> Part:  # fmt: skip
    rows = len(statuses)
    outcome = np.array(outcomes or [FINE] * rows, np.int8)
    service = np.where(outcome == FINE, round(service_ms * MS), NEVER)
    return Part(
        late_ns=np.full(rows, round(late_ms * MS)), endpoint=np.zeros(rows, np.int32),
        endpoints=[endpoint], service_ns=service, response_ns=service,
        status=np.array(statuses, np.int16), outcome=outcome, due_ns=np.zeros(rows, np.int64),
        target=np.zeros(rows, np.uint8), was_status=np.full(rows, 200, np.int16),
        recorded_ns=np.full(rows, round(recorded_ms * MS)),
    )  # fmt: skip


def looked(text: str, looks: list[list[Part]], flying: int = 0, every_s: float = 1.0) -> Watch:
    watch = Watch([text])
    for number, parts in enumerate(looks, 1):
        watch(Glance(0, round(number * every_s * S), in_flight=flying, parts=parts))
    return watch


@pytest.mark.parametrize(
    ("text", "holds", "fine"),
    [
        ("errors > 5% for 3s", part([500] * 10 + [200] * 90), part([500] * 5 + [200] * 95)),
        ("errors(GET /a*) > 0 for 3s", part([503, 200]), part([404, 200])),
        ("errors(/b) > 0 for 3s", part([503], endpoint="GET /b"), part([503])),
        ("errors(GET /b) > 0 for 3s", part([503], endpoint="GET /b"), part([503])),
        ("status(5xx) > 10 for 3s", part([503] * 5), part([503] * 3)),
        ("status(429) > 10% for 3s", part([429] + [200] * 8), part([429] + [200] * 9)),
        ("timeouts >= 3 for 3s", part([0], outcomes=[TIMEOUT]), part([0], outcomes=[5])),
        ("timeouts > 50% for 3s", part([0], outcomes=[TIMEOUT]), part([0, 200],
                                                                     outcomes=[TIMEOUT, FINE])),
        ("p99 > 20ms for 3s", part([200], service_ms=21), part([200], service_ms=19)),
        ("p50(GET /*) > 3 * recorded for 3s", part([200], service_ms=16), part([200])),
        ("lateness(p99) > 10ms for 3s", part([200], late_ms=12), part([200], late_ms=8)),
        ("rate < 10 for 3s", part([200] * 9), part([200] * 11)),
        ("errors > 5% and rate > 1 for 3s", part([500] * 2), part([500])),
        ("rate > 99 or errors > 5% for 3s", part([500] * 2), part([200])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_condition_holds_once_its_time_is_full_of_it(text: str, holds: Part, fine: Part) -> None:
    assert looked(text, [[holds]] * 2).reason == ""
    assert looked(text, [[holds]] * 3).reason.startswith(text)
    assert looked(text, [[fine]] * 9).reason == ""


def test_what_was_longer_ago_than_the_time_of_a_condition_counts_no_more() -> None:
    bad, good = [part([500] * 100)], [part([200] * 100)]
    assert looked("errors > 50% for 4s", [bad, good, good, good, good]).reason == ""
    assert looked("errors > 50% for 4s", [good] * 9 + [bad] * 3).reason != ""


def test_requests_that_nobody_answers_are_a_condition_of_their_own() -> None:
    assert looked("unanswered > 99 for 3s", [[]] * 3, flying=100).reason != ""
    assert looked("unanswered > 99 for 3s", [[]] * 3, flying=99).reason == ""
    assert looked("errors > 0 for 3s", [[]] * 9, flying=100).reason == ""


def test_what_several_workers_have_in_flight_is_added_up() -> None:
    watch = Watch(["unanswered > 99 for 2s"])
    for second in (1, 2, 3):
        for worker in (0, 1):
            watch(Glance(worker, second * S, in_flight=60))
    assert watch.reason != ""


@pytest.mark.parametrize(
    ("text", "caret"),
    [("errors > 5% for", 15), ("errors > 5% for soon", 16), ("errors > 5% for 0s", 16),
     ("erors > 5%", 0), ("errors 5%", 7), ("fidelity < 90", 0), ("p99 > 5% for 10s", 6)],
)  # fmt: skip
def test_a_wrong_condition_is_wrong_usage_with_a_caret_under_the_place(
    text: str, caret: int, tmp_path: Path
) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    args = [str(tape), "--target", "http://127.0.0.1:9", "-o", str(tmp_path / "run.tape")]
    said = CliRunner().invoke(command, [*args, "--abort-if", text])
    assert said.exit_code == 2
    line = next(line for line in said.output.splitlines() if line.strip() == "^")
    assert line == "  " + " " * caret + "^"


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_a_wrong_one(text: str) -> None:
    for each in (text, f"errors > {text}", f"errors > 5% for {text}"):
        try:
            parse(each)
        except GateError:
            pass


def invoked(tmp_path: Path, url: str, *more: str) -> Any:
    requests = [(n % 4, n * 10.0, get("/fine" if n < 60 else "/broken")) for n in range(1000)]
    tape = write_tape(tmp_path / "x.tape", requests)
    args = [str(tape), "--target", url, "-o", str(tmp_path / "run.tape"), "--no-calibrate", *more]
    return CliRunner().invoke(command, args, standalone_mode=False)


def breaking(sock: socket.socket, pieces: list[bytes]) -> None:
    while data := sock.recv(65536):
        pieces.append(data)
        fine = b"/fine" in data
        sock.sendall(ANSWER if fine else b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")


def test_a_run_that_is_aborted_ends_with_3_and_is_valid_and_says_why(tmp_path: Path) -> None:
    with recorder(breaking) as target:
        said = invoked(tmp_path, target.url, "--abort-if", "errors > 20% for 1s")
    assert said.return_value == 3, said.output
    assert "errors > 20% for 1s" in said.output
    with Tape.open(tmp_path / "run.tape", strict=True) as run:
        assert run.whole
        assert 60 < run.exchange_count < 1000
        (why,) = run.ledger.fates("ends of the run")
    assert why.startswith("aborted: errors > 20% for 1s")


def test_a_condition_that_never_holds_changes_nothing(tmp_path: Path) -> None:
    with recorder() as target:
        said = invoked(tmp_path, target.url, "--abort-if", "errors > 20% for 1s", "--speed", "10")
    assert said.return_value == 0, said.output
    with Tape.open(tmp_path / "run.tape") as run:
        assert run.exchange_count == 1000
        assert not run.ledger.fates("ends of the run")
