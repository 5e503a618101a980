"""What a run keeps of the answers: nothing, digests, heads or bodies, and never a secret."""

from __future__ import annotations

import math
import secrets
from pathlib import Path

import numpy as np
import pytest
import xxhash

from capture.sanitize.options import KEY_VARIABLE
from capture.tape import Tape
from replay.keeping import MOST_OF_A_BODY
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import answering, get, recorder
from tests.replay.taping import Request, tape_of


def run_with(
    tmp_path: Path, way: str, answer: bytes, speed: float = 1.0, count: int = 6
) -> tuple[list[bytes], list[int], list[int]]:
    """(kept answers, bytes of their heads, digests) of a run against a target that says this."""
    requests = [Request(n % 2, 10 * n, get(f"/{n}")) for n in range(count)]
    tape = tape_of(tmp_path / "x.tape", requests)
    with recorder(answering(answer)) as target:
        options = ReplayOptions(
            target=(target.url,), responses=way, speed=speed, no_calibrate=True, host="keep"
        )
        assert replay(tape, options, tmp_path / "run.tape").answered == count
    with Tape.open(tmp_path / "run.tape", strict=True) as run:
        names = ["response_head_bytes", "response_digest"]
        blocks = list(run.columns(names))
        heads, digests = (np.concatenate([np.asarray(b[name]) for b in blocks]) for name in names)
        kept = [run.payload(number).response for number in range(count)]
    return kept, heads.tolist(), digests.tolist()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"name": "a book", "price": 12}'
PLAIN = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_bodies_are_kept_whole(tmp_path: Path, speed: float) -> None:
    kept, heads, digests = run_with(tmp_path, "body", PLAIN, speed)
    assert kept == [PLAIN] * 6
    assert heads == [len(PLAIN) - len(BODY)] * 6
    assert digests == [xxhash.xxh3_64_intdigest(BODY)] * 6


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_headers_are_kept_without_bodies(tmp_path: Path, speed: float) -> None:
    kept, heads, _ = run_with(tmp_path, "headers", PLAIN, speed)
    assert kept == [PLAIN[: -len(BODY)]] * 6
    assert heads == [len(each) for each in kept]


@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_nothing_is_kept_and_nothing_hashed_where_that_is_asked_for(
    tmp_path: Path, speed: float
) -> None:
    kept, _, digests = run_with(tmp_path, "none", PLAIN, speed)
    assert kept == [b""] * 6
    assert digests == [0] * 6


def test_a_chunked_body_is_kept_as_its_head_says(tmp_path: Path) -> None:
    answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    kept, _, digests = run_with(tmp_path, "body", answer)
    assert kept[0].endswith(b"\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")
    assert digests[0] == xxhash.xxh3_64_intdigest(b"hello world")


def test_of_a_large_body_only_the_beginning_is_kept(tmp_path: Path) -> None:
    size = 5 * MOST_OF_A_BODY
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % size
    kept, heads, digests = run_with(tmp_path, "body", answer + b"word " * (size // 5), count=2)
    assert len(kept[0]) - heads[0] == MOST_OF_A_BODY
    assert digests[0] == xxhash.xxh3_64_intdigest(b"word " * (size // 5))


def test_no_secret_of_an_answer_reaches_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, mail = secrets.token_hex(16), f"{secrets.token_hex(6)}@example.org"
    body = f'{{"token": "{token}", "email": "{mail}"}}'.encode()
    answer = HEAD + f"Set-Cookie: session={token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    runs = []
    for key in ("a" * 32, "a" * 32, "b" * 32):
        monkeypatch.setenv(KEY_VARIABLE, key)
        kept, _, _ = run_with(tmp_path, "body", answer + body)
        runs.append(kept)
        data = b"".join(kept) + (tmp_path / "run.tape").read_bytes()
        assert token.encode() not in data
        assert mail.encode() not in data
    assert runs[0] == runs[1] != runs[2]
