"""The short way of plain requests gives way, in mid-course, to whatever is not plain."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.exchange import Close, Flag, Outcome, Reuse
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.taping import Request, tape_of

pytestmark = pytest.mark.usefixtures("way")
COLUMNS = ["outcome", "reuse", "status", "response_bytes", "target"]
TIMES = ["request_first_ns", "request_last_ns", "response_first_ns", "response_last_ns"]
Behave = Callable[[socket.socket, list[bytes]], None]


def options(url: str, **more: Any) -> ReplayOptions:
    settings: dict[str, Any] = {"timeout": 2_000_000_000, "no_calibrate": True, "host": "keep"}
    return ReplayOptions(target=(url,), **{**settings, **more})


def rows_of(run: Path) -> dict[str, Any]:
    """The columns of a run by name, in the order of its targets."""
    with Tape.open(run) as tape:
        (block,) = tape.columns([*COLUMNS, *TIMES])
    targets = block["target"].strings()  # type: ignore[union-attr]
    order = sorted(range(len(targets)), key=lambda row: targets[row])
    rows = {name: np.asarray(block[name])[order] for name in (*COLUMNS[:-1], *TIMES)}
    return {**rows, "target": [targets[row] for row in order]}


def after(calm: int, then: Behave) -> Behave:
    """Answer so many requests at once, one by one, and then do that."""

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        for _ in range(calm):
            pieces.append(sock.recv(65536))
            sock.sendall(ANSWER)
        then(sock, pieces)

    return behave


def paced(count: int) -> list[Request]:
    """Requests on one connection that leave it time to rest."""
    return [Request(1, 40 * number, get(f"/{number}")) for number in range(count)]


def _nothing(_sock: socket.socket, _pieces: list[bytes]) -> None:
    pass


def test_plain_requests_are_booked_alike_whichever_way_they_went(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "x.tape", paced(6))
    with recorder(after(6, _nothing)) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.answered == 6
    assert len(target.received) == 1
    rows = rows_of(tmp_path / "run.tape")
    assert rows["reuse"].tolist() == [Reuse.FRESH] + [Reuse.REUSED] * 5
    assert set(rows["outcome"].tolist()) == {Outcome.ANSWERED}
    assert set(rows["status"].tolist()) == {200}
    assert set(rows["response_bytes"].tolist()) == {len(ANSWER)}
    ordered = np.stack([rows[name] for name in TIMES])
    assert (np.diff(ordered, axis=0) >= 0).all()


def test_what_follows_before_the_answer_goes_out_behind_the_one_on_its_way(tmp_path: Path) -> None:
    def both(sock: socket.socket, pieces: list[bytes]) -> None:
        seen = b""
        while seen.count(b"\r\n\r\n") < 2:
            seen += sock.recv(65536)
        pieces.append(seen)
        sock.sendall(ANSWER + ANSWER)
        sock.recv(1)

    pair = [Request(1, 160, get("/8")), Request(1, 190, get("/9"), Flag.PIPELINED)]
    tape = tape_of(tmp_path / "x.tape", [*paced(4), *pair])
    with recorder(after(4, both)) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert (summary.answered, summary.spare) == (6, 0)
    assert target.received[0][-1] == get("/8") + get("/9")


@pytest.mark.parametrize("order", ["strict", "open"])
def test_a_request_due_while_its_connection_waits_goes_where_the_order_says(
    tmp_path: Path, order: str
) -> None:
    def slowly(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.settimeout(0.3)
        try:
            pieces.append(sock.recv(65536))  # nothing comes before the answer
        except TimeoutError:
            sock.settimeout(5)
        sock.sendall(ANSWER)
        while data := sock.recv(65536):
            pieces.append(data)
            sock.sendall(ANSWER)

    tape = tape_of(tmp_path / "x.tape", [*paced(4), Request(1, 130, get("/next"))])
    with recorder(after(3, slowly)) as target:
        summary = replay(tape, options(target.url, order=order), tmp_path / "run.tape")
    assert summary.answered == 5
    assert summary.spare == (0 if order == "strict" else 1)
    assert len(target.received) == (1 if order == "strict" else 2)


def test_an_answer_in_pieces_is_followed_by_the_wire(tmp_path: Path) -> None:
    def in_pieces(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        for place in range(len(ANSWER)):
            sock.sendall(ANSWER[place : place + 1])
        sock.recv(1)

    tape = tape_of(tmp_path / "x.tape", paced(4))
    with recorder(after(3, in_pieces)) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    rows = rows_of(tmp_path / "run.tape")
    assert set(rows["outcome"].tolist()) == {Outcome.ANSWERED}
    assert set(rows["response_bytes"].tolist()) == {len(ANSWER)}


def _reset(sock: socket.socket, pieces: list[bytes]) -> None:
    pieces.append(sock.recv(65536))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _silence(sock: socket.socket, pieces: list[bytes]) -> None:
    pieces.append(sock.recv(65536))
    sock.recv(1)


def _garbage(sock: socket.socket, pieces: list[bytes]) -> None:
    pieces.append(sock.recv(65536))
    sock.sendall(b"\0\1\2 nothing of HTTP\r\n\r\n")


def _close(sock: socket.socket, pieces: list[bytes]) -> None:
    pieces.append(sock.recv(65536))


@pytest.mark.parametrize(
    ("then", "outcome"),
    [
        (_reset, Outcome.RESET),
        (_silence, Outcome.TIMED_OUT),
        (_garbage, Outcome.GARBAGE),
        (_close, Outcome.CLOSED),
    ],
)
def test_what_befalls_a_request_on_the_short_way_is_its_outcome(
    tmp_path: Path, then: Behave, outcome: Outcome
) -> None:
    tape = tape_of(tmp_path / "x.tape", paced(4))
    with recorder(after(3, then)) as target:
        chosen = options(target.url, timeout=400_000_000)
        replay(tape, chosen, tmp_path / "run.tape")
    rows = rows_of(tmp_path / "run.tape")
    assert rows["outcome"].tolist() == [Outcome.ANSWERED] * 3 + [outcome]
    assert rows["request_last_ns"].tolist()[-1] >= rows["request_first_ns"].tolist()[-1] > 0


def test_a_calm_connection_ends_as_recorded(tmp_path: Path) -> None:
    ended: list[str] = []

    def how(sock: socket.socket, _pieces: list[bytes]) -> None:
        try:
            ended.append("data" if sock.recv(65536) else "fin")
        except ConnectionResetError:
            ended.append("rst")

    closed = {1: (220.0, Close.RST_CLIENT)}
    tape = tape_of(tmp_path / "x.tape", paced(4), closed_ms=closed)
    with recorder(after(4, how)) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    assert ended == ["rst"]
