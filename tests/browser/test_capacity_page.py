"""The page of a search for capacity in a real browser: all is drawn, the knee is marked."""

from __future__ import annotations

from pathlib import Path

import pytest

from replay.capacity.capacity import Capacity, probe_of
from replay.capacity.page import as_html
from replay.capacity.search import TARGET
from replay.verdict.gate import parse
from tests.browser.chromium import chromium
from tests.browser.plots import seen
from tests.replay.runs import run

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")
LEGENDS = "[...document.querySelectorAll('#plot0 .key > span')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def capacity_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    slo = parse("p99 < 100ms and errors < 1%")
    probes = tuple(
        probe_of(run(count=600, rate=100 * scale, pool=4, late_ms=late), slo, scale)
        for scale, late in ((1, 0), (2, 0), (4, 0), (6, 0), (8, 0), (8, 60))
    )
    path = tmp_path_factory.mktemp("page") / "x.html"
    path.write_text(as_html("x.tape", Capacity(slo.text, 4, 6, TARGET, True, probes)))
    return path


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_every_plot_is_drawn_and_the_knee_is_marked_at(
    capacity_page: Path, width: int, dark: bool
) -> None:
    found = seen(capacity_page, width, dark, legends=LEGENDS)
    assert set(found["legends"]) == {"holds", "breaks", "invalid", "knee"}
    assert found["plots"] == 4
