"""What is seen of a page of plots: all of it drawn, nothing cut, no error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.browser.chromium import page

DRAWN = """new Promise(done => { const look = () => document.documentElement.dataset.drawn
    ? setTimeout(done, 50) : setTimeout(look, 20); look() })"""
UNDRAWN = """[...document.querySelectorAll('.plot')]
    .filter(plot => !plot.querySelector('.main-svg .trace, .main-svg .point')).map(p => p.id)"""
CUT = """[...document.querySelectorAll('.plot')].filter(p => [...p.querySelectorAll('text')].some(
    t => { const a = t.getBoundingClientRect(), b = p.getBoundingClientRect();
           return a.width && (a.left < b.left - 1 || a.right > b.right + 1); })).map(p => p.id)"""
SIDEWAYS = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


def seen(file: Path, width: int, dark: bool, **more: str) -> dict[str, Any]:
    """How many `plots` a page has, none of them missing, cut or wrong; and what `more` asks of it.

    `more` are expressions of JavaScript by the name under which their values are returned.
    """

    async def look() -> dict[str, Any]:
        async with page(file.as_uri(), width, dark) as tab:
            await tab.value(DRAWN)
            return {
                "undrawn": await tab.value(UNDRAWN),
                "cut": await tab.value(CUT),
                "sideways": await tab.value(SIDEWAYS),
                "plots": await tab.value("document.querySelectorAll('.plot').length"),
                **{name: await tab.value(expression) for name, expression in more.items()},
                "errors": tab.errors,
            }

    found = asyncio.run(look())
    wrong = {name: found.pop(name) for name in ("undrawn", "cut", "sideways", "errors")}
    assert wrong == {"undrawn": [], "cut": [], "sideways": 0, "errors": []}
    return found
