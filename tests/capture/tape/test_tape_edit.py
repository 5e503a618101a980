"""Cutting, filtering and merging move rows, payloads, pieces and connections together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.describe import template
from capture.errors import TapeError
from capture.exchange import Connection
from capture.ledger import Ledger
from capture.tape import Tape, TapeHeader, TapeWriter
from capture.tape.block import section_place
from capture.tape.cli import tape as tape_group
from capture.tape.edit import cut, filter_tape, merge
from tests.capture.tape.test_tape import exchange

ROOT = Path(__file__).parents[3]


def make(path: Path, starts: range) -> None:
    ledger = Ledger()
    with TapeWriter(path) as writer:
        for number, start in enumerate(starts):
            sanitized = exchange(number, start, b"y" * (number % 7))
            sanitized.exchange.pieces = ((10, start + 2),) if number % 3 == 0 else ()
            sanitized.exchange.status = 500 if number % 10 == 0 else 200
            sanitized.exchange.response_last_ns = start + 1000 * number
            writer.append(sanitized)
            ended = Connection(number, b"\x7f\0\0\1", 1, "127.0.0.1:80", start, True)
            writer.append_connection(ended, 7)
            ledger.book("exchanges", "kept")
            if number % 8 == 7:
                writer.seal()
        writer.close(ledger)


def test_a_cut_keeps_payloads_pieces_and_connections_of_its_time(tmp_path: Path) -> None:
    make(tmp_path / "a.tape", range(0, 50_000, 1000))
    with Tape.open(tmp_path / "a.tape") as tape:
        cut(tape, tmp_path / "b.tape", 10_000, 30_000)
    with Tape.open(tmp_path / "b.tape", strict=True) as tape:
        assert tape.exchange_count == tape.connection_count == 20
        for number in range(20):
            payload = tape.payload(number)
            assert f"/orders/{number + 10} ".encode() in payload.request
            assert payload.request.endswith(b"y" * ((number + 10) % 7))
            expected = ((10, (number + 10) * 1000 + 2),) if (number + 10) % 3 == 0 else ()
            assert payload.pieces == expected
            assert payload.response.startswith(b"HTTP/1.1")
        assert tape.ledger.count("exchanges", "cut away") == 30
        assert tape.ledger.imbalances() == []


def test_copies_tell_which_share_of_the_connections_was_kept(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "a.tape", TapeHeader(created_ns=0)) as writer:
        for number, start in enumerate(range(0, 50_000, 1000)):
            if start == 20_000:
                writer.note_rate(start, 0.25)
            writer.append(exchange(number, start))
    with Tape.open(tmp_path / "a.tape") as tape:
        cut(tape, tmp_path / "late.tape", 20_000, None)
        merge([tape], tmp_path / "moved.tape", [10_000])
        whole = tape.sample_rate
    assert 0.25 < whole < 1
    with Tape.open(tmp_path / "late.tape") as late, Tape.open(tmp_path / "moved.tape") as moved:
        assert late.sample_rate == 0.25
        assert moved.sample_rate == whole


def test_a_filter_keeps_what_matches_all_that_is_asked(tmp_path: Path) -> None:
    make(tmp_path / "a.tape", range(0, 50_000, 1000))
    with Tape.open(tmp_path / "a.tape") as tape:
        filter_tape(tape, tmp_path / "b.tape", ["POST /orders/*"], "5xx", 15_000)
    with Tape.open(tmp_path / "b.tape") as tape:
        targets = [t for rows in tape.columns(["target"]) for t in rows["target"].strings()]
        assert targets == ["/orders/20", "/orders/30", "/orders/40"]


@pytest.mark.parametrize(
    ("only", "found"), [("POST", 10), ("GET", 0), ("/orders/2", 1), ("*/3", 1), ("*", 10)]
)
def test_a_filter_takes_a_method_or_a_path_alone(tmp_path: Path, only: str, found: int) -> None:
    make(tmp_path / "a.tape", range(0, 10_000, 1000))
    with Tape.open(tmp_path / "a.tape") as tape:
        assert filter_tape(tape, tmp_path / "b.tape", [only], None, None).exchanges == found


def test_a_tape_is_not_cut_into_the_directory_that_it_is_cut_from(tmp_path: Path) -> None:
    recorder = tmp_path / "recorder"
    recorder.mkdir()
    make(recorder / "a.tape", range(0, 5000, 1000))
    with Tape.open(recorder) as tape:
        with pytest.raises(TapeError, match="would be part of the tape that is read"):
            cut(tape, recorder / "incident.tape", None, None)
        cut(tape, tmp_path / "incident.tape", None, None)
        assert tape.exchange_count == 5
    assert [path.name for path in recorder.iterdir()] == ["a.tape"]


def test_a_wrong_status_is_named(tmp_path: Path) -> None:
    make(tmp_path / "a.tape", range(0, 5000, 1000))
    with Tape.open(tmp_path / "a.tape") as tape, pytest.raises(TapeError, match="503 or 5xx"):
        filter_tape(tape, tmp_path / "b.tape", [], "6xx", None)


def test_merged_tapes_interleave_by_time_and_keep_connections_apart(tmp_path: Path) -> None:
    make(tmp_path / "a.tape", range(0, 10_000, 1000))
    make(tmp_path / "b.tape", range(0, 10_000, 1000))
    opened = [Tape.open(tmp_path / name) for name in ("a.tape", "b.tape")]
    merge(opened, tmp_path / "c.tape", [0, 500], apart=True)
    for tape in opened:
        tape.close()
    with Tape.open(tmp_path / "c.tape") as tape:
        rows = list(tape.in_order(["request_first_ns", "connection", "client"]))
        times = np.concatenate([chunk["request_first_ns"] for chunk in rows]).tolist()
        assert times == sorted([*range(0, 10_000, 1000), *range(500, 10_500, 1000)])
        connections = np.concatenate([chunk["connection"] for chunk in rows])
        assert len(set(connections.tolist())) == 20
        assert len(set(np.concatenate([chunk["client"] for chunk in rows]).tolist())) == 2


def test_a_tape_is_never_written_over_itself(tmp_path: Path) -> None:
    make(tmp_path / "a.tape", range(0, 5000, 1000))
    with Tape.open(tmp_path / "a.tape") as tape, pytest.raises(TapeError, match="another path"):
        cut(tape, tmp_path / "a.tape", None, None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orders/17", "/orders/{id}"),
        ("/a/0d5f9c1e-1111-4222-8333-123456789abc/b", "/a/{uuid}/b"),
        ("/u/ann@shop.test", "/u/{email}"),
        ("/c/9f86d081884c7d65", "/c/{hex}"),
        ("/v1/search", "/v1/search"),
        ("/d/2026-03-01", "/d/{date}"),
        ("/index.html", "/index.html"),
        ("/", "/"),
    ],
)
def test_values_in_paths_become_placeholders(path: str, expected: str) -> None:
    assert template(path) == expected


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wiretape", "tape", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_tape_commands_say_what_is_in_a_tape(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tape")
    make(Path(path), range(0, 50_000_000, 1_000_000))
    facts = json.loads(command("info", "--json", path).stdout)
    assert facts["exchanges"] == facts["connections"] == 50
    assert facts["statuses"] == {"200": 45, "500": 5}
    assert "POST /orders/{id}" in command("info", path).stdout
    lines = [json.loads(line) for line in command("cat", path).stdout.splitlines()]
    assert [line["target"] for line in lines] == [f"/orders/{n}" for n in range(50)]
    wanted = {"connection", "time_ns", "kind", "method", "target", "host", "status"}
    assert wanted | {"request_bytes", "service_ns"} <= lines[0].keys()
    assert "sound: 50 exchanges" in command("verify", path).stdout
    assert "/orders/9 " in command("cat", "--format", "http", path).stdout


def test_verify_fails_where_a_block_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    make(path, range(0, 50_000, 1000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    done = command("verify", str(path))
    assert done.returncode == 1
    assert "damaged" in done.stdout
    assert command("cat", "--strict", str(path)).returncode == 1


@pytest.mark.parametrize("arguments", [["cut"], ["filter", "--status", "200"], ["merge"]])
def test_what_cannot_be_read_is_told_by_the_commands_that_copy(
    arguments: list[str], tmp_path: Path
) -> None:
    path, out = tmp_path / "a.tape", tmp_path / "out.tape"
    make(path, range(0, 50_000, 1000))
    with Tape.open(path) as tape:
        place = tape.blocks[2]
        header, base = place.file.block_header(place)
        offset, length = section_place(header, "request_first_ns")
    data = bytearray(path.read_bytes())
    data[base + offset + length // 2] ^= 0xFF
    path.write_bytes(data)
    done = CliRunner().invoke(tape_group, [*arguments, str(path), "-o", str(out)])
    assert done.exit_code == 0
    assert "lost: " in done.output
    assert "8 exchanges" in done.output
    with Tape.open(out) as tape:
        assert tape.ledger.count("exchanges", "unreadable") == 8
        assert tape.ledger.count("exchanges", "kept") == tape.exchange_count
        assert tape.ledger.imbalances() == []


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "-1e10"])
def test_an_offset_that_is_no_time_is_a_usage_error(seconds: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    make(path, range(0, 5000, 1000))
    out = str(tmp_path / "out.tape")
    done = CliRunner().invoke(tape_group, ["merge", "--offset", seconds, str(path), "-o", out])
    assert done.exit_code == 2
    assert "not a number of seconds" in done.output


def test_a_tape_is_not_merged_with_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    make(path, range(0, 5000, 1000))
    again = tmp_path / "." / "x" / ".." / "a.tape"
    (tmp_path / "x").mkdir()
    words = ["merge", str(path), str(again), "-o", str(tmp_path / "out.tape")]
    done = CliRunner().invoke(tape_group, words)
    assert done.exit_code == 2
    assert "given twice" in done.output
    assert not (tmp_path / "out.tape").exists()


@pytest.mark.parametrize("options", [["filter", "--status", "404"], ["cut", "--from", "5h"]])
def test_a_copy_of_nothing_says_so(options: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    make(path, range(0, 5000, 1000))
    words = [options[0], str(path), *options[1:], "-o", str(tmp_path / "out.tape")]
    done = CliRunner().invoke(tape_group, words)
    assert done.exit_code == 0
    assert "0 of 5 exchanges" in done.output
    assert "nothing is as asked for" in done.output


@pytest.mark.parametrize("bad", [b"", b"\x93WT", b"no tape at all"])
def test_a_file_of_a_directory_that_is_no_tape_is_a_loss_and_the_others_are_read(
    bad: bytes, tmp_path: Path
) -> None:
    make(tmp_path / "a.tape", range(0, 5000, 1000))
    (tmp_path / "b.tape").write_bytes(bad)
    with Tape.open(tmp_path) as tape:
        assert tape.exchange_count == 5
        assert [loss.path.name for loss in tape.losses] == ["b.tape"]
        assert not tape.whole
    with pytest.raises(TapeError, match=r"b\.tape"):
        Tape.open(tmp_path, strict=True)
    done = CliRunner().invoke(tape_group, ["verify", str(tmp_path)])
    assert done.exit_code == 1
    (tmp_path / "a.tape").unlink()
    with pytest.raises(TapeError, match=r"b\.tape"):
        Tape.open(tmp_path)


@pytest.mark.parametrize("command", ["cat", "cut"])
def test_a_range_that_encloses_nothing_is_a_usage_error(command: str, tmp_path: Path) -> None:
    tape = ROOT / "samples" / "tapes" / "v1.tape"
    out = ["-o", str(tmp_path / "cut.tape")] if command == "cut" else []
    done = CliRunner().invoke(tape_group, [command, str(tape), "--from", "5s", "--to", "2s", *out])
    assert done.exit_code == 2
    assert "2s is not after --from 5s" in done.output
