"""The parts of a soak: findings, alerts, segments, checkpoints, windows, what was watched."""

from __future__ import annotations

import json
import os
import shlex
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError, TapeError
from capture.rotation import Limit
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.observe.glance import Glance
from replay.soak.alerts import Alerts
from replay.soak.budget import read_budget
from replay.soak.checkpoint import Checkpoint, restore_series, saved_series
from replay.soak.csvfile import Watchlog
from replay.soak.findings import MOST, Findings, Found
from replay.soak.segments import Segment, SegmentWriter, last_number, prune
from replay.soak.series import Watched
from replay.soak.sources import SourceLost
from replay.soak.watch import TOO_EARLY, Watcher, amount
from replay.soak.windows import Windows
from replay.verdict.leaks import read_samples
from tests.replay.observe.test_metrics import glance
from tests.replay.recorder import waited
from tests.replay.soak.test_sources import serving


def found(kind: str = "leak", subject: str = "rss") -> Found:
    return Found(kind, subject, f"{subject} grows", 1.0, 1.0)


def test_a_finding_is_news_once_and_again_when_it_is_withdrawn() -> None:
    news: list[tuple[str, str]] = []
    findings = Findings(lambda f: news.append((f.subject, f.state)))
    for at in (1.0, 2.0, 3.0):
        findings.see("leak", "rss", f"grows at {at}", at)
    findings.see("leak", "fds", "grows", 3.0)
    findings.withdraw("leak", "fds", "does not", 4.0)
    findings.withdraw("leak", "never told", "does not", 4.0)
    assert news == [("rss", "standing"), ("fds", "standing"), ("fds", "withdrawn")]
    assert [(f.subject, f.times, f.first_s, f.last_s) for f in findings.standing] == [
        ("rss", 3, 1.0, 3.0)
    ]
    again = Findings(lambda f: news.append((f.subject, "again")))
    again.restore(json.loads(json.dumps(findings.as_list())))
    again.see("leak", "rss", "grows", 9.0)
    assert len(news) == 3, "what was told before a restart is no news after it"


def test_findings_without_end_are_counted_and_not_kept() -> None:
    findings = Findings(lambda _: None)
    for number in range(MOST + 7):
        findings.see("slow", f"GET /{number}", "is slow", 1.0)
    assert (len(findings.as_list()), findings.untold) == (MOST, 7)


def test_an_alert_that_cannot_be_delivered_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("replay.soak.alerts.PAUSE_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as held:
        dead = f"http://127.0.0.1:{held.getsockname()[1]}/"
    said: list[str] = []
    out = tmp_path / "told"
    writes = f"cat > {shlex.quote(str(out))}"
    alerts = Alerts([dead], [writes, "exit 3"], "soak", said.append)
    alerts(found())
    assert waited(lambda: alerts.delivered == 1 and alerts.failed == 2)
    alerts.close()
    assert json.loads(out.read_text())["text"] == "rss grows"
    assert [line.split(":")[0] for line in said] == ["Warning", "Warning"]


def test_a_webhook_that_refuses_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay.soak.alerts.PAUSE_S", 0.01)
    said: list[str] = []
    with serving(b"", 500) as url:
        alerts = Alerts([url], [], "soak", said.append)
        alerts(found())
        assert waited(lambda: alerts.failed == 1)
        alerts.close()
    assert "was not delivered" in said[0]


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


def test_what_was_watched_stays_bounded_and_the_report_reads_it(tmp_path: Path) -> None:
    log = Watchlog(tmp_path / "watched.csv", print, most_rows=100)
    for at in range(1000):
        log.add(float(at), {"rss": 5.0 * at} if at % 3 else {"rss": 5.0 * at, "late": 1.0})
    log.close()
    log = Watchlog(tmp_path / "watched.csv", print, most_rows=100)
    log.add(1000.0, {"rss": 1.0})
    log.close()
    found_samples = read_samples(tmp_path / "watched.csv")
    assert list(found_samples) == ["seconds", "rss", "late"]
    assert 20 <= len(found_samples["seconds"]) <= 101
    assert (np.diff(found_samples["seconds"]) > 0).all()


def test_a_log_that_cannot_be_written_is_told_once_and_nothing_else_stops(tmp_path: Path) -> None:
    said: list[str] = []
    log = Watchlog(tmp_path / "no" / "watched.csv", said.append)
    log.add(0.0, {"rss": 1.0})
    log.add(1.0, {"rss": 1.0})
    log.close()
    assert len(said) == 1


class Moody:
    """A source that fails while it is told to."""

    name = "moody"

    def __init__(self) -> None:
        self.fails = False
        self.value = 100.0 * (1 << 20)

    def sample(self) -> dict[str, float]:
        if self.fails:
            raise SourceLost("--scrape moody: cannot be read (refused).")
        return {"rss_bytes": self.value}


def test_a_source_that_stays_away_is_told_and_withdrawn_when_it_is_back(tmp_path: Path) -> None:
    news: list[tuple[str, str]] = []
    findings = Findings(lambda f: news.append((f.kind, f.state)))
    source = Moody()
    log = Watchlog(tmp_path / "w.csv", print)
    watcher = Watcher([source], [], 86_400.0, 1.0, findings, log, lambda: 200.0)
    for at, fails in enumerate([False, True, True, False, True, True, True, True, False]):
        source.fails = fails
        watcher.sample(float(at))
    watcher.close()
    assert news == [("watch", "standing"), ("watch", "withdrawn")]
    assert (watcher.samples, watcher.failures) == (3, 6)
    assert findings.standing == [], "what is not watched is no fault of the target's"
    assert watcher.table()[0]["per_hour"] == TOO_EARLY


def test_metrics_without_end_are_told_as_not_watched(tmp_path: Path) -> None:
    class Many:
        name = "many"

        def sample(self) -> dict[str, float]:
            return {f"m{number}": 1.0 for number in range(700)}

    log = Watchlog(tmp_path / "w.csv", print)
    watcher = Watcher([Many()], [], 1.0, 1.0, Findings(lambda _: None), log, lambda: 1.0)
    watcher.sample(0.0)
    watcher.close()
    assert len(watcher.watched) == 500
    assert watcher.ignored


def test_a_leak_is_told_with_what_a_request_costs(tmp_path: Path) -> None:
    findings = Findings(lambda _: None)
    source = Moody()
    log = Watchlog(tmp_path / "w.csv", print)
    watcher = Watcher([source], [], 86_400.0, 1.0, findings, log, lambda: 200.0)
    for at in range(300):
        source.value += 200 * 1024
        watcher.sample(float(at))
    watcher.close()
    (leak,) = findings.standing
    assert "1.0 KB a request" in leak.sentence
    assert leak.first_s <= 300
    assert watcher.table()[0]["leaks"]


def test_amounts_are_told_as_people_say_them() -> None:
    assert amount("rss_bytes", 1536.0) == "1.5 KB"
    assert amount("rss_bytes", 12.0) == "12 B"
    assert amount("threads", 12.0) == "12"
    assert amount("load", 0.1234) == "0.123"


def test_a_full_pool_is_told_once_whoever_waits_for_it():
    told: list[Found] = []
    findings = Findings(told.append)
    for at, who in enumerate(("GET /a, GET /b", "GET /b, GET /c", "GET /a")):
        findings.see("pool", who, f"a pool of about {at}", float(at))
    findings.see("slow", "GET /a", "GET /a went", 3.0)
    assert [(found.kind, found.times) for found in findings] == [("pool", 3), ("slow", 1)]
    assert len(told) == 2
