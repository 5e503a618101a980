"""The live page in a real browser: every number drawn, no error, on a phone and on a wall."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from capture.exchange import NEVER
from replay.dashboard.feed import Dashboard
from replay.observe.glance import Glance, Part
from replay.observe.live import Live
from tests.browser.chromium import chromium, page

NS = 1_000_000_000
needs_browser = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNDRAWN = """[...document.querySelectorAll('[data-n]')]
    .filter(e => !e.textContent.match(/[0-9]|none/)).map(e => e.id)"""
CUT = """[...document.querySelectorAll('.big, h1, #sentence, .soft, th, td:not(:first-child)')]
    .filter(e => e.getBoundingClientRect().right > e.closest('div, section, header')
        .getBoundingClientRect().right + 1).map(e => e.outerHTML)"""
FAINT = """[...document.querySelectorAll('h1, h2, p, b, td, th, li, figcaption')].filter(e => {
    if (!e.textContent.trim() || !e.getClientRects().length) return false;
    const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b };
    const card = e.closest('.tile, figure, .verdict, .lists > div') || document.body;
    const a = light(getComputedStyle(e).color), b = light(getComputedStyle(card).backgroundColor);
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5 }).map(e => e.outerHTML)"""


def glance(second: float, failed: int = 0) -> Glance:
    """A glance of 100 requests, so many of which failed."""
    rng = np.random.default_rng(int(second * 2))
    service = rng.lognormal(16, 0.5, 100).astype(np.int64)
    outcome = np.where(np.arange(100) < failed, 3, 1)
    service[outcome != 1] = NEVER
    part = Part(
        late_ns=rng.integers(5_000, 90_000, 100), endpoint=np.arange(100) % 3,
        endpoints=["GET /", "GET /search", "POST /a/very/long/path/{id}/that/goes/on/and/on"],
        service_ns=service, response_ns=service, status=np.full(100, 200), outcome=outcome,
        due_ns=np.zeros(100), target=np.zeros(100), was_status=np.full(100, 200),
        recorded_ns=service,
    )  # fmt: skip
    return Glance(0, int(second * NS), 104, 12, 0, [part])


@pytest.fixture
def shown() -> Iterator[Dashboard]:
    dashboard = Dashboard(Live("theirs.tape"), "127.0.0.1", 0)
    for half in range(120):
        dashboard.live(glance(half / 2, failed=4 if half > 100 else 0))
    dashboard.live.more["length_s"] = 72 * 3600.0
    dashboard.live.more["watched"] = [
        {"metric": "process_resident_memory_bytes", "now": "1,204.5 MB", "per_hour": "+978.1 MB"}
    ]
    try:
        yield dashboard
    finally:
        dashboard.close()


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(390, True), (390, False), (1440, False)])
def test_every_number_is_drawn_and_nothing_is_cut_at(
    shown: Dashboard, width: int, dark: bool
) -> None:
    async def look() -> dict[str, Any]:
        async with page(f"{shown.url}/", width, dark) as tab:
            for _ in range(50):
                shown.tell()
                if await tab.value("document.getElementById('sent').textContent") == "12,000":
                    break
                await asyncio.sleep(0.1)
            number = "parseFloat(getComputedStyle(document.querySelector('.big')).fontSize)"
            return {
                "undrawn": await tab.value(UNDRAWN), "cut": await tab.value(CUT),
                "sideways": await tab.value(SIDEWAYS), "faint": await tab.value(FAINT),
                "paths": await tab.value("document.querySelectorAll('svg path').length"),
                "sent": await tab.value("document.getElementById('sent').textContent"),
                "word": await tab.value("document.getElementById('word').textContent"),
                "number": await tab.value(number),
                "fresh": await tab.value("document.getElementById('fresh').textContent"),
                "errors": tab.errors,
            }  # fmt: skip

    seen = asyncio.run(look())
    assert seen["errors"] == []
    assert seen["undrawn"] == []
    assert seen["cut"] == []
    assert seen["faint"] == []
    assert seen["sideways"] <= 0
    assert seen["paths"] == 5
    assert seen["sent"] == "12,000"
    assert seen["word"] == "FAILING"
    assert seen["fresh"] == "live"
    assert seen["number"] >= (32 if width < 600 else 60), "too small to be read from across a room"


@needs_browser
def test_the_page_says_when_it_has_ended_and_when_nothing_comes_any_more(shown: Dashboard) -> None:
    async def look() -> list[str]:
        async with page(f"{shown.url}/", 1440, False) as tab:
            said = []
            text = "document.getElementById('fresh').textContent"
            shown.tell()
            for wanted in ("no news", "ended"):
                for _ in range(100):
                    if wanted in (found := str(await tab.value(text))):
                        break
                    await asyncio.sleep(0.1)
                said.append(found)
                await asyncio.to_thread(shown.tell, ended=True)
            return said

    first, last = asyncio.run(look())
    assert first.startswith("no news for")
    assert last == "ended"


def test_only_loopbacks_names_are_answered_and_nothing_else_is_loaded(shown: Dashboard) -> None:
    with urllib.request.urlopen(f"{shown.url}/", timeout=10) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert b"http://" not in answer.read()
    request = urllib.request.Request(f"{shown.url}/state", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()
