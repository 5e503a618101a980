"""The page of a shape in a real browser: nothing fails, all is drawn, a phone can show it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from capture.tape import Tape
from shapes.cards import cards_of, facts_of
from shapes.plots import page as page_of
from shapes.shape import describe
from tests.browser.chromium import chromium, page
from tests.shapes.shape_tapes import recorded, write

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")

UNDRAWN = """[...document.querySelectorAll('.plot')]
    .filter(plot => !plot.querySelector('.main-svg .trace, .main-svg .point')).map(p => p.id)"""
CUT = """[...document.querySelectorAll('.plot')].filter(p => [...p.querySelectorAll('text')].some(
    t => { const a = t.getBoundingClientRect(), b = p.getBoundingClientRect();
           return a.width && (a.left < b.left - 1 || a.right > b.right + 1); })).map(p => p.id)"""
SIDEWAYS = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


@pytest.fixture(scope="module")
def shape_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    with Tape.open(write(folder / "x.tape", recorded(20_000))) as tape:
        shape = describe(tape)
    path = folder / "x.html"
    path.write_text(page_of("The shape of x.tape", cards_of(shape), facts_of(shape)))
    return path


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_every_plot_is_drawn_and_nothing_is_cut_at(
    shape_page: Path, width: int, dark: bool
) -> None:
    async def seen() -> dict[str, Any]:
        async with page(shape_page.as_uri(), width, dark) as tab:
            await tab.value("new Promise(done => setTimeout(done, 300))")
            return {
                "plots": await tab.value("document.querySelectorAll('.plot').length"),
                "undrawn": await tab.value(UNDRAWN),
                "cut": await tab.value(CUT),
                "sideways": await tab.value(SIDEWAYS),
                "errors": tab.errors,
            }

    found = asyncio.run(seen())
    assert found.pop("plots") >= 10
    assert found == {"undrawn": [], "cut": [], "sideways": 0, "errors": []}


def test_the_page_is_small_and_needs_no_network(shape_page: Path) -> None:
    text = shape_page.read_text()
    assert len(text) < 6_000_000
    assert "<script src" not in text
    assert "<link" not in text.split("<script>")[0]
