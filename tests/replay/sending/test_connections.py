"""Connections are opened, kept, written to and ended as they were recorded."""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capture.exchange import Close, Flag, RequestEnd, Reuse
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.taping import Request, tape_of

Seen = list[tuple[float, str]]


def options(url: str, **more: object) -> ReplayOptions:
    settings = {"timeout": 2_000_000_000, "no_calibrate": True, "host": "keep", **more}
    return ReplayOptions(target=(url,), **settings)  # type: ignore[arg-type]


def watching(seen: Seen, answer: bytes = ANSWER) -> Callable[[socket.socket, list[bytes]], None]:
    """Note when a connection opened, when bytes came and how it ended."""

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        seen.append((time.monotonic(), "open"))
        try:
            while data := sock.recv(65536):
                pieces.append(data)
                seen.append((time.monotonic(), "data"))
                if answer:
                    sock.sendall(answer)
        except ConnectionResetError:
            seen.append((time.monotonic(), "rst"))
            return
        seen.append((time.monotonic(), "fin"))

    return behave


def between(seen: Seen, first: str, second: str) -> float:
    at = {what: when for when, what in reversed(seen)}
    return at[second] - at[first]


def test_a_connection_is_opened_when_it_was_opened(tmp_path: Path) -> None:
    seen: Seen = []
    requests = [Request(1, 0, get()), Request(2, 300, get())]
    tape = tape_of(tmp_path / "x.tape", requests, opened_ms={2: 100})
    with recorder(watching(seen)) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    opens = [when for when, what in seen if what == "open"]
    sends = [when for when, what in seen if what == "data"]
    assert len(opens) == 2
    assert sends[1] - opens[1] > 0.1


@pytest.mark.parametrize(("close", "heard"), [(Close.FIN_CLIENT, "fin"), (Close.RST_CLIENT, "rst")])
def test_a_connection_is_closed_when_and_how_it_was_closed(
    tmp_path: Path, close: Close, heard: str
) -> None:
    seen: Seen = []
    tape = tape_of(
        tmp_path / "x.tape",
        [Request(1, 0, get()), Request(2, 600, get())],
        opened_ms={2: 500},
        closed_ms={1: (200, close)},
    )
    with recorder(watching(seen)) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    ends = [what for _, what in seen]
    assert ends[:3] == ["open", "data", heard]
    assert between(seen, "data", heard) > 0.15


def test_a_request_cut_off_by_a_reset_is_sent_so_far_and_then_reset(tmp_path: Path) -> None:
    seen: Seen = []
    cut = b"POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this"
    request = Request(1, 0, cut, Flag.NO_RESPONSE, RequestEnd.RST)
    tape = tape_of(tmp_path / "x.tape", [request], closed_ms={1: (150, Close.RST_CLIENT)})
    with recorder(watching(seen, b"")) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert target.received == [[cut]]
    assert [what for _, what in seen] == ["open", "data", "rst"]
    assert summary.outcomes == {"ABANDONED": 1}


@pytest.mark.parametrize("ended", [RequestEnd.FIN, RequestEnd.SILENCE])
@pytest.mark.parametrize("known", [True, False])
def test_a_request_cut_off_by_a_close_or_by_silence_is_abandoned(
    tmp_path: Path, ended: RequestEnd, known: bool
) -> None:
    seen: Seen = []
    close = Close.FIN_CLIENT if ended == RequestEnd.FIN else Close.IDLE
    request = Request(1, 0, b"GET /half HTTP/1.1\r\nHos", Flag.NO_RESPONSE, ended)
    closed = {1: (100.0, close)} if known else None
    tape = tape_of(tmp_path / "x.tape", [request], closed_ms=closed)
    with recorder(watching(seen, b"")) as target:
        short = options(target.url, timeout=300_000_000)
        summary = replay(tape, short, tmp_path / "run.tape")
    assert [what for _, what in seen] == ["open", "data", "fin"]
    assert summary.outcomes == {"ABANDONED": 1}


@pytest.mark.parametrize("speed", [1.0, math.inf])
@pytest.mark.parametrize("ended", [RequestEnd.CAPTURE_END, RequestEnd.GAP, RequestEnd.SILENCE])
def test_a_request_whose_end_was_not_recorded_is_not_waited_for(
    tmp_path: Path, ended: RequestEnd, speed: float
) -> None:
    seen: Seen = []
    request = Request(1, 0, b"GET /half HTTP/1.1\r\nHos", Flag.NO_RESPONSE, ended)
    tape = tape_of(tmp_path / "x.tape", [request])
    with recorder(watching(seen, b"")) as target:
        patient = options(target.url, timeout=60_000_000_000, speed=speed)
        summary = replay(tape, patient, tmp_path / "run.tape")
    assert [what for _, what in seen] == ["open", "data", "fin"]
    assert summary.outcomes == {"ABANDONED": 1}


