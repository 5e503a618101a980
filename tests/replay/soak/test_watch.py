"""What the target uses is watched, written down in bounded size, and judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from replay.soak.findings import Findings
from replay.soak.sources import SourceLost
from replay.soak.watch import TOO_EARLY, Watcher, amount
from replay.soak.watchlog import Watchlog
from replay.verdict.leaks import read_samples


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
