"""`wiretape capture` from end to end: packets of files and of loopback in, a tape out."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

import wiretape
from capture.ledger import Ledger
from capture.tape import Tape
from samples.packets import Conversations, write
from tests.bench import bench_kills

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "wiretape", "capture"]


class Said:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def ledger(self) -> Ledger:
        return Ledger.from_dict(json.loads(self.out)["ledger"])


@pytest.fixture
def capture(monkeypatch, capsys):
    """Runs `wiretape capture …` as the command does, in this process."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["wiretape", "capture", *map(str, arguments)])
        code = wiretape._run()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


def sample(path: Path, pcapng: bool = False, **what: object) -> Path:
    with path.open("wb") as out:
        write(Conversations(**what), out, pcapng)
    return path


def rows(tape: Tape, *names: str) -> Iterator[tuple]:
    for chunk in tape.columns(names):
        columns = [chunk[name] for name in names]
        yield from zip(
            *(c.strings() if hasattr(c, "strings") else c.tolist() for c in columns), strict=True
        )


def assert_bytes_are_all_there(tape: Tape) -> None:
    """The requests of a connection add up to its client's stream."""
    sums: Counter[int] = Counter()
    for connection, size in rows(tape, "connection", "request_bytes"):
        sums[connection] += size
    for chunk in tape.connections(["connection", "client_bytes"]):
        pairs = zip(chunk["connection"].tolist(), chunk["client_bytes"].tolist(), strict=True)
        for connection, size in pairs:
            assert sums.pop(connection, 0) == size, f"connection {connection}"
    assert not sums


def test_a_capture_becomes_a_tape_with_every_exchange_and_a_ledger_that_balances(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=30, exchanges=7, upload_bytes=3000)
    said = capture("pcap", pcap, "-o", tmp_path / "a.tape", "--json")
    assert said.code == 0, said.err
    assert said.ledger.imbalances() == []
    assert said.ledger.count("exchanges", "kept") == 210
    assert said.ledger.count("connections", "kept") == 30
    with Tape.open(tmp_path / "a.tape") as tape:
        assert tape.ledger.as_dict() == said.ledger.as_dict()
        assert tape.exchange_count == 210
        assert {status for (status,) in rows(tape, "status")} == {200}
        targets = Counter(target for (target,) in rows(tape, "target"))
        assert targets == Counter(f"/products/{c * 31 + p}" for c in range(30) for p in range(7))
        assert_bytes_are_all_there(tape)


@pytest.mark.parametrize("pcapng", [False, True])
def test_disturbed_connections_lose_no_byte_of_the_clients(
    tmp_path: Path, capture, pcapng: bool
) -> None:
    pcap = sample(tmp_path / "odd.cap", pcapng, connections=40, exchanges=6, faults=True)
    said = capture("pcap", pcap, "-o", tmp_path / "odd.tape", "--json")
    assert said.code == 0, said.err
    assert said.ledger.imbalances() == []
    with Tape.open(tmp_path / "odd.tape") as tape:
        assert_bytes_are_all_there(tape)
        assert tape.exchange_count >= 240


def test_the_ledger_is_printed_as_a_table(tmp_path: Path, capture) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=2, exchanges=2)
    said = capture("pcap", pcap, "-o", tmp_path / "a.tape")
    assert "Ledger" in said.out
    assert "exchanges" in said.out


def test_a_secret_of_the_traffic_is_not_on_the_tape_unless_that_is_asked_for(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=2, exchanges=2)
    secret = b"session=" + b"%032x" % 1
    capture("pcap", pcap, "-o", tmp_path / "a.tape")
    capture("pcap", pcap, "-o", tmp_path / "raw.tape", "--level", "none", "--unsafe-raw")
    for name, held in (("a.tape", False), ("raw.tape", True)):
        with Tape.open(tmp_path / name) as tape:
            requests = [tape.payload(n).request for n in range(tape.exchange_count)]
        assert any(secret in request for request in requests) is held
    refused = capture("pcap", pcap, "-o", tmp_path / "no.tape", "--level", "none")
    assert refused.code == 2
    assert "--unsafe-raw" in refused.err


