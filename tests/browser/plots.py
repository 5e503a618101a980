"""What is seen of a page of plots: all of it drawn, nothing cut or crowded, no error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.browser.chromium import page

UNDRAWN = """[...document.querySelectorAll('.plot')].filter(plot => ![...plot.querySelectorAll(
    'path.trace')].some(path => { const box = path.getBoundingClientRect();
        return path.getAttribute('d') && box.width + box.height > 0 })).map(p => p.id)"""
CUT = """[...document.querySelectorAll('.plot')].filter(p => [...p.querySelectorAll(
    'text, .picture span, .picture b, .xtitle')].some(t => {
        const a = t.getBoundingClientRect(), b = p.getBoundingClientRect();
        return a.width && (a.left < b.left - 1 || a.right > b.right + 1 ||
                           a.top < b.top - 1 || a.bottom > b.bottom + 1) })).map(p => p.id)"""
CROWDED = """[...document.querySelectorAll('.xs, .ys, .area')].filter(axis => {
    const boxes = [...axis.querySelectorAll(':scope > span, :scope > b')]
        .map(t => t.getBoundingClientRect());
    return boxes.some((a, i) => boxes.slice(i + 1).some(b => a.left < b.right + 1 &&
        b.left < a.right + 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2)) })
    .map(axis => axis.closest('.plot').id + ' ' + axis.className)"""
SIDEWAYS = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


def seen(file: Path, width: int, dark: bool, **more: str) -> dict[str, Any]:
    """How many `plots` a page has, none of them missing, cut or wrong; and what `more` asks of it.

    `more` are expressions of JavaScript by the name under which their values are returned.
    """

    async def look() -> dict[str, Any]:
        async with page(file.as_uri(), width, dark) as tab:
            return {
                "undrawn": await tab.value(UNDRAWN),
                "cut": await tab.value(CUT),
                "crowded": await tab.value(CROWDED),
                "sideways": await tab.value(SIDEWAYS),
                "plots": await tab.value("document.querySelectorAll('.plot').length"),
                **{name: await tab.value(expression) for name, expression in more.items()},
                "errors": tab.errors,
            }

    found = asyncio.run(look())
    wrong = {name: found.pop(name) for name in ("undrawn", "cut", "crowded", "sideways", "errors")}
    assert wrong == {"undrawn": [], "cut": [], "crowded": [], "sideways": 0, "errors": []}
    return found
