"""What a report of a very long run costs: seconds to make, megabytes, seconds until it is drawn.

The runs are made in memory, with 200 endpoints, a slow one and a pool that fills now and then, so
that every part of the page has something to say. The page is opened in a headless Chromium.

`python -m tests.bench.bench_report [exchanges …]`
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from replay.verdict.report import as_html, report_of
from replay.verdict.rows import NUMBERS, Rows
from tests.bench.common import peak_rss_mb
from tests.browser.chromium import chromium, page

ENDPOINTS = tuple(f"GET /service{n // 20}/things{n % 20}/{{id}}" for n in range(200))
MS = 1_000_000


def long_run(count: int, rate: float = 2_000.0) -> Rows:
    """The rows of a run of so many exchanges."""
    rng = np.random.default_rng(1)
    due = 10**18 + np.cumsum(rng.exponential(1e9 / rate, count)).astype(np.int64)
    endpoint = (rng.zipf(1.3, count) % len(ENDPOINTS)).astype(np.int32)
    recorded = (rng.lognormal(1.5, 0.4, count) * MS).astype(np.int64)
    jam = (due - due[0]) % 60_000_000_000 < 1_000_000_000  # a second of every minute
    service = recorded * np.where(endpoint == 3, 20, 1) + np.where(jam, 200 * MS, 0)
    sent = due + 20_000
    status = np.where(rng.random(count) < 0.01, 503, 200)
    numbers = {name: np.zeros(count, np.int64) for name in NUMBERS if name not in FILLED}
    numbers |= {
        "due_ns": due, "request_first_ns": sent, "response_first_ns": sent + service,
        "response_last_ns": sent + service, "recorded_service_ns": recorded, "status": status,
        "recorded_status": np.full(count, 200), "outcome": np.ones(count, np.uint8),
        "source": np.arange(count), "connection": np.arange(count) // 20,
        "session": np.arange(count) // 20, "key": rng.integers(0, count // 3 + 1, count),
    }  # fmt: skip
    nothing = np.zeros(count, np.int32)
    return Rows(numbers, endpoint, ENDPOINTS, nothing, ("/service/things/1",))


FILLED = (
    "due_ns", "request_first_ns", "response_first_ns", "response_last_ns", "recorded_service_ns",
    "status", "recorded_status", "outcome", "source", "connection", "session", "key",
)  # fmt: skip


async def opened(url: str, width: int = 1440, dark: bool = False) -> tuple[float, float, list[str]]:
    """Seconds until the page is loaded, and of the processor until all is drawn; complaints."""
    async with page("about:blank", width, dark) as tab:
        await tab.call("Performance.enable", timeDomain="threadTicks")
        await tab.call("Page.navigate", url=url)
        while not await tab.value("document.documentElement?.dataset.drawn || ''"):
            await asyncio.sleep(0.05)
        told = await tab.call("Performance.getMetrics")
        busy = {each["name"]: each["value"] for each in told["metrics"]}["TaskDuration"]
        took = await tab.value("performance.getEntriesByType('navigation')[0].loadEventEnd")
        return float(took) / 1000, busy, tab.errors


def main() -> None:
    """Print the table."""
    print(f"{'exchanges':>12}{'made in':>9}{'page':>9}{'opens in':>10}{'of CPU':>9}{'RSS':>10}")
    for count in map(int, sys.argv[1:] or ("10000", "1000000", "10000000")):
        rows = long_run(count)
        began = time.perf_counter()
        made = report_of("run.tape", rows)
        text = as_html(made)
        took = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.html"
            path.write_text(text, encoding="utf-8")
            size = path.stat().st_size / 1e6
            seconds, busy, errors = (
                asyncio.run(opened(path.as_uri())) if chromium() else (0.0, 0.0, [])
            )
        cost = f"{seconds:>8.2f} s{busy:>7.2f} s{peak_rss_mb():>7,.0f} MB"
        said = f"{made.verdict.word}, {len(errors)} console errors"
        print(f"{count:>12,}{took:>7.1f} s{size:>6.2f} MB{cost}  {said}", flush=True)


if __name__ == "__main__":
    main()