def test_a_level_beside_a_policy_is_a_usage_error(tmp_path: Path, capture) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=1, exchanges=1)
    policy = tmp_path / "mine.toml"
    policy.write_text('level = "strict"')
    done = capture(
        "pcap", pcap, "-o", tmp_path / "no.tape", "--policy", policy, "--level", "standard"
    )
    assert done.code == 2
    assert "give one of the two" in done.err


def test_an_encrypted_tape_opens_only_with_its_key(tmp_path: Path, capture) -> None:
    import pyrage

    from capture.errors import TapeError

    identity = pyrage.x25519.Identity.generate()
    pcap = sample(tmp_path / "a.pcap", connections=2, exchanges=2)
    path = tmp_path / "a.tape"
    said = capture("pcap", pcap, "-o", path, "--encrypt-to", str(identity.to_public()))
    assert said.code == 0, said.err
    with pytest.raises(TapeError, match="encrypted"):
        Tape.open(path)


BAD = {
    "no capture": (b"GET / HTTP/1.1\r\n\r\n", "is no pcap or pcapng file"),
    "empty": (b"", "is empty"),
    "cut in its header": (b"\xd4\xc3\xb2\xa1\x02\x00", "cut off in its file header"),
    "unknown link type": (
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 250)
        + struct.pack("<IIII", 1, 0, 4, 4) + b"abcd",
        "link type 250",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_sentence_and_exit_1(tmp_path: Path, capture, kind: str) -> None:
    data, words = BAD[kind]
    path = tmp_path / "bad.pcap"
    path.write_bytes(data)
    said = capture("pcap", path, "-o", tmp_path / "bad.tape")
    assert said.code == 1
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_file_that_does_not_exist_or_an_output_that_cannot_be_written_is_exit_1(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=1, exchanges=1)
    for source, output in ((tmp_path / "none.pcap", "a.tape"), (pcap, "no/such/a.tape")):
        said = capture("pcap", source, "-o", tmp_path / output)
        assert said.code == 1
        assert said.err.count("\n") == 1, said.err


def test_a_file_cut_in_the_middle_of_a_packet_is_kept_up_to_there_and_exit_0(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=1, exchanges=50)
    pcap.write_bytes(pcap.read_bytes()[:-2000])
    said = capture("pcap", pcap, "-o", tmp_path / "a.tape", "--json")
    assert said.code == 0
    assert "cut off in the middle of a packet" in said.err
    assert 40 <= said.ledger.count("exchanges", "kept") <= 50
    assert said.ledger.imbalances() == []


def test_a_file_damaged_in_the_middle_is_kept_up_to_there_and_exit_1(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=1, exchanges=50)
    data = pcap.read_bytes()
    head = struct.pack("<IIII", 1, 0, 0x7FFFFFFF, 0x7FFFFFFF)
    at = 24
    while at < len(data) // 2:
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    pcap.write_bytes(data[:at] + head + data[at:])
    said = capture("pcap", pcap, "-o", tmp_path / "a.tape", "--json")
    assert said.code == 1
    assert "is damaged" in said.err
    with Tape.open(tmp_path / "a.tape") as tape:
        assert tape.exchange_count == said.ledger.count("exchanges", "kept") >= 20


def test_a_disk_that_is_full_is_told_at_once_and_what_was_kept_is_counted(
    tmp_path: Path, capture
) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=120, exchanges=30, upload_bytes=40_000)
    path = tmp_path / "a.tape"
    assert capture("pcap", pcap, "-o", path).code == 0
    room = path.stat().st_size * 6 // 10

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [*COMMAND, "pcap", str(pcap), "-o", str(path), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, preexec_fn=small_disk, check=False
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    assert said.code == 1, said.err
    assert "File too large" in said.err
    assert "Traceback" not in said.err
    ledger = said.ledger
    assert ledger.imbalances() == []
    assert ledger.count("exchanges", "could not be written") > 0
    assert ledger.count("exchanges", "kept") > 0
    with Tape.open(path) as tape:
        assert tape.exchange_count == ledger.count("exchanges", "kept")
        assert tape.ledger.as_dict() == ledger.as_dict()


def test_a_capture_without_http_says_so_in_one_sentence(tmp_path: Path, capture) -> None:
    from tests.capture import packet_helpers as h

    cases = {
        "nothing.pcap": ([], "no packet was seen"),
        "names.pcap": ([h.ethernet(h.ipv4(h.udp(b"dns", 53), 17))] * 3, "packets: 3 not TCP"),
        "other.pcap": ([h.ethernet(h.ipv4(h.tcp(b"\x16\x03\x01 hello")))], "not HTTP: TLS"),
    }
    for name, (frames, reason) in cases.items():
        path = tmp_path / name
        path.write_bytes(h.pcap(frames))
        said = capture("pcap", path, "-o", path.with_suffix(".tape"), "--json")
        assert said.code == 0, said.err
        assert reason in said.err
        assert said.err.count("\n") == 1
        said = capture("pcap", path, "-o", path.with_suffix(".tape"), "--json", "--strict")
        assert said.code == 1


def test_a_tape_stays_where_there_is_nothing_to_put_in_its_place(tmp_path: Path, capture) -> None:
    from tests.capture import packet_helpers as h

    path = tmp_path / "good.tape"
    assert capture("pcap", sample(tmp_path / "a.pcap", connections=2), "-o", path).code == 0
    good = path.read_bytes()
    (tmp_path / "empty.pcap").write_bytes(h.pcap([]))
    (tmp_path / "none.pcap").write_bytes(b"this is no capture at all")
    said = capture("pcap", tmp_path / "empty.pcap", "-o", path, "--json")
    assert f"so {path} is left as it was" in said.err
    assert capture("pcap", tmp_path / "none.pcap", "-o", path).code == 1
    assert path.read_bytes() == good
    assert capture("pcap", sample(tmp_path / "b.pcap", connections=3), "-o", path).code == 0
    with Tape.open(path) as tape:
        assert tape.whole
        assert len(list(rows(tape, "connection"))) == 30
    assert not list(tmp_path.glob(".*"))


def test_strict_refuses_what_is_not_whole(tmp_path: Path, capture) -> None:
    whole = sample(tmp_path / "whole.pcap", connections=2, exchanges=2)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole.read_bytes()[:-5])
    gaps = sample(tmp_path / "gaps.pcap", connections=8, exchanges=2, faults=True)
    for path, code in ((whole, 0), (cut, 1), (gaps, 1)):
        assert capture("pcap", path, "-o", tmp_path / "a.tape", "--json").code == 0
        said = capture("pcap", path, "-o", tmp_path / "a.tape", "--json", "--strict")
        assert said.code == code, said.err
    assert "never seen" in said.err


