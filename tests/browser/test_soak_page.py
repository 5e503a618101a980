"""The report of a soak in a real browser: drawn, without an error, readable on a phone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from replay.soak.report import as_html, content_of
from tests.browser.chromium import chromium, page
from tests.browser.plots import CROWDED, CUT, UNDRAWN

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")
LEAK = "process_resident_memory_bytes grows by 978.1 MB an hour <b>& more</b>, 1.4 KB a request"
WIDER = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.wide, .plot'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""


def state() -> dict[str, Any]:
    times = {"p50": 1.0, "p90": 2.0, "p99": 30.5, "p999": 80.0}
    hours = [
        {"start_s": hour * 3600.0, "seconds": 3600.0, "due": 720_000, "sent": 720_000,
         "answered": 719_990, "failed": 10, "p50": 1.0, "p99": 30.0 + hour, "late_p99": 0.2,
         "watched": {}, "word": ""}
        for hour in range(72)
    ]  # fmt: skip
    at = [float(n * 600) for n in range(400)]
    rising = [1e8 + 400 * each for each in at]
    return {
        "tape": "theirs.tape", "target": ["http://127.0.0.1:1"], "started": "2026-01-01",
        "elapsed_s": 259_200.0, "soak_s": 259_200.0, "windows": {"closed": hours},
        "findings": [{"kind": "leak", "subject": "rss", "sentence": LEAK, "first_s": 240.0,
                      "last_s": 9000.0, "times": 3, "state": "standing", "segment": ""}],
        "segments": [{"segment": f"segment-{n:06}.tape", "rows": 120_000, "word": "PASS",
                      "sentence": "Nothing got slower.", "problem": ""} for n in range(400)],
        "totals": {"due": 51_840_000, "sent": 51_840_000, "failed": 720, "service_ms": times,
                   "late_ms": times, "endpoints": [
                       {"endpoint": "GET /a/path/that/is/{quite}/long/for/a/phone", "failed": 3,
                        "requests": 720_000, "recorded_ms": times, "service_ms": times}] * 60},
        "watched": [{"metric": name, "now": "120.0 MB", "per_hour": "+1.4 MB", "leaks": leaks,
                     "at_s": at, "least": rising, "greatest": [v * 1.2 for v in rising]}
                    for name, leaks in (("process_resident_memory_bytes", True), ("fds", False))],
        "removed": 30, "lost_rows": 0, "restarts": [{"stopped_s": 500.0}], "samples": 9,
        "sample_failures": 2, "checkpoint_failures": 0, "alerts": {}, "own_rss_mb": {},
        "more_metrics": False,
    }  # fmt: skip


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_the_report_of_three_days_is_drawn_and_fits(tmp_path: Path, width: int, dark: bool) -> None:
    path = tmp_path / "report.html"
    path.write_text(as_html(content_of(state(), True, [])), encoding="utf-8")
    assert path.stat().st_size < 6 << 20

    async def look() -> dict[str, Any]:
        async with page(path.as_uri(), width, dark) as tab:
            return {
                "plots": await tab.value("document.querySelectorAll('.area .trace').length"),
                "undrawn": await tab.value(UNDRAWN),
                "cut": await tab.value(CUT),
                "crowded": await tab.value(CROWDED),
                "wider": await tab.value(WIDER),
                "sideways": await tab.value("document.documentElement.scrollWidth - innerWidth"),
                "bold": await tab.value("document.querySelectorAll('td b').length"),
                "title": await tab.value("document.querySelector('h1').textContent"),
                "tables": await tab.value("document.querySelectorAll('table').length"),
                "errors": tab.errors,
            }

    seen = asyncio.run(look())
    assert seen["errors"] == []
    assert seen["plots"] >= 8
    assert seen["undrawn"] == seen["cut"] == seen["crowded"] == []
    assert seen["wider"] == []
    assert seen["sideways"] <= 0
    assert seen["bold"] == 0, "what a target says is text, not markup"
    assert seen["title"].startswith("FAIL: process_resident_memory_bytes grows")
    assert seen["tables"] == 4
