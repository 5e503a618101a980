"""What a restart goes on from: checkpoints, windows and series as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError
from replay.observe.glance import Glance
from replay.soak.budget import read_budget
from replay.soak.checkpoint import Checkpoint, restore_series, saved_series
from replay.soak.series import Watched
from replay.soak.windows import Windows
from tests.replay.observe.test_metrics import glance


def test_a_checkpoint_that_cannot_be_written_is_an_error_first_and_later_a_count(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    folder = tmp_path / "soak"
    with pytest.raises(ReplayError, match="the checkpoint cannot be written"):
        Checkpoint(folder, said.append).must_write({})
    folder.mkdir()
    checkpoint = Checkpoint(folder, said.append)
    checkpoint.write({"a": 1})
    assert checkpoint.read()["a"] == 1
    checkpoint.path.unlink()
    folder.rmdir()
    checkpoint.write({"a": 2})
    checkpoint.write({"a": 2})
    assert checkpoint.failures == 2
    assert len(said) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":99}'])
def test_a_checkpoint_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    checkpoint = Checkpoint(tmp_path, print)
    checkpoint.path.write_text(text)
    with pytest.raises(ReplayError, match=r"soak\.json"):
        checkpoint.read()


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=12), st.integers(0, 11))
def test_windows_go_on_after_a_restart_as_if_there_had_been_none(
    glances: list[tuple[int, int]], stop: int
) -> None:
    made: list[Glance] = [glance(n, f"GET /{n}", min(n, failed)) for n, failed in glances]
    once, before, after = Windows(), Windows(), Windows()
    for number, each in enumerate(made):
        once(each)
        (before if number < stop else after)(each)
        if number == stop - 1:
            after.restore(json.loads(json.dumps(before.save())))
    if stop > len(made):
        after = before
    assert after.totals() == once.totals()
    assert after.end_window(5, {}, "") == once.end_window(5, {}, "")


def test_windows_without_end_are_merged_and_lose_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.soak.windows.MOST_WINDOWS", 10)
    windows = Windows()
    for hour in range(57):
        windows(glance(10, failed=hour % 3))
        windows.end_window(hour + 1.0, {}, "")
    assert len(windows.closed) <= 10
    assert sum(each.sent for each in windows.closed) == 570
    assert sum(each.failed for each in windows.closed) == sum(hour % 3 for hour in range(57))
    assert windows.closed[0].start_s == 0
    ends = [each.start_s + each.seconds for each in windows.closed]
    assert ends == [*(each.start_s for each in windows.closed[1:]), 57.0]


def test_the_series_of_a_metric_survive_a_restart() -> None:
    first = Watched("rss", read_budget("10%"), 86_400.0)
    for at in range(1000):
        first.add(float(at), float(at % 7))
        first.look(float(at), 1)
    second = Watched("rss", read_budget("10%"), 86_400.0)
    restore_series(second, json.loads(json.dumps(saved_series({"rss": first})))["rss"])
    assert second.series.rows == first.series.rows
    assert (second.looks, second.next_s, second.leaks) == (first.looks, first.next_s, first.leaks)
