"""Connections without a request are part of what was recorded."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
import pytest

from capture.exchange import Close, Connection
from capture.sanitize.sanitized import Sanitized
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.options import ReplayOptions
from replay.planning.silent import silent_connections
from replay.run import replay
from tests.replay.recorder import ANSWER, BASE_NS, get, recorder
from tests.replay.taping import MS, Request, fill

SILENT = {7: (50, 150, Close.FIN_CLIENT), 8: (60, 100, Close.RST_CLIENT), 9: (80, -1, 0)}


def tape_with_silent_ones(path: Path) -> Path:
    from capture.exchange import Exchange

    with TapeWriter(path, TapeHeader()) as writer:
        for place, at in enumerate((0, 200)):
            exchange = Exchange(1, place)
            exchange.opened_ns = BASE_NS
            fill(exchange, Request(1, at, get(f"/{at}")))
            writer.append(Sanitized(exchange, 1))
        for number, (opened, closed, how) in SILENT.items():
            ended = Connection(number, b"\0\0\0\0", 1, "203.0.113.7:80", BASE_NS, True)
            ended.opened_ns = BASE_NS + opened * MS
            ended.closed_ns = BASE_NS + closed * MS if closed >= 0 else -1
            ended.close = Close(how)
            writer.append_connection(ended, 1)
    return path


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 2_000_000_000, "no_calibrate": True, **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def test_they_are_opened_and_closed_when_and_as_they_were(tmp_path: Path) -> None:
    lives: list[tuple[float, float, str]] = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        began, how = time.monotonic(), "fin"
        try:
            while data := sock.recv(65536):
                pieces.append(data)
                sock.sendall(ANSWER)
        except ConnectionResetError:
            how = "rst"
        if not pieces:
            lives.append((began, time.monotonic(), how))

    tape = tape_with_silent_ones(tmp_path / "x.tape")
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 2}
    lives.sort()
    assert [how for _, _, how in lives] == ["fin", "rst", "fin"]
    assert lives[0][1] - lives[0][0] > 0.08
    assert lives[1][1] - lives[1][0] < lives[0][1] - lives[0][0]
    with Tape.open(tmp_path / "run.tape") as run:
        names = ["connection", "exchanges"]
        blocks = [[np.asarray(block[name]) for name in names] for block in run.connections(names)]
    seen = np.concatenate(blocks, axis=1).T.tolist()
    assert sorted(map(tuple, seen)) == [(1, 2), (7, 0), (8, 0), (9, 0)]


@pytest.mark.parametrize("more", [{"connections": "new"}, {"max_gap": 5}, {"loop": 2}])
def test_a_run_on_other_connections_or_times_leaves_them_out(
    tmp_path: Path, more: dict[str, object]
) -> None:
    tape = tape_with_silent_ones(tmp_path / "x.tape")
    with Tape.open(tape) as opened:
        assert silent_connections(opened, options("http://127.0.0.1:1", **more)) == []


def test_workers_share_them_and_speed_moves_them(tmp_path: Path) -> None:
    tape = tape_with_silent_ones(tmp_path / "x.tape")
    chosen = options("http://127.0.0.1:1", speed=2.0)
    with Tape.open(tape) as opened:
        parts = [silent_connections(opened, chosen, shard, 2) for shard in range(2)]
    found = sorted(each for part in parts for each in part)
    assert [each.connection for each in found] == [7, 8, 9]
    assert [each.opened for each in found] == [25 * MS, 30 * MS, 40 * MS]
    assert [each.closed for each in found] == [75 * MS, 50 * MS, -1]
