"""The pages of a shape and of a plan in a real browser: nothing fails, all is drawn, even small."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.tape import Tape
from replay.options import PlanOptions
from replay.planning.figures import figures_of
from replay.planning.page import write_page
from shapes.cards import cards_of, facts_of
from shapes.plots import page as page_of
from shapes.shape import describe
from tests.browser.chromium import chromium
from tests.browser.plots import seen
from tests.shapes.shape_tapes import recorded, write

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def shape_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    with Tape.open(write(folder / "x.tape", recorded(20_000))) as tape:
        shape = describe(tape)
    path = folder / "x.html"
    path.write_text(page_of("The shape of x.tape", cards_of(shape), facts_of(shape)))
    return path


@pytest.fixture(scope="module")
def plan_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    options = PlanOptions(scale=5.0, endpoint_scale=(("GET /", 2.0),), soak=90 * 10**9)
    path = folder / "plan.html"
    with Tape.open(write(folder / "x.tape", recorded(20_000))) as tape:
        write_page(str(path), tape, options, figures_of(tape, options))
    return path


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_every_plot_is_drawn_and_nothing_is_cut_at(
    shape_page: Path, width: int, dark: bool
) -> None:
    assert seen(shape_page, width, dark)["plots"] >= 12


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1440, True)])
def test_every_plot_of_a_plan_is_drawn_at(plan_page: Path, width: int, dark: bool) -> None:
    assert seen(plan_page, width, dark)["plots"] >= 4


def test_the_page_is_small_and_needs_no_network(shape_page: Path) -> None:
    text = shape_page.read_text()
    assert len(text) < 2_500_000
    assert "<script src" not in text
    assert "<link" not in text.split("<script>")[0]


LIVE = """(async () => { document.getElementById('closer').click();
    while (!document.documentElement.dataset.live) await new Promise(done => setTimeout(done, 20));
    return [...document.querySelectorAll('.plot')].filter(
        plot => !plot.querySelector('.main-svg .trace, .main-svg .point') ||
                plot.querySelector('.picture')).map(plot => plot.id) })()"""


def test_the_pictures_can_be_zoomed_once_that_is_asked_for(shape_page: Path) -> None:
    found = seen(shape_page, 1440, True, before="typeof Plotly", left_still=LIVE,
                 after="typeof Plotly", button="document.getElementById('closer')")  # fmt: skip
    assert found["before"] == "undefined"
    assert found["left_still"] == []
    assert found["after"] == "object"
    assert found["button"] is None
