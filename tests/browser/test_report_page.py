"""The report in a real browser: nothing fails, every plot is drawn, a phone can show it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from replay.verdict.report import as_html, report_of
from tests.browser.chromium import Tab, chromium, page
from tests.browser.plots import CROWDED, CUT, UNDRAWN
from tests.replay.runs import run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")

WIDER = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, .plot'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
CONTRAST = """[...document.querySelectorAll('h1, h2, h3, p, td, th, li, .word')].filter(e => {
    const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b };
    const card = e.closest('.card') || document.body;
    const a = light(getComputedStyle(e).color), b = light(getComputedStyle(card).backgroundColor);
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5 }).map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(as_html(report_of("run.tape", run(slow=100))), encoding="utf-8")
    return path.as_uri()


def look(url: str, width: int, dark: bool, ask: Callable[[Tab], Any]) -> Any:
    async def inside() -> Any:
        async with page(url, width, dark) as tab:
            return await ask(tab)

    return asyncio.run(inside())


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_the_page_is_whole_and_readable_at(url: str, width: int, dark: bool) -> None:
    async def ask(tab: Tab) -> dict[str, Any]:
        return {
            "plots": await tab.value("document.querySelectorAll('.plot').length"),
            "undrawn": await tab.value(UNDRAWN),
            "cut": await tab.value(CUT),
            "crowded": await tab.value(CROWDED),
            "wider": await tab.value(WIDER),
            "sideways": await tab.value("document.documentElement.scrollWidth - innerWidth"),
            "faint": await tab.value(CONTRAST),
            "smallest": await tab.value(
                "Math.min(...[...document.querySelectorAll('main *')].filter(e => !e.closest("
                "'.plot')).map(e => parseFloat(getComputedStyle(e).fontSize)))"
            ),
            "verdict": await tab.value(
                "document.querySelector('h1').getBoundingClientRect().bottom < innerHeight"
            ),
            "errors": tab.errors,
        }

    seen = look(url, width, dark, ask)
    assert seen["errors"] == []
    assert seen["plots"] >= 8
    assert seen["undrawn"] == seen["cut"] == seen["crowded"] == []
    assert seen["wider"] == []
    assert seen["sideways"] <= 0
    assert seen["faint"] == []
    assert seen["smallest"] >= 11
    assert seen["verdict"], "the verdict is below the first screen"
