"""At full speed the answers set the pace, and nothing else differs from a replay on time."""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xxhash

from capture.exchange import NEVER, Flag, Outcome, RequestEnd, Reuse
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.outcome import Summary
from replay.run import replay
from tests.replay.recorder import ANSWER, Recorder, get, recorder
from tests.replay.taping import Request, tape_of

Behave = Callable[[socket.socket, list[bytes]], None]
pytestmark = pytest.mark.usefixtures("way")
NAMES = (
    "source", "connection", "due_ns", "request_first_ns", "request_last_ns", "response_first_ns",
    "response_last_ns", "status", "response_bytes", "response_digest", "outcome", "reuse",
)  # fmt: skip


def at_max(tmp_path: Path, requests: list[Request], url: str, **more: object) -> Summary:
    tape = tape_of(tmp_path / "x.tape", requests)
    settings = {"no_calibrate": True, "host": "keep", "timeout": 2_000_000_000, **more}
    options = ReplayOptions(target=(url,), speed=math.inf, **settings)  # type: ignore[arg-type]
    return replay(tape, options, tmp_path / "run.tape")


def rows(tmp_path: Path) -> dict[str, np.ndarray]:
    """The columns of the run, in the order of the tape."""
    with Tape.open(tmp_path / "run.tape") as run:
        blocks = list(run.columns(NAMES))
    whole = {name: np.concatenate([np.asarray(block[name]) for block in blocks]) for name in NAMES}
    order = np.argsort(whole["source"])
    return {name: column[order] for name, column in whole.items()}


def framed(
    answer: Callable[[int, bytes], bytes], close_after: int = 0, reset: bool = False
) -> Behave:
    """Answer each request by its number on the connection; perhaps end it after so many."""

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        held, number = b"", 0
        while data := sock.recv(65536):
            held += data
            while b"\r\n\r\n" in held:
                request, held = held.split(b"\r\n\r\n", 1)
                pieces.append(request + b"\r\n\r\n")
                sock.sendall(answer(number, request))
                number += 1
                if number == close_after:
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
                    return

    return behave


_RST = struct.pack("ii", 1, 0)


def many(count: int = 5000, connections: int = 7) -> list[Request]:
    return [Request(1 + n % connections, n / 100, get(f"/{n}")) for n in range(count)]


def numbers(target: Recorder) -> list[list[int]]:
    return [[int(each.split(b" ")[1][1:]) for each in one] for one in target.received]


def test_every_request_goes_out_once_on_its_connection_and_in_order(tmp_path: Path) -> None:
    with recorder(framed(lambda *_: ANSWER)) as target:
        summary = at_max(tmp_path, many(), target.url)
        seen = numbers(target)
    assert summary.outcomes == {"ANSWERED": 5000}
    assert sorted(seen) == [list(range(n, 5000, 7)) for n in range(7)]
    run = rows(tmp_path)
    assert (run["status"] == 200).all()
    assert (run["response_bytes"] == len(ANSWER)).all()
    assert (run["response_digest"] == xxhash.xxh3_64_intdigest(b"ok")).all()
    assert (run["due_ns"] == run["request_first_ns"]).all()
    assert (run["request_first_ns"] <= run["request_last_ns"]).all()
    assert (run["request_last_ns"] <= run["response_first_ns"]).all()
    assert (run["response_first_ns"] <= run["response_last_ns"]).all()
    assert run["reuse"].tolist().count(Reuse.FRESH) == 7
    for connection in np.unique(run["connection"]):
        own = run["connection"] == connection
        assert (run["request_first_ns"][own][1:] >= run["response_last_ns"][own][:-1]).all()
    with Tape.open(tmp_path / "run.tape") as tape:
        (block,) = tape.connections(["exchanges", "client_bytes", "server_bytes"])
    sums = {name: int(np.asarray(column).sum()) for name, column in block.items()}
    assert sums["exchanges"] == 5000
    assert sums["server_bytes"] == 5000 * len(ANSWER)
    assert sums["client_bytes"] == sum(len(each.raw) for each in many())


def test_answers_of_all_kinds_are_told_as_they_are(tmp_path: Path) -> None:
    def answer(_number: int, request: bytes) -> bytes:
        n = int(request.split(b" ")[1][1:])
        body = b"%d" % n * (n % 5000)
        if request.startswith(b"HEAD"):
            return b"HTTP/1.1 204 No\r\nContent-Length: 99\r\n\r\n"
        if n % 3 == 0:
            return b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                len(body) or 1, body or b"-",
            )  # fmt: skip
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    requests = [
        Request(n % 5, n, (b"HEAD" if n % 7 == 0 else b"GET") + get(f"/{n}")[3:])
        for n in range(300)
    ]
    with recorder(framed(answer)) as target:
        summary = at_max(tmp_path, requests, target.url)
    assert summary.outcomes == {"ANSWERED": 300}
    run = rows(tmp_path)
    for n in range(300):
        head = n % 7 == 0
        body = b"%d" % n * (n % 5000)
        wanted = b"" if head else (body or b"-") if n % 3 == 0 else body
        digest = xxhash.xxh3_64_intdigest(wanted) if wanted else 0
        assert run["status"][n] == (204 if head else 404 if n % 3 == 0 else 200)
        assert run["response_digest"][n] == digest


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_the_target_ends_takes_no_other_request_with_it(
    tmp_path: Path, reset: bool
) -> None:
    """The last answer and the end of the connection may come together."""
    with recorder(framed(lambda *_: ANSWER, close_after=50, reset=reset)) as target:
        summary = at_max(tmp_path, many(2000, 3), target.url)
        seen = [number for one in numbers(target) for number in one]
    assert len(seen) == len(set(seen))
    lost = 2000 - summary.answered
    assert set(summary.outcomes) <= {"ANSWERED", "CLOSED", "RESET", "SHORT"}
    assert lost <= 2 * len(target.received)
    assert len(seen) >= summary.answered


