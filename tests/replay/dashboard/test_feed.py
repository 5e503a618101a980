"""The live page's two sides: states go out without waiting, readers get the newest."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from capture.errors import ReplayError
from replay.dashboard.feed import Dashboard
from replay.observe.live import HISTORY_S, NOW_S, Live
from tests.replay.observe.test_metrics import glance
from tests.replay.recorder import waited


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    made = Dashboard(Live("t.tape"), "127.0.0.1", 0)
    try:
        yield made
    finally:
        made.close()


def state_at(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/state", timeout=20) as answer:
        return json.loads(answer.read())


def test_readers_get_states_as_they_come_and_the_last_says_that_it_ended() -> None:
    dashboard = Dashboard(Live("t.tape"), "127.0.0.1", 0)
    try:
        dashboard(glance(10))
        assert waited(lambda: state_at(dashboard.url).get("sums", {}).get("sent") == 10)
        events = urllib.request.urlopen(f"{dashboard.url}/events", timeout=20)
    finally:
        dashboard.live(glance(5))
        dashboard.close()
    with events:
        states = [json.loads(line[6:]) for line in events if line.startswith(b"data: ")]
    assert states[0]["sums"]["sent"] == 10
    assert states[-1]["sums"]["sent"] == 15
    assert states[-1]["ended"]


def test_a_page_whose_process_stands_still_holds_up_nobody(dashboard: Dashboard) -> None:
    pid = dashboard._process.pid
    assert pid is not None
    dashboard.live.findings = [{"kind": "leak", "sentence": "x" * 2000, "at": ""}] * 20
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(300):
            dashboard.tell()
        assert time.monotonic() - began < 30, "it waited"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert waited(lambda: state_at(dashboard.url)["name"] == "t.tape")


def test_a_page_whose_process_died_ends_no_replay(dashboard: Dashboard) -> None:
    dashboard._process.kill()
    dashboard._process.join()
    for _ in range(3):
        dashboard.tell()
        dashboard(glance(1))
    assert not dashboard._process.is_alive()
    assert dashboard.live.state()["sums"]["sent"] > 0, "what is told is still taken in"


def test_an_address_that_is_taken_or_none_is_one_sentence() -> None:
    held = socket.create_server(("127.0.0.1", 0))
    with held, pytest.raises(ReplayError, match="cannot be served there"):
        Dashboard(Live("t"), "127.0.0.1", held.getsockname()[1])
    with pytest.raises(ReplayError, match="cannot be served there"):
        Dashboard(Live("t"), "192.0.2.1", 0)


def later(made: Any, seconds: float) -> Any:
    made.elapsed_ns = int(seconds * 1e9)
    return made


def test_figures_are_of_the_last_seconds_and_counts_of_all() -> None:
    live = Live("t")
    for second in range(400):
        live(later(glance(10, failed=5 if second < 100 else 0), second))
    state = live.state()
    assert state["sums"] == {"due": 4000, "sent": 4000, "failed": 500, "ended": 4000}
    assert state["rate"] == state["planned_rate"] == 10
    assert state["failed_share"] == 0
    assert state["word"] == "FAILING"
    assert len(state["history"]) == HISTORY_S
    assert len(live._seconds) == NOW_S + 1
    assert state["endpoints"][0]["endpoint"] == "GET /"


def test_the_word_says_what_is_known_so_far() -> None:
    live = Live("t")
    assert live.state()["word"] == "WAITING"
    live(glance(100))
    assert live.state()["word"] == "ON PLAN"
    late = glance(100)
    late.parts[0].late_ns = late.parts[0].late_ns + 50_000_000
    live(late)
    assert live.state()["word"] == "LATE"
    live.word, live.findings = "FAIL", [{"kind": "leak", "sentence": "rss grows", "at": ""}]
    assert (live.state()["word"], live.state()["sentence"]) == ("FAIL", "rss grows")


def test_a_target_that_is_much_slower_than_recorded_is_not_called_on_plan() -> None:
    live = Live("t")
    slow = glance(100, "GET /search")
    slow.parts[0].service_ns = slow.parts[0].recorded_ns * 20
    live(glance(900))
    live(slow)
    state = live.state()
    assert (state["word"], state["sentence"]) == (
        "SLOW", "GET /search takes 40 ms now, recorded 2.0 ms."
    )  # fmt: skip
    live(later(glance(5), 60))
    live(later(glance(5), 61))
    assert live.state()["word"] == "ON PLAN", "it is of the last seconds"


def test_a_replay_that_slept_for_long_draws_no_hour_of_nothing() -> None:
    live = Live("t")
    live(later(glance(1), 0))
    live(later(glance(1), 100_000))
    assert live.state()["elapsed_s"] == 100_000
    assert len(live.state()["history"]) <= HISTORY_S
