"""A tape or run that cannot be read whole is never planned, replayed or judged without a word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from click.testing import CliRunner, Result

from capture.errors import WiretapeError
from capture.tape import TapeHeader, TapeWriter
from replay.cli import plan as plan_command
from replay.cli import replay as replay_command
from replay.verdict.compare_cli import compare
from replay.verdict.report_cli import report
from tests.fuzz.fuzz_tape import blocks
from tests.replay.recorder import get, recorder
from tests.replay.runs import run_columns
from tests.replay.taping import Request, tape_of

COUNT = 60


def tape(path: Path) -> Path:
    """Sixty requests in one block."""
    return tape_of(path, [Request(n % 7, n / 10, get(f"/{n}")) for n in range(COUNT)])


def spoil(path: Path, section: str, block: int = 1) -> Path:
    """Damage a section of one of its blocks."""
    data = bytearray(path.read_bytes())
    at, base, _ = blocks(bytes(data))[block]
    header = msgpack.unpackb(bytes(data[at + 16 : base]))
    data[base + header["sections"][section][-3]] ^= 1
    path.write_bytes(bytes(data))
    return path


def planned(path: Path) -> Result:
    return CliRunner().invoke(plan_command, [str(path), "--json", "--no-calibrate"])


def replayed(path: Path, url: str, *more: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, summary, and the sentence of what went wrong."""
    run = str(path.with_name("run.tape"))
    given = [str(path), "--target", url, "-o", run, "--json", "--no-calibrate", *more]
    done = CliRunner().invoke(replay_command, given)
    last = (done.stdout.strip().splitlines() or ["{}"])[-1]
    problem = done.exception if isinstance(done.exception, WiretapeError) else ""
    code = 1 if problem else done.exit_code
    if isinstance(done.return_value, int):
        code = done.return_value
    return code, json.loads(last).get("summary", {}), str(problem)


@pytest.fixture
def target() -> Iterator[str]:
    with recorder() as found:
        yield found.url


@pytest.mark.parametrize("section", ["request_first_ns", "target", "key"])
def test_a_plan_says_of_a_damaged_tape_what_its_replay_says(tmp_path: Path, section: str) -> None:
    path = spoil(tape(tmp_path / "x.tape"), section)
    told = [str(planned(path).exception), replayed(path, "http://127.0.0.1:9")[2]]
    assert told[0] == told[1]
    assert "is damaged, and what can be read of it holds no request to send" in told[0]


def test_a_plan_tells_of_what_cannot_be_read(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "x.tape")
    for block in range(7):
        one = tmp_path / "one.tape"
        tape_of(one, [Request(n, block * 10 + n, get(f"/{n}")) for n in range(5)])
        _append(writer, one)
    writer.close()
    for block in range(1, 8):
        assert json.loads(planned(tmp_path / "x.tape").output)["requests"] == 35 - 5 * (block - 1)
        if block < 7:
            spoil(tmp_path / "x.tape", "key", block)
    found = json.loads(planned(tmp_path / "x.tape").output)
    assert len(found["warnings"]) == 6
    assert "damaged section key" in found["warnings"][0]
    assert "1 more" in found["warnings"][-1]


def _append(writer: TapeWriter, path: Path) -> None:
    from capture.columns import EXCHANGES
    from capture.tape import Tape

    with Tape.open(path) as source:
        stored = source.block_heap(0)
        assert stored is not None
        (rows,) = source.columns([column.name for column in EXCHANGES])
        writer.write_block(rows, {}, stored[0])


def test_a_tape_that_was_cut_is_planned_and_sent_with_a_warning(
    tmp_path: Path, target: str
) -> None:
    path = tape(tmp_path / "x.tape")
    data = path.read_bytes()
    path.write_bytes(data[: blocks(data)[1][2]])
    code, summary, _ = replayed(path, target)
    assert (code, summary["answered"]) == (0, COUNT)
    for told in (json.loads(planned(path).output), summary):
        assert "has no end" in told["warnings"][0]


def test_where_nothing_could_be_sent_for_damage_the_replay_fails(
    tmp_path: Path, target: str
) -> None:
    code, summary, problem = replayed(spoil(tape(tmp_path / "x.tape"), "heap"), target)
    assert (code, summary["outcomes"]) == (1, {"UNSENT": COUNT})
    assert "damaged section heap" in summary["warnings"][0]
    assert problem.startswith("No request is known to be sent")


def test_where_a_hook_leaves_out_every_request_the_replay_fails(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "none.py").write_text("def rewrite(request):\n    return None\n")
    path = tape(tmp_path / "x.tape")
    code, _, problem = replayed(path, target, "--hook", str(tmp_path / "none.py"))
    assert code == 1
    assert "the hook left out every request" in problem


def run_of(path: Path) -> Path:
    """A run of three blocks."""
    columns = {name: np.asarray(values) for name, values in run_columns(count=900).items()}
    with TapeWriter(path, TapeHeader(kind="run")) as writer:
        for first in range(0, 900, 300):
            rows = {name: values[first : first + 300] for name, values in columns.items()}
            writer.append_rows({name: values.tolist() for name, values in rows.items()})
    return path


def test_a_damaged_run_is_not_judged(tmp_path: Path) -> None:
    path = run_of(tmp_path / "run.tape")
    whole = CliRunner().invoke(report, [str(path)])
    assert whole.output.startswith("PASS")
    spoil(path, "request_first_ns", 2)
    done = CliRunner().invoke(report, [str(path)])
    assert done.output.startswith("INVALID: Not judged: the run is damaged (")
    assert CliRunner().invoke(report, [str(path), "--fail-if", "fidelity < 90"]).exit_code == 3


def test_a_damaged_run_is_not_compared(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a.tape"), run_of(tmp_path / "b.tape")
    assert CliRunner().invoke(compare, [str(a), str(b)]).exit_code == 0
    done = CliRunner().invoke(compare, [str(a), str(spoil(b, "due_ns", 2))])
    assert done.exit_code == 4
    assert "B is damaged: " in done.output


def test_a_run_without_its_end_is_judged_with_a_word(tmp_path: Path) -> None:
    path = run_of(tmp_path / "run.tape")
    data = path.read_bytes()
    path.write_bytes(data[: blocks(data)[2][2]])
    done = CliRunner().invoke(report, [str(path)])
    assert done.output.startswith("PASS")
    assert "has no end" in done.output