def test_a_target_that_says_close_gets_a_connection_for_each(tmp_path: Path) -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with recorder(framed(lambda *_: last, close_after=1)) as target:
        summary = at_max(tmp_path, many(60, 4), target.url)
        seen = sorted(number for one in numbers(target) for number in one)
    assert summary.outcomes == {"ANSWERED": 60}
    assert seen == list(range(60))


def test_requests_that_are_not_plain_keep_their_place_among_the_others(tmp_path: Path) -> None:
    def sized(sock: socket.socket, pieces: list[bytes]) -> None:
        held = b""
        while data := sock.recv(65536):
            held += data
            while len(held) >= 70:
                pieces.append(held[:70])
                held = held[70:]
                sock.sendall(ANSWER)

    def raw(n: int) -> bytes:
        head = b"POST /%05d HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n" % n
        return (head + b"X: " + b"x" * 80)[:46] + b"\r\n\r\n" + b"b" * 20

    requests = []
    for n in range(400):
        body = raw(n)
        if n % 10 == 3:
            requests.append(Request(n % 3, n, body, pieces=((60, 1),)))
        elif n % 10 == 6:
            requests.append(Request(n % 3, n, body[:-9], Flag.CUT_BY_CAPTURE, length=70))
        else:
            requests.append(Request(n % 3, n, body))
    with recorder(sized) as target:
        summary = at_max(tmp_path, requests, target.url)
        seen = [[int(each[6:11]) for each in one] for one in target.received]
    assert summary.outcomes == {"ANSWERED": 400}
    assert sorted(seen) == [list(range(n, 400, 3)) for n in range(3)]


def test_a_target_that_refuses_is_an_outcome_of_every_request(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    summary = at_max(tmp_path, many(3000, 5), url)
    assert summary.outcomes == {"REFUSED": 3000}


def test_a_target_that_stops_answering_is_given_up_and_what_waited_is_tried_again(
    tmp_path: Path,
) -> None:
    stuck = threading.Event()

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        framed(lambda n, _: b"" if n == 20 and not stuck.is_set() else ANSWER)(sock, pieces)
        stuck.set()

    with recorder(behave) as target:
        summary = at_max(tmp_path, many(200, 2), target.url, timeout=300_000_000)
    assert summary.outcomes["TIMED_OUT"] >= 1
    assert summary.answered + summary.outcomes["TIMED_OUT"] == 200
    run = rows(tmp_path)
    given_up = run["outcome"] == Outcome.TIMED_OUT
    assert (run["response_last_ns"][given_up] == NEVER).all()
    assert (run["request_last_ns"][given_up] != NEVER).all()


def test_no_more_than_the_window_is_under_way(tmp_path: Path) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        nonlocal under_way, most
        while data := sock.recv(65536):
            pieces.append(data)
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.002)
            with lock:
                under_way -= 1
            sock.sendall(ANSWER)

    with recorder(behave) as target:
        summary = at_max(tmp_path, many(100, 20), target.url, max_in_flight=3)
    assert summary.answered == 100
    assert most <= 3


def test_what_was_never_reached_is_not_in_a_run_that_was_stopped(tmp_path: Path) -> None:
    with recorder(framed(lambda *_: ANSWER)) as target:
        summary = at_max(tmp_path, many(4_000, 4), target.url, duration=300_000_000, loop=50)
    assert set(summary.outcomes) == {"ANSWERED"}
    assert 0 < summary.answered < 200_000


def test_a_request_that_the_client_cut_off_is_sent_so_far(tmp_path: Path) -> None:
    cut = Request(1, 0, b"GET /half HTTP/1.1\r\nHos", Flag.NO_RESPONSE, RequestEnd.FIN)
    with recorder(framed(lambda *_: ANSWER)) as target:
        summary = at_max(tmp_path, [cut, Request(2, 1, get("/2"))], target.url)
    assert summary.outcomes == {"ABANDONED": 1, "ANSWERED": 1}


def test_requests_keep_their_order_where_a_connection_is_lost_in_mid_course(tmp_path: Path) -> None:
    def loses_the_second(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            if b"/1 " in data:
                time.sleep(0.2)  # until the others wait behind it
                return
            sock.sendall(ANSWER)

    head = b"HEAD /3 HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    requests = [get(f"/{number}") for number in range(8)]
    requests[3] = head  # what is not plain begins another chain
    with recorder(loses_the_second) as target:
        at_max(tmp_path, [Request(1, k, raw) for k, raw in enumerate(requests)], target.url)
    assert b"".join(piece for pieces in target.received for piece in pieces) == b"".join(requests)
