"""A tape gives back what was written, in order, and loses no more than what is damaged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.columns import EXCHANGES
from capture.errors import TapeError
from capture.exchange import Connection, Exchange
from capture.ledger import Ledger
from capture.sanitize.sanitized import Sanitized
from capture.tape import Tape, TapeHeader, TapeWriter
from capture.tape.block import Text


def exchange(number: int, start_ns: int, body: bytes = b"") -> Sanitized:
    made = Exchange(number, 0, b"\x7f\0\0\1", 40000 + number, "127.0.0.1:80", start_ns)
    head = b"POST /orders/%d HTTP/1.1\r\nHost: shop.test\r\n\r\n" % number
    made.request = head + body
    made.request_bytes = len(made.request)
    made.head_bytes = len(head)
    made.request_first_ns = start_ns
    made.request_last_ns = start_ns + 5
    made.response_first_ns = start_ns + 100
    made.response_last_ns = start_ns + 200
    made.response = b"HTTP/1.1 200 OK\r\n\r\n"
    made.response_bytes = made.response_head_bytes = len(made.response)
    made.status = 200
    return Sanitized(made, 7)


def write(path: Path, count: int, blocks: int = 4) -> None:
    ledger = Ledger()
    with TapeWriter(path, TapeHeader(source="test")) as writer:
        for number in range(count):
            writer.append(exchange(number, 1_000_000 * number, b"x" * number))
            ledger.book("exchanges", "kept")
            if number % (count // blocks) == 0:
                writer.seal()
        ended = Connection(3, b"\x7f\0\0\1", 1, "127.0.0.1:80", 0, True)
        writer.append_connection(ended, 7)
        writer.close(ledger)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "a.tape", 40)
    with Tape.open(tmp_path / "a.tape", strict=True) as tape:
        assert tape.exchange_count == 40
        assert tape.whole
        assert tape.ledger.count("exchanges", "kept") == 40
        assert tape.span_ns == (0, 39_000_000)
        blocks = list(tape.columns(["connection", "endpoint", "target", "status", "due_ns"]))
        assert np.concatenate([b["connection"] for b in blocks]).tolist() == list(range(40))
        assert {s for b in blocks for s in b["endpoint"].strings()} == {"POST /orders/{id}"}
        assert blocks[0]["target"].strings()[0] == "/orders/0"
        assert {int(v) for b in blocks for v in b["due_ns"]} == {-1}
        payload = tape.payload(17)
        assert payload.request.endswith(b"\r\n\r\n" + b"x" * 17)
        assert payload.response.startswith(b"HTTP/1.1 200")
        assert [c["server"].strings() for c in tape.connections(["server"])] == [["127.0.0.1:80"]]


def test_rows_come_in_order_of_their_start_though_they_ended_otherwise(tmp_path: Path) -> None:
    starts = list(range(0, 300_000, 1000))
    shuffled = random.Random(4).sample(starts, len(starts))
    with TapeWriter(tmp_path / "a.tape") as writer:
        for number, start in enumerate(shuffled):
            writer.append(exchange(number, start))
            if number % 50 == 49:
                writer.seal()
    with Tape.open(tmp_path / "a.tape") as tape:
        chunks = list(tape.in_order(["request_first_ns", "target"], 5000, 250_000))
        times = np.concatenate([chunk["request_first_ns"] for chunk in chunks]).tolist()
        assert times == [start for start in starts if 5000 <= start < 250_000]
        numbers = np.concatenate([chunk["exchange"] for chunk in chunks])
        assert [shuffled[n] for n in numbers] == times
        targets = [t for chunk in chunks for t in chunk["target"].strings()]
        assert targets == [f"/orders/{n}" for n in numbers]


def test_a_directory_of_tapes_is_one_tape(tmp_path: Path) -> None:
    for part in range(3):
        with TapeWriter(tmp_path / f"{part}.tape", TapeHeader(created_ns=part)) as writer:
            writer.append(exchange(part, part * 10))
    with Tape.open(tmp_path) as tape:
        assert tape.exchange_count == 3
        assert b"/orders/2 " in tape.payload(2).request


def test_a_run_writes_rows_without_payload(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "r.tape", TapeHeader(kind="run")) as writer:
        writer.append_rows({"source": [4, 5], "due_ns": [10, 20], "method": ["GET", "PUT"]})
        writer.close(summary={"s": 99.5})
    with Tape.open(tmp_path / "r.tape") as tape:
        (rows,) = tape.columns(["source", "due_ns", "method", "status"])
        assert rows["source"].tolist() == [4, 5]
        assert rows["method"].strings() == ["GET", "PUT"]
        assert tape.summary == {"s": 99.5}
        assert tape.payload(1).request == b""


def test_what_came_late_is_sealed_sooner(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "a.tape") as writer:
        writer.append(exchange(0, 0))
        writer.tick(late_ns=600_000_000)
        assert writer.exchanges == 1


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "r.tape") as writer, pytest.raises(ValueError, match="no columns"):
        writer.append_rows({"colour": [1]})


@pytest.mark.parametrize("seed", range(25))
def test_a_tape_torn_anywhere_gives_what_stands_before(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.tape"
    write(path, 40)
    data = path.read_bytes()
    header_end = data.find(b"\x93WTBLK\r\n", 8)
    cut = random.Random(seed).randrange(header_end, len(data))
    path.write_bytes(data[:cut])
    with Tape.open(path) as tape:
        read = sum(len(block["connection"]) for block in tape.columns(["connection"]))
        assert read == tape.exchange_count <= 40
        for number in range(read):
            assert f"/orders/{number} ".encode() in tape.payload(number).request


def test_a_tape_torn_in_its_only_block_is_passed_by_no_command(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    write(path, 15)
    data = path.read_bytes()
    path.write_bytes(data[: data.find(b"\x93WTBLK\r\n", 8) + 100])
    refusals = {
        ("tape", "verify", "--json"): '"exchanges_lost_is_least": true',
        ("shapes",): "nothing that can be read is left",
        ("sanitize", "audit"): "nothing can be said of it",
        ("plan",): "holds no request",
    }
    for words, said in refusals.items():
        command = [sys.executable, "-m", "wiretape", *words, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, words
        assert said in done.stdout + done.stderr


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_byte_costs_at_most_its_block_and_is_reported(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.tape"
    write(path, 40)
    data = bytearray(path.read_bytes())
    header_end = data.find(b"\x93WTBLK\r\n", 8)
    at = random.Random(seed).randrange(header_end, len(data))
    data[at] ^= 0x55
    path.write_bytes(bytes(data))
    with Tape.open(path) as tape:
        losses = tape.verify()
        lost = sum(loss.exchanges or 0 for loss in losses)
        got = [n for block in tape.columns(["connection"]) for n in block["connection"].tolist()]
        assert len(got) >= 40 - 20
        assert lost or losses or got == list(range(40))
    if lost:
        with Tape.open(path, strict=True) as strict, pytest.raises(TapeError, match="strict"):
            strict.verify()


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"GET / HTTP/1.1\r\n\r\n" * 9, "is no tape")]
)
def test_what_is_no_tape_is_named_in_one_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TapeError, match=message):
        Tape.open(tmp_path / "x")


def test_a_tape_of_a_later_version_is_refused(tmp_path: Path) -> None:
    TapeWriter(tmp_path / "x", TapeHeader(version=99)).close()
    with pytest.raises(TapeError, match="newer wiretape"):
        Tape.open(tmp_path / "x")


def test_a_device_without_room_is_named() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(TapeError, match="No space left"):
        TapeWriter("/dev/full")


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
from tests.capture.tape.test_tape import exchange
from capture.errors import TapeError
from capture.tape import TapeWriter
import os
writer = TapeWriter(sys.argv[1])
for number in range(200):
    writer.append(exchange(number, number, os.urandom(1000)))
    try:
        writer.seal()
    except TapeError as problem:
        print(problem, writer.exchanges, writer.lost_exchanges)
        break
"""


