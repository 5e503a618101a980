"""A run can leave the recorded connections for a pool, or for a new connection each time."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.exchange import Close, Lateness, Reuse
from capture.tape import Tape
from replay.cli import replay as command
from replay.options import ReplayOptions
from replay.planning.openings import POOL, Openings
from replay.run import replay
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.taping import Request, tape_of


def options(url: str, openings: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 3_000_000_000, "no_calibrate": True, "host": "keep", **more}
    return ReplayOptions(target=(url,), connections=openings, **settings)  # type: ignore[arg-type]


def column(path: Path, name: str) -> list[int]:
    with Tape.open(path) as run:
        blocks = [np.asarray(block[name]) for block in run.columns([name])]
    return np.concatenate(blocks).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_new_means_a_connection_for_each_request_that_is_closed_after_its_answer(
    tmp_path: Path, speed: float
) -> None:
    tape = tape_of(
        tmp_path / "x.tape", [Request(1, 5 * n, get(f"/{n}")) for n in range(30)],
        closed_ms={1: (1000, Close.RST_CLIENT)},
    )  # fmt: skip
    with recorder() as target:
        chosen = options(target.url, "new", speed=speed)
        summary = replay(tape, chosen, tmp_path / "run.tape")
        assert sorted(map(len, target.received)) == [1] * 30
    assert summary.outcomes == {"ANSWERED": 30}
    assert summary.spare == 0
    assert set(column(tmp_path / "run.tape", "reuse")) == {Reuse.FRESH}
    with Tape.open(tmp_path / "run.tape") as run:
        ends = [np.asarray(block["close"]) for block in run.connections(["close"])]
    assert set(np.concatenate(ends).tolist()) == {Close.FIN_CLIENT}


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_a_pool_has_so_many_connections_and_what_finds_none_free_waits(
    tmp_path: Path, speed: float
) -> None:
    def behave(sock, pieces) -> None:  # type: ignore[no-untyped-def]
        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(0.01)
            sock.sendall(ANSWER)

    tape = tape_of(tmp_path / "x.tape", [Request(n, n, get(f"/{n}")) for n in range(60)])
    with recorder(behave) as target:
        chosen = options(target.url, "pool:3", speed=speed)
        summary = replay(tape, chosen, tmp_path / "run.tape")
        assert len(target.received) == 3
        seen = [piece for one in target.received for piece in one]
    assert sorted(seen) == sorted(get(f"/{n}") for n in range(60))
    assert summary.outcomes == {"ANSWERED": 60}
    assert summary.spare == 0
    if speed == 1.0:
        assert Lateness.CONNECTION in column(tmp_path / "run.tape", "late_cause")


def test_a_pool_whose_target_closes_after_each_answer_goes_on(tmp_path: Path) -> None:
    def behave(sock, pieces) -> None:  # type: ignore[no-untyped-def]
        pieces.append(sock.recv(65536))
        sock.sendall(ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))

    tape = tape_of(tmp_path / "x.tape", [Request(n, n, get(f"/{n}")) for n in range(40)])
    with recorder(behave) as target:
        chosen = options(target.url, "pool:2")
        summary = replay(tape, chosen, tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 40}


def test_workers_share_the_pool() -> None:
    assert [Openings(POOL, 5).share(n, 2).size for n in range(2)] == [3, 2]
    assert Openings(POOL, 1).share(3, 4).size == 1
    assert str(Openings(POOL, 5)) == "pool:5"


@pytest.mark.parametrize("wrong", ["pool", "pool:0", "pool:x", "old", "new:3", ""])
def test_another_way_to_connect_is_wrong_usage(wrong: str) -> None:
    run = ["x.tape", "--target", "http://127.0.0.1:1", "--connections", wrong, "-o", "y.tape"]
    done = CliRunner().invoke(command, run)
    assert done.exit_code == 2
    assert "connections" in done.output
