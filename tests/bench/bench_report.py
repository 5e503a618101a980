"""What a report of a very long run costs: seconds to make, megabytes, seconds until it is open.

Open means both: `first`, when something can be read, and `drawn`, when all is loaded and each
picture is drawn. `zoomed` is from the press of the button until Plotly has drawn them all anew.

The runs are made in memory, with 200 endpoints, a slow one and a pool that fills now and then, so
that every part of the page has something to say. The page is opened in a headless Chromium.

`python -m tests.bench.bench_report [exchanges …]`
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Opening:
    """How soon a page is there, in seconds from the begin of loading; and what it complains of."""

    first: float  # something can be read
    drawn: float  # all of it is loaded, each picture drawn
    busy: float  # of the processor, until then
    live: float  # from the press of its button until every picture can be zoomed
    errors: int


_PAINTED = """new Promise(done => requestAnimationFrame(() => setTimeout(() => done(
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime))))"""
_LIVE = """(async () => { const began = performance.now();
    document.getElementById('closer').click();
    while (!document.documentElement.dataset.live) await new Promise(done => setTimeout(done, 5));
    return performance.now() - began })()"""


async def opened(url: str, width: int = 1440, dark: bool = False) -> Opening:
    """Open a page in a browser of its own."""
    async with page("about:blank", width, dark) as tab:
        await tab.call("Performance.enable", timeDomain="threadTicks")
        await tab.call("Page.navigate", url=url)
        drawn = "performance.getEntriesByType('navigation')[0]?.loadEventEnd"
        while not await tab.value(f"document.documentElement?.dataset.drawn && {drawn}"):
            await asyncio.sleep(0.05)
        first = None
        while first is None:
            first = await tab.value(_PAINTED)
        told = await tab.call("Performance.getMetrics")
        busy = {each["name"]: each["value"] for each in told["metrics"]}["TaskDuration"]
        whole, live = await tab.value(drawn), await tab.value(_LIVE)
        return Opening(first / 1000, whole / 1000, busy, live / 1000, len(tab.errors))


def main() -> None:
    """Print the table."""
    print(f"{'exchanges':>12}{'made in':>9}{'page':>9}{'first':>8}{'drawn':>8}{'CPU':>8}"
          f"{'zoomed':>8}{'RSS':>10}")  # fmt: skip
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
            there = asyncio.run(opened(path.as_uri())) if chromium() else Opening(0, 0, 0, 0, 0)
        cost = (f"{there.first:>6.2f} s{there.drawn:>6.2f} s{there.busy:>6.2f} s"
                f"{there.live:>6.2f} s{peak_rss_mb():>7,.0f} MB")  # fmt: skip
        said = f"{made.verdict.word}, {there.errors} console errors"
        print(f"{count:>12,}{took:>7.1f} s{size:>6.2f} MB{cost}  {said}", flush=True)


if __name__ == "__main__":
    main()