def test_a_client_that_gave_up_waiting_gives_up_again(tmp_path: Path) -> None:
    seen: Seen = []
    request = Request(1, 0, get("/slow"), Flag.NO_RESPONSE)
    tape = tape_of(tmp_path / "x.tape", [request], closed_ms={1: (150, Close.FIN_CLIENT)})
    with recorder(watching(seen, b"")) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"ABANDONED": 1}
    assert between(seen, "data", "fin") > 0.1


def test_a_slow_client_sends_its_pieces_with_their_pauses(tmp_path: Path) -> None:
    times: list[float] = []

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while len(b"".join(pieces)) < len(raw):
            pieces.append(sock.recv(65536))
            times.append(time.monotonic())
        sock.sendall(ANSWER)
        sock.recv(1)

    raw = b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\n0123456789"
    body = raw.find(b"0123")
    request = Request(1, 0, raw, pieces=((10, 100), (body + 4, 200)))
    tape = tape_of(tmp_path / "x.tape", [request])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert target.received == [[raw[:10], raw[10 : body + 4], raw[body + 4 :]]]
    assert min(np.diff(times)) > 0.05
    assert summary.answered == 1


def test_pieces_keep_their_place_in_the_body_when_the_head_is_rewritten(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while not b"".join(pieces).endswith(b"6789"):
            pieces.append(sock.recv(65536))
        sock.sendall(ANSWER)
        sock.recv(1)

    raw = b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\n0123456789"
    request = Request(1, 0, raw, pieces=((len(raw) - 6, 100),))
    tape = tape_of(tmp_path / "x.tape", [request])
    with recorder(behave) as target:
        replay(tape, options(target.url, host="a-longer-name.test"), tmp_path / "run.tape")
    assert target.received[0][1] == b"456789"


def test_a_body_that_the_capture_cut_is_filled_to_its_length(tmp_path: Path) -> None:
    size = 3_000_000
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        left = len(head) + size
        while left:
            left -= len(data := sock.recv(1 << 20))
            pieces.append(data)
        sock.sendall(ANSWER)
        sock.recv(1)

    request = Request(1, 0, head + b"abc", Flag.CUT_BY_CAPTURE, length=len(head) + size)
    tape = tape_of(tmp_path / "x.tape", [request])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert b"".join(target.received[0]) == head + b"abc" + b"x" * (size - 3)
    assert summary.outcomes == {"ANSWERED": 1}


def test_pipelined_requests_go_out_on_one_connection_without_waiting(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while len(b"".join(pieces)) < 3 * len(get("/a")):
            pieces.append(sock.recv(65536))
        sock.sendall(ANSWER * 3)
        sock.recv(1)

    requests = [
        Request(1, 0, get("/a")),
        Request(1, 1, get("/b"), Flag.PIPELINED),
        Request(1, 2, get("/c"), Flag.PIPELINED),
    ]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert b"".join(target.received[0]) == get("/a") + get("/b") + get("/c")
    assert summary.answered == 3
    assert summary.spare == 0


def test_strict_order_waits_on_the_recorded_connection(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(0.1)
            sock.sendall(ANSWER)

    tape = tape_of(tmp_path / "x.tape", [Request(1, n, get(f"/{n}")) for n in range(3)])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url, order="strict"), tmp_path / "run.tape")
    assert target.received == [[get("/0"), get("/1"), get("/2")]]
    assert summary.spare == 0
    assert summary.lateness["max"] > 100_000_000


def test_a_target_that_closes_after_each_response_gets_a_connection_for_each(
    tmp_path: Path,
) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    tape = tape_of(tmp_path / "x.tape", [Request(1, n * 60, get(f"/{n}")) for n in range(3)])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.answered == 3
    assert len(target.received) == 3


def test_a_target_that_resets_is_an_outcome(tmp_path: Path) -> None:
    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get())])
    with recorder(behave) as target:
        summary = replay(tape, options(target.url), tmp_path / "run.tape")
    assert summary.outcomes == {"RESET": 1}


def test_the_run_tells_the_connections_that_were_made(tmp_path: Path) -> None:
    requests = [Request(1, 0, get("/a")), Request(1, 50, get("/b")), Request(2, 60, get("/c"))]
    tape = tape_of(tmp_path / "x.tape", requests, closed_ms={1: (90, Close.FIN_CLIENT)})
    with recorder() as target:
        replay(tape, options(target.url, order="strict"), tmp_path / "run.tape")
    names = ["connection", "opened_ns", "closed_ns", "close", "exchanges", "client_bytes"]
    with Tape.open(tmp_path / "run.tape") as run:
        blocks = list(run.connections(names))
        (reuse,) = (np.asarray(block["reuse"]) for block in run.columns(["reuse"]))
    rows = {name: np.concatenate([block[name] for block in blocks]).tolist() for name in names}
    assert sorted(zip(rows["connection"], rows["exchanges"], strict=True)) == [(1, 2), (2, 1)]
    assert sum(rows["client_bytes"]) == 3 * len(get("/a"))
    assert all(
        opened < closed for opened, closed in zip(rows["opened_ns"], rows["closed_ns"], strict=True)
    )
    assert sorted(reuse.tolist()) == [Reuse.FRESH, Reuse.FRESH, Reuse.REUSED]
