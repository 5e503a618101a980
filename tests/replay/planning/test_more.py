"""More users than were recorded: cloned whole, each somebody else, the same for every worker."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from capture.errors import ReplayError
from capture.tape import Tape
from replay.cli import plan as plan_command
from replay.options import ReplayOptions
from replay.planning.plan import plan_chunks
from replay.run import replay
from shapes.fidelity import fidelity_of
from shapes.herd import Herd
from shapes.spike import Spike
from tests.replay.recorder import get, recorder, write_tape

S = 10**9


def tape_of(folder: Path, users: int = 60, each: int = 3) -> Path:
    """Users on a connection each, one every 100 ms, asking every 20 ms with their own cookie."""
    sent = [
        (user, user * 100 + turn * 20,
         b"GET /%d HTTP/1.1\r\nHost: h\r\nCookie: session=%032x\r\n\r\n" % (turn, user + 7))
        for user in range(users) for turn in range(each)
    ]  # fmt: skip
    return write_tape(folder / "x.tape", sorted(sent, key=lambda row: row[1]))


def planned(path: Path, shard: int = 0, of: int = 1, **options: Any) -> dict[str, np.ndarray]:
    names = ("due_ns", "lane", "clone", "source", "session", "open_ns")
    with Tape.open(path) as tape:
        chunks = list(plan_chunks(tape, ReplayOptions(**options), shard, of))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}


def test_a_scaled_plan_has_so_many_times_the_requests_on_connections_of_their_own(
    tmp_path: Path,
) -> None:
    path = tape_of(tmp_path)
    whole = planned(path, scale=5.0, seed=3)
    assert whole["due_ns"].size == 5 * 180
    assert np.all(np.diff(whole["due_ns"]) >= 0)
    assert np.unique(whole["lane"]).size == 5 * 60
    assert planned(path, scale=0.5)["due_ns"].size == pytest.approx(90, abs=30)
    parts = [planned(path, shard, 3, scale=5.0, seed=3) for shard in range(3)]
    rows = sorted((due, lane) for p in parts for due, lane in zip(p["due_ns"].tolist(),
                  p["lane"].tolist(), strict=True))  # fmt: skip
    assert rows == sorted(zip(whole["due_ns"].tolist(), whole["lane"].tolist(), strict=True))


def test_a_spike_adds_users_only_while_it_lasts(tmp_path: Path) -> None:
    found = planned(tape_of(tmp_path), spike=(Spike(2 * S, S, 10.0),))
    assert found["due_ns"].size == 180 + 9 * 10 * 3


def test_a_herd_begins_in_one_instant(tmp_path: Path) -> None:
    found = planned(tape_of(tmp_path), herd=(Herd(3 * S, 500), Herd(20 * S, 10)))
    assert found["due_ns"].size == 180 + 510 * 3
    assert np.all(np.diff(found["due_ns"]) >= 0)
    assert (found["due_ns"] == 3 * S).sum() >= 500
    assert (found["due_ns"] == 20 * S).sum() == 10
    assert np.unique(found["lane"]).size == 60 + 510


def test_clones_arrive_as_users_of_their_own_and_the_run_is_faithful(tmp_path: Path) -> None:
    path = tape_of(tmp_path, users=10)
    run = tmp_path / "run.tape"
    with recorder() as target:
        options = ReplayOptions(
            target=(target.url,),
            no_calibrate=True,
            scale=3.0,
            host="keep",
            order="strict",  # no spare connections, however busy the machine is
        )
        summary = replay(path, options, run)
    assert summary.answered == 90
    cookies = {piece.split(b"session=")[1].split(b"\r")[0] for wire in target.received
               for piece in wire}  # fmt: skip
    assert len(cookies) == 30
    assert len(target.received) == 30
    for wire in target.received:
        assert len({piece.split(b"session=")[1].split(b"\r")[0] for piece in wire}) == 1
    with Tape.open(run) as tape:
        found = fidelity_of(tape)
    assert (found.sent, found.duplicated, found.inversions) == (90, 0, 0)


def test_nothing_changes_where_nothing_is_asked_for(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "x.tape", [(1, 0, get("/a")), (1, 5, get("/b"))])
    assert planned(path)["clone"].tolist() == [0, 0]
    assert planned(path, scale=1.0, seed=9)["due_ns"].tolist() == [0, 5_000_000]


@pytest.mark.parametrize(
    "args", [["--scale", "0"], ["--scale", "-1"], ["--scale", "nan"], ["--scale", "abc"],
             ["--spike", "at=1s"], ["--herd", "at=1s,users=0"], ["--herd", "users=3"],
             ["--herd", "at=x,users=3"], ["--herd", "at=1s,users=3,users=4"],
             ["--spike", "at=1s,for=1s,x=1e9"], ["--spike", "at=1s,at=2s,for=1s,x=2"]]
)  # fmt: skip
def test_what_is_no_load_is_a_usage_error(args: list[str], tmp_path: Path) -> None:
    path = write_tape(tmp_path / "x.tape", [(1, 0, get("/a"))])
    assert CliRunner().invoke(plan_command, [str(path), *args]).exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [({"spike": (Spike(60 * S, S, 2.0),)}, "no session of the plan begins within it"),
     ({"spike": (Spike(60 * S, S, 2.0),), "soak": 30 * S}, "the soak has ended by then"),
     ({"scale": 1e5, "spike": (Spike(0, S, 1e5),)}, "1e\\+10 times the requests")],
)  # fmt: skip
def test_load_that_cannot_be_made_is_refused_in_a_sentence(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ReplayError, match=said):
        planned(tape_of(tmp_path), **options)


def test_the_plan_command_shows_the_scaled_plan(tmp_path: Path) -> None:
    path = tape_of(tmp_path)
    args = [str(path), "--scale", "2", "--herd", "at=1s,users=20", "--spike", "at=1s,for=1s,x=3"]
    found = CliRunner().invoke(plan_command, args)
    assert found.exit_code == 0, found.exception
    assert found.output.startswith("540 requests on")