def test_a_full_disk_keeps_what_was_written_before(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a.tape")],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "is kept, make room" in done.stdout
    kept, lost = map(int, done.stdout.split()[-2:])
    with Tape.open(tmp_path / "a.tape", strict=True) as tape:
        assert tape.exchange_count == kept > 10
        assert lost == 1
        assert tape.verify() == []


KILLED = """
import sys, time
from tests.capture.tape.test_tape import exchange
from capture.tape import TapeWriter
writer = TapeWriter(sys.argv[1])
number = 0
while True:
    writer.append(exchange(number, time.time_ns()))
    print(number, time.time_ns(), flush=True)
    number += 1
    time.sleep(0.002)
"""


def test_a_killed_writer_loses_at_most_the_last_second(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "a.tape")],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.8)
    os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().split(b"\n")
    process.wait()
    process.stdout.close()
    last, last_ns = map(int, said[-2].split())
    with Tape.open(tmp_path / "a.tape") as tape:
        assert tape.exchange_count > 0
        (*_, block) = tape.columns(["request_first_ns"])
        assert last_ns - int(block["request_first_ns"][-1]) < 1_000_000_000
        assert tape.exchange_count <= last + 2


INT = st.integers(min_value=-(2**63), max_value=2**63 - 1)
UINT = st.integers(min_value=0, max_value=2**64 - 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(times=st.lists(st.tuples(INT, INT, UINT, st.text()), min_size=1, max_size=30))
def test_every_column_survives_a_round_trip(
    tmp_path: Path, times: list[tuple[int, int, int, str]]
) -> None:
    due, source, digest, method = (list(column) for column in zip(*times, strict=True))
    with TapeWriter(tmp_path / "a.tape") as writer:
        safe = [m.encode("utf-8", "replace").decode() for m in method]
        writer.append_rows(
            {"due_ns": due, "source": source, "request_digest": digest, "method": safe}
        )
    with Tape.open(tmp_path / "a.tape", strict=True) as tape:
        (rows,) = tape.columns(["due_ns", "source", "request_digest", "method"])
        assert rows["due_ns"].tolist() == due
        assert rows["source"].tolist() == source
        assert rows["request_digest"].tolist() == digest
        assert rows["method"].strings() == safe


@given(st.lists(st.lists(st.text(max_size=3), max_size=5), min_size=1, max_size=4))
def test_joined_text_columns_hold_the_strings_of_their_parts(parts: list[list[str]]) -> None:
    joined = Text.join([Text.of(part) for part in parts])
    assert joined.strings() == [string for part in parts for string in part]


def test_the_writer_fills_the_columns_in_the_order_of_the_table(tmp_path: Path) -> None:
    write(tmp_path / "a.tape", 8)
    with Tape.open(tmp_path / "a.tape") as tape:
        rows = next(tape.columns([column.name for column in EXCHANGES]))
        assert rows["request_last_ns"].tolist()[0] - rows["request_first_ns"].tolist()[0] == 5
        assert rows["host"].strings()[0] == "shop.test"
        assert rows["status"].tolist()[0] == 200
        assert rows["request_kept"].tolist()[0] == rows["request_bytes"].tolist()[0]
        assert rows["pieces"].tolist()[0] == 0
        assert rows["source"].tolist()[0] == -1
