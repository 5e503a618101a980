"""Connections end as and when they were recorded to end, also where a run is late or is over."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from capture.exchange import Close, Flag
from capture.tape import Tape
from replay.planning.plan import plan_chunks
from replay.run import replay
from replay.sending.ends import Ends
from shapes.chunks import join
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.sending.test_connections import Seen, between, options, watching
from tests.replay.taping import Request, tape_of
from tests.replay.test_targets import server_context


def test_an_end_has_come_only_when_all_that_is_due_before_was_sent() -> None:
    ends = Ends()
    ends.plan((1, 0), 10, Close.FIN_CLIENT)
    ends.plan((2, 0), 5, Close.RST_CLIENT)
    assert list(ends.come(10)) == [((2, 0), Close.RST_CLIENT)]
    assert ends.next_at == 10
    assert list(ends.come(11)) == [((1, 0), Close.FIN_CLIENT)]
    assert not ends


def test_of_different_ends_of_a_lane_the_last_counts_and_a_lane_that_is_gone_has_none() -> None:
    ends = Ends()
    for at in (10_000, 40_000, 30_000):
        ends.plan((1, 0), at, at)
    ends.plan((2, 0), 15_000, 1)
    ends.forget((2, 0))
    assert list(ends.come(25_000)) == []
    ends.plan((2, 0), 50_000, 1)
    assert list(ends.come(100_000)) == [((1, 0), 30_000), ((2, 0), 1)]
    assert list(ends.come(100_000)) == []


@pytest.mark.parametrize("part", [{"start": 5_000_000}, {"drop": ("*/first",)}])
def test_the_first_request_that_is_sent_opens_its_connection(
    tmp_path: Path, part: dict[str, object]
) -> None:
    requests = [
        Request(1, 0, get("/first")), Request(2, 1, get("/first")), Request(1, 10, get("/b")),
        Request(3, 12, get("/c")), Request(1, 20, get("/d")), Request(2, 30, get("/e")),
    ]  # fmt: skip
    closed = {1: (40.0, Close.FIN_CLIENT), 2: (40.0, Close.CAPTURE_END)}
    tape = tape_of(tmp_path / "x.tape", requests, {3: 11}, closed)
    with Tape.open(tape) as opened:
        plan = join(list(plan_chunks(opened, options("http://127.0.0.1:1", **part))))
    assert plan["first"].tolist() == [1, 1, 0, 1]


def test_an_end_in_a_shortened_silence_falls_into_what_is_left_of_it(
    tmp_path: Path,
) -> None:
    second = 1_000_000_000
    requests = [Request(1, 0, get()), Request(2, 60_000, get()), Request(2, 61_000, get())]
    closed = {1: (30_000.0, Close.FIN_CLIENT), 2: (400_000.0, Close.FIN_SERVER)}
    tape = tape_of(tmp_path / "x.tape", requests, {2: 59_000}, closed)
    with Tape.open(tape) as opened:
        chunks = list(plan_chunks(opened, options("http://127.0.0.1:1", max_gap=5 * second)))
    plan = join(chunks)
    assert plan["due_ns"].tolist() == [0, 5 * second, 6 * second]
    assert plan["open_ns"].tolist() == [0, 5 * second, 5 * second]
    assert plan["close_after"].tolist() == [5 * second, 6 * second, 5 * second]


@pytest.mark.parametrize(("close", "heard"), [(Close.FIN_CLIENT, "fin"), (Close.RST_CLIENT, "rst")])
def test_an_end_after_the_last_answer_of_a_run_is_waited_for_and_scaled(
    tmp_path: Path, close: Close, heard: str
) -> None:
    seen: Seen = []
    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())], closed_ms={1: (400, close)})
    with recorder(watching(seen)) as target:
        replay(tape, options(target.url, speed=2.0), tmp_path / "run.tape")
    assert [what for _, what in seen] == ["open", "data", heard]
    assert between(seen, "data", heard) > 0.15


@pytest.mark.parametrize("close", [Close.CAPTURE_END, Close.IDLE])
def test_what_nobody_closed_stays_open_to_the_end_of_the_run(tmp_path: Path, close: Close) -> None:
    lasted: list[float] = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            asked = time.monotonic()
            sock.sendall(ANSWER)
        lasted.append(time.monotonic() - asked)

    closed = {1: (1.0, close), 2: (200.0, Close.FIN_CLIENT)}
    requests = [Request(1, 0, get()), Request(2, 0, get())]
    tape = tape_of(tmp_path / "x.tape", requests, closed_ms=closed)
    with recorder(behave) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    assert min(lasted) > 0.1
    with Tape.open(tmp_path / "run.tape") as run:
        blocks = list(run.connections(["connection", "close"]))
    how = {
        int(number): int(way)
        for block in blocks
        for number, way in zip(
            np.asarray(block["connection"]), np.asarray(block["close"]), strict=True
        )
    }
    assert how == {1: Close.CAPTURE_END, 2: Close.FIN_CLIENT}


def test_the_end_of_a_connection_outside_the_part_that_is_sent_is_not_waited_for(
    tmp_path: Path,
) -> None:
    requests = [Request(1, 0, get()), Request(2, 50, get())]
    closed = {1: (60_000.0, Close.FIN_CLIENT)}
    tape = tape_of(tmp_path / "x.tape", requests, closed_ms=closed)
    with recorder() as target:
        began = time.monotonic()
        replay(tape, options(target.url, length=100_000_000), tmp_path / "run.tape")
    assert time.monotonic() - began < 30


def test_what_the_target_closed_itself_is_not_waited_for(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(ANSWER)

    tape = tape_of(
        tmp_path / "x.tape", [Request(1, 0, get())], closed_ms={1: (60_000, Close.FIN_SERVER)}
    )
    with recorder(behave) as target:
        began = time.monotonic()
        replay(tape, options(target.url), tmp_path / "run.tape")
    assert time.monotonic() - began < 30


def test_a_client_that_half_closed_and_waited_does_so_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
        seen.append("half closed")
        sock.sendall(ANSWER)
        time.sleep(0.05)
        seen.append("closed" if sock.recv(1) == b"" else "?")

    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get(), Flag.HALF_CLOSED)])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 1}
    assert seen[0] == "half closed"


@pytest.mark.parametrize(
    ("ended", "told"), [(Close.FIN_CLIENT, "its leave was taken"), (Close.RST_CLIENT, "reset")]
)
def test_connections_under_tls_end_as_recorded_too(tmp_path: Path, ended: Close, told: str) -> None:
    context, _ = server_context(tmp_path)
    seen: list[str] = []

    def behave(plain: socket.socket, pieces: list[bytes]) -> None:
        wrap = context.wrap_socket
        with wrap(plain, server_side=True, suppress_ragged_eofs=False) as sock:
            pieces.append(sock.recv(65536))
            if ended == Close.FIN_CLIENT:
                seen.append("more" if sock.recv(1) else "its leave was taken")
                return
            try:
                socket.socket.recv(sock, 1)  # what is below TLS: OpenSSL tells a reset as an end
                seen.append("more, or an end")
            except ConnectionResetError:
                seen.append("reset")

    tape = tape_of(
        tmp_path / "x.tape",
        [Request(1, 0, get(), Flag.NO_RESPONSE)],
        closed_ms={1: (100.0, ended)},
    )
    with recorder(behave) as target:
        url = target.url.replace("http:", "https:")
        summary = replay(tape, options(url, insecure=True), tmp_path / "run.tape")
    assert summary.outcomes == {"ABANDONED": 1}
    assert (seen, target.received[0]) == ([told], [get()])


@pytest.mark.parametrize("order", ["open", "strict"])
def test_a_run_that_falls_behind_stays_on_the_recorded_connections(
    tmp_path: Path, order: str
) -> None:
    asking, most, lock = Counter[str](), [0], threading.Lock()

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            with lock:
                asking["now"] += 1
                most[0] = max(most[0], asking["now"])
            time.sleep(0.005)
            with lock:
                asking["now"] -= 1
            sock.sendall(ANSWER)

    # Each connection has three requests and lasts 6 ms, a tenth of what the target needs for all.
    requests = [
        Request(number, number + 2 * place, get(f"/{number}/{place}"))
        for place in range(3)
        for number in range(8)
    ]
    requests.sort(key=lambda request: request.at_ms)
    closed = {number: (number + 6.0, Close.FIN_CLIENT) for number in range(8)}
    tape = tape_of(tmp_path / "x.tape", requests, closed_ms=closed)
    with recorder(behave) as target:
        slow = options(target.url, max_in_flight=1, order=order)
        summary = replay(tape, slow, tmp_path / "run.tape")
        assert len(target.received) == 8
    assert summary.outcomes == {"ANSWERED": 24}
    assert most == [1]
    assert summary.spare == 0


def test_a_client_that_gave_up_is_as_patient_where_its_request_is_late(tmp_path: Path) -> None:
    seen: Seen = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        first = sock.recv(65536)
        pieces.append(first)
        if first.startswith(b"GET /first"):
            time.sleep(0.3)
            sock.sendall(ANSWER)
            sock.recv(1)
            return
        seen.append((time.monotonic(), "data"))
        sock.recv(1)
        seen.append((time.monotonic(), "fin"))

    requests = [Request(1, 0, get("/first")), Request(2, 1, get("/gives-up"), Flag.NO_RESPONSE)]
    tape = tape_of(tmp_path / "x.tape", requests, closed_ms={2: (200, Close.FIN_CLIENT)})
    with recorder(behave) as target:
        replay(tape, options(target.url, max_in_flight=1), tmp_path / "run.tape")
    assert between(seen, "data", "fin") > 0.1


def test_at_full_speed_no_more_is_open_than_is_on_its_way_or_was_recorded_as_open(
    tmp_path: Path,
) -> None:
    requests = [Request(n, 10 * n, get(f"/{n}")) for n in range(60)]
    opened = {n: 10.0 * n for n in range(60)}
    closed = {n: (10.0 * n + 9, Close.RST_CLIENT if n % 2 else Close.FIN_CLIENT) for n in range(60)}
    tape = tape_of(tmp_path / "x.tape", requests, opened, closed)
    seen: Seen = []
    with recorder(watching(seen)) as target:
        fast = options(target.url, speed=math.inf, max_in_flight=4)
        summary = replay(tape, fast, tmp_path / "run.tape")
    assert summary.outcomes == {"ANSWERED": 60}
    assert Counter(what for _, what in seen) == {"open": 60, "data": 60, "fin": 30, "rst": 30}
    with Tape.open(tmp_path / "run.tape") as run:
        ends = [np.asarray(block["close"]) for block in run.connections(["close"])]
        (first, *_), (last, *_) = [
            [np.asarray(block[name]) for block in run.connections([name])]
            for name in ("opened_ns", "closed_ns")
        ]
    assert sorted(set(np.concatenate(ends).tolist())) == [Close.FIN_CLIENT, Close.RST_CLIENT]
    most = max(int(np.sum((first <= at) & (last > at))) for at in first)
    assert most <= 8