def test_standard_input_is_read_like_a_file(tmp_path: Path) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=3, exchanges=3)
    path = tmp_path / "a.tape"
    done = subprocess.run(
        [*COMMAND, "pcap", "-", "-o", str(path)], cwd=ROOT, input=pcap.read_bytes(),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Tape.open(path) as tape:
        assert tape.exchange_count == 9


# --- live, on loopback


class Echo:
    """A server on loopback that answers every request with 200, until it is closed."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def live(echo: Echo, tmp_path: Path):
    """Starts `capture live` on loopback, and ends it if the test did not."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, "live", "-i", "lo", "--port", str(echo.port), "--ring", "16MB", "--json",
             "-o", str(tmp_path / "live.tape"), *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stderr is not None
        process.told = []
        while not process.told or "recording" not in process.told[-1]:
            line = process.stderr.readline()
            if "CAP_NET_RAW" in line or "no capture ring" in line:
                pytest.skip(f"no live capture here: {line.strip()}")
            assert line, "the recorder ended at once"
            process.told.append(line)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(echo: Echo, numbers: range, pause: float = 0.0) -> list[tuple[int, float]]:
    """Ask for /n on one connection; each number with the time at which it was answered."""
    answered = []
    with socket.create_connection(("127.0.0.1", echo.port)) as client:
        for number in numbers:
            client.sendall(b"GET /item/n%d HTTP/1.1\r\nHost: shop.example\r\n\r\n" % number)
            assert client.recv(65536)
            answered.append((number, time.monotonic()))
            time.sleep(pause)
    return answered


def targets_of(path: Path) -> Counter[str]:
    with Tape.open(path) as tape:
        return Counter(target for (target,) in rows(tape, "target"))


def ended(process: subprocess.Popen[str], how: int = signal.SIGTERM) -> Said:
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    return Said(process.returncode, out, err)


def test_live_traffic_on_loopback_is_recorded_once_and_whole(live, echo, tmp_path: Path) -> None:
    process = live()
    ask(echo, range(300))
    said = ended(process)
    assert said.code == 0, said.err
    assert said.ledger.imbalances() == []
    assert said.ledger.count("packets", "dropped by the kernel") == 0
    assert targets_of(tmp_path / "live.tape") == Counter(f"/item/n{n}" for n in range(300))
    with Tape.open(tmp_path / "live.tape") as tape:
        assert_bytes_are_all_there(tape)


def test_a_recording_ends_by_itself_when_its_time_is_over(live, echo) -> None:
    process = live("--for", "1500ms")
    ask(echo, range(10))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert Said(0, out, err).ledger.count("exchanges", "kept") == 10


def test_sighup_begins_another_tape_and_overwrites_none(live, echo, tmp_path: Path) -> None:
    process = live()
    ask(echo, range(20))
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    second = tmp_path / "live-2.tape"
    until = time.monotonic() + 20
    while not second.exists() and time.monotonic() < until:
        time.sleep(0.05)
    ask(echo, range(20, 50))
    said = ended(process)
    assert said.code == 0, said.err
    both = targets_of(tmp_path / "live.tape") + targets_of(second)
    assert both == Counter(f"/item/n{n}" for n in range(50))
    with Tape.open(tmp_path) as tape:
        assert tape.ledger.as_dict() == said.ledger.as_dict()


def test_a_directory_of_rotated_tapes_is_one_tape(live, echo, tmp_path: Path) -> None:
    process = live("--rotate", "300ms", "-o", tmp_path / "tapes")
    ask(echo, range(60), 0.02)
    said = ended(process)
    assert said.code == 0, said.err
    assert len(list((tmp_path / "tapes").iterdir())) > 2
    assert targets_of(tmp_path / "tapes") == Counter(f"/item/n{n}" for n in range(60))


def test_workers_share_the_packets_and_their_tapes_are_one(live, echo, tmp_path: Path) -> None:
    process = live("--workers", "2", "-o", tmp_path / "tapes")
    time.sleep(1.5)
    for first in range(0, 80, 10):
        ask(echo, range(first, first + 10))
    said = ended(process)
    assert said.code == 0, said.err
    assert said.ledger.imbalances() == []
    with Tape.open(tmp_path / "tapes") as tape:
        assert len({c for (c,) in rows(tape, "connection")}) == 8
        assert_bytes_are_all_there(tape)
    assert targets_of(tmp_path / "tapes") == Counter(f"/item/n{n}" for n in range(80))


def test_metrics_tell_what_was_seen_and_logs_are_json(live, echo) -> None:
    process = live("--metrics", "127.0.0.1:0", "--log-format", "json")
    events = [json.loads(line)["event"] for line in process.told]
    where = next(event.split()[-1] for event in events if event.startswith("metrics on"))
    ask(echo, range(5))
    until = time.monotonic() + 20
    page = ""
    while 'wiretape_became_total{fate="kept",unit="exchanges"} 5.0' not in page:
        assert time.monotonic() < until, page
        time.sleep(0.1)
        with urllib.request.urlopen(where, timeout=5) as answer:
            page = answer.read().decode()
    assert 'wiretape_sample_rate{worker="0"} 1.0' in page
    values = dict(re.findall(r"^(wiretape_.+) (\S+)$", page, re.M))
    assert float(values['wiretape_memory_bytes{worker="0"}']) > 1e6
    assert float(values['wiretape_block_age_seconds{worker="0"}']) < 60
    assert float(values['wiretape_seen_total{unit="packets"}']) > 10
    assert values['wiretape_became_total{fate="dropped by the kernel",unit="packets"}'] == "0.0"
    assert ended(process).code == 0


def test_a_failure_is_a_line_of_json_where_logs_are_json(tmp_path: Path, capture) -> None:
    for command in (
        ["pcap", str(tmp_path / "nowhere.pcap")],
        ["live", "-i", "nowhere0", "--for", "1s"],
    ):
        said = capture(*command, "--log-format", "json", "-o", str(tmp_path / "a.tape"))
        assert said.code == 1
        (line,) = said.err.splitlines()
        told = json.loads(line)
        assert set(told) == {"time", "level", "event"}
        assert told["level"] == "error"
        assert "nowhere" in told["event"] or "CAP_NET_RAW" in told["event"]
        datetime.fromisoformat(told["time"])


@pytest.mark.parametrize("turn", range(3))
def test_a_recorder_that_is_killed_loses_no_more_than_the_last_moment(
    live, echo, tmp_path: Path, turn: int
) -> None:
    del turn
    process = live()
    answered: list[tuple[int, float]] = []
    asking = threading.Thread(target=lambda: answered.extend(ask(echo, range(250), 0.008)))
    asking.start()
    time.sleep(random.uniform(1.8, 2.4))
    os.kill(process.pid, signal.SIGKILL)
    killed = time.monotonic()
    process.wait()
    asking.join()
    found = targets_of(tmp_path / "live.tape")
    # A second is promised; a busy machine gets half of one more.
    due = [number for number, when in answered if when < killed - 1.5]
    assert due
    assert not [number for number in due if not found[f"/item/n{number}"]]


@pytest.mark.parametrize("number", [1, 13, 15])
def test_a_recorder_of_a_pipe_that_is_killed_loses_no_more_either(
    tmp_path: Path, number: int
) -> None:
    killed = bench_kills.kill(number, tmp_path, promised_s=1.5)
    assert killed.readable
    assert not killed.missing


def test_a_capture_is_never_written_over_by_its_tape(tmp_path: Path, capture) -> None:
    pcap = sample(tmp_path / "a.pcap", connections=2, exchanges=2)
    before = pcap.read_bytes()
    said = capture("pcap", pcap, "-o", pcap)
    assert said.code == 1
    assert "another path" in said.err
    assert pcap.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_reading_of_a_pipe_with_all_that_came_before(
    number: signal.Signals, tmp_path: Path
) -> None:
    pcap, out = sample(tmp_path / "a.pcap", connections=3, exchanges=5), tmp_path / "a.tape"
    with subprocess.Popen(
        [*COMMAND, "pcap", "-", "--json", "-o", str(out)], cwd=ROOT, text=False,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Whoever runs the tests in the background has told its children to ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as reading:  # fmt: skip
        assert reading.stdin is not None
        reading.stdin.write(pcap.read_bytes())
        reading.stdin.flush()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (out.exists() and out.stat().st_size > 1000):
            time.sleep(0.05)  # it is on the disk within a second of its arrival
        reading.send_signal(number)
        reading.wait(30)  # the pipe is still open
        said, told = reading.communicate()
    assert reading.returncode == 0
    assert b"interrupted" in told
    ledger = Ledger.from_dict(json.loads(said)["ledger"])
    assert ledger.count("exchanges", "kept") == 15
    assert ledger.imbalances() == []
    with Tape.open(out, strict=True) as tape:
        assert tape.whole
        assert tape.exchange_count == 15
