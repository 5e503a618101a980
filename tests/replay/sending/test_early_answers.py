"""Answers that come before the end of a request, or before the request."""

from __future__ import annotations

import math
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.exchange import Close
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import ANSWER, get, recorder
from tests.replay.taping import Request, tape_of

pytestmark = pytest.mark.usefixtures("way")
SIZE = 6_000_000
HEAD = b"POST /upload HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n"
LARGE = HEAD % SIZE + b"u" * SIZE
IN_PIECES = HEAD % 300 + b"p" * 300


def options(url: str, **more: Any) -> ReplayOptions:
    settings: dict[str, Any] = {"timeout": 5_000_000_000, "no_calibrate": True, "host": "keep"}
    return ReplayOptions(target=(url,), **{**settings, **more})


def early(sock: socket.socket, pieces: list[bytes]) -> None:
    """Answer a head at once, and read the rest at leisure; then what follows, one by one."""
    pieces.append(sock.recv(65536))
    sock.sendall(ANSWER)
    time.sleep(0.3)
    while data := sock.recv(1 << 20):
        pieces.append(data)
        if b"".join(pieces[-2:]).endswith(b"\r\n\r\n"):
            sock.sendall(ANSWER)


@pytest.mark.parametrize("how", ["recorded", "pool:1"])
@pytest.mark.parametrize(("order", "speed"), [("open", 1.0), ("strict", 1.0), ("open", math.inf)])
@pytest.mark.parametrize("large", [True, False], ids=["large", "in pieces"])
def test_no_request_goes_out_in_the_middle_of_another_that_is_answered_already(
    tmp_path: Path, large: bool, order: str, speed: float, how: str
) -> None:
    first = Request(1, 0, LARGE) if large else Request(1, 0, IN_PIECES, pieces=((200, 150),))
    tape = tape_of(tmp_path / "x.tape", [first, Request(1, 60, get("/a")), Request(1, 90, get())])
    with recorder(early) as target:
        chosen = options(target.url, order=order, speed=speed, connections=how)
        summary = replay(tape, chosen, tmp_path / "run.tape")
    assert summary.answered == 3
    streams = sorted(b"".join(pieces) for pieces in target.received)
    following = get("/a") + get()
    if len(streams) == 1:
        assert streams[0] == first.raw + following
    else:  # the connection was busy: they went out on a spare
        assert b"".join(sorted(streams[1:])) == first.raw
        assert streams[0] == following


def test_a_connection_whose_request_is_answered_early_ends_after_the_request(
    tmp_path: Path,
) -> None:
    first = Request(1, 0, IN_PIECES, pieces=((200, 150),))
    tape = tape_of(tmp_path / "x.tape", [first], closed_ms={1: (60, Close.FIN_CLIENT)})
    with recorder(early) as target:
        replay(tape, options(target.url), tmp_path / "run.tape")
    assert [b"".join(pieces) for pieces in target.received] == [first.raw]


def test_what_came_behind_an_answer_is_no_answer_to_what_is_sent_after(tmp_path: Path) -> None:
    def twice(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        time.sleep(0.1)
        sock.sendall(ANSWER + ANSWER)
        while data := sock.recv(65536):
            pieces.append(data)
            time.sleep(0.1)
            sock.sendall(ANSWER)

    tape = tape_of(tmp_path / "x.tape", [Request(1, 0, get("/a")), Request(1, 20, get("/b"))])
    with recorder(twice) as target:
        replay(tape, options(target.url, order="strict"), tmp_path / "run.tape")
    with Tape.open(tmp_path / "run.tape") as run:
        (block,) = run.columns(["request_first_ns", "response_first_ns", "status"])
    assert np.asarray(block["status"]).tolist() == [200, 200]
    waited = np.asarray(block["response_first_ns"]) - np.asarray(block["request_first_ns"])
    assert (waited > 0).all()
