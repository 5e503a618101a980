"""Every row of a soak is in one segment, and each segment is a run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.errors import TapeError
from capture.rotation import Limit
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.soak.segments import Segment, SegmentWriter, last_number, prune


def rows(count: int, at: int = 0) -> dict[str, Any]:
    return {"due_ns": np.arange(at, at + count), "endpoint": ["GET /"] * count}


def segments(folder: Path, limit: Limit, said: list[str], number: int = 1) -> Any:
    closed: list[Segment] = []
    header = TapeHeader(kind="run")
    return SegmentWriter(folder, header, limit, number, closed.append, said.append), closed


def test_every_row_is_in_one_segment_and_each_segment_is_a_run(tmp_path: Path) -> None:
    writer, closed = segments(tmp_path, Limit(size=1500), [])
    for block in range(20):
        writer.append_rows(rows(50, block * 50))
    writer.append_rows({}, {})
    writer.close()
    due: list[int] = []
    for segment in closed:
        with Tape.open(segment.path) as run:
            assert not run.losses
            found_rows = [block["due_ns"] for block in run.columns(["due_ns"])]
        due += np.concatenate(found_rows).tolist()
    assert due == list(range(1000))
    assert len(closed) > 1
    assert last_number(tmp_path) == len(closed)


def test_a_soak_of_no_request_leaves_no_segment(tmp_path: Path) -> None:
    writer, closed = segments(tmp_path, Limit(age_ns=1), [])
    writer.close()
    assert closed == []
    assert list(tmp_path.iterdir()) == []


def test_rows_that_find_no_room_are_counted_and_those_after_them_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    writer, closed = segments(tmp_path, Limit(size=1 << 20), said)
    writer.append_rows(rows(10))
    real = TapeWriter.append_rows

    def full(*_: Any) -> None:
        raise TapeError("x: cannot be written (No space left on device).")

    monkeypatch.setattr(TapeWriter, "append_rows", full)
    writer.append_rows(rows(30))
    writer.append_rows(rows(5))
    monkeypatch.setattr(TapeWriter, "append_rows", real)
    writer.append_rows(rows(10, 10))
    writer.close()
    assert writer.lost_rows == 35
    assert len(said) == 1
    with Tape.open(closed[0].path) as run:
        assert run.exchange_count == 20


def test_the_oldest_segments_go_first_and_those_that_show_something_last(tmp_path: Path) -> None:
    for number in range(1, 7):
        path = tmp_path / f"segment-{number:06}.tape"
        path.write_bytes(b"x" * 1000)
        stamp = time.time() - 100 + number
        os.utime(path, (stamp, stamp))
    gone = list(prune(tmp_path, Limit(size=3000), {"segment-000002.tape"}))
    assert [path.name[-6] for path in gone] == ["1", "3", "4"]
    assert sorted(path.name[-6] for path in tmp_path.iterdir()) == ["2", "5", "6"]
    assert len(list(prune(tmp_path, Limit(size=1), {"segment-000002.tape"}))) == 2
