"""Plans of any length are counted at once, and shown: counts, rates, bursts, endpoints."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from capture.errors import TapeError
from capture.tape import Tape
from replay.cli import plan as plan_command
from replay.options import PlanOptions
from replay.planning.figures import figures_of
from replay.planning.page import asked_of, cards_of, facts_of, write_page
from shapes.day import read_day
from tests.replay.planning.test_laps import S, long_tape, planned
from tests.replay.planning.test_more import tape_of


def test_a_loop_of_any_length_is_counted_by_its_laps(tmp_path: Path) -> None:
    with Tape.open(tape_of(tmp_path)) as tape:
        few = figures_of(tape, PlanOptions(loop=7, scale=2.0))
        many = figures_of(tape, PlanOptions(loop=7, scale=2.0), most=800)
        absurd = figures_of(tape, PlanOptions(loop=10**15), most=800)
    assert few.whole
    assert not many.whole
    for name in ("requests", "connections", "bytes", "methods", "endpoints", "about"):
        assert getattr(many, name) == getattr(few, name)
    assert absurd.requests == 180 * 10**15
    assert not absurd.about


def test_a_long_soak_is_told_about_from_its_begin(tmp_path: Path) -> None:
    with Tape.open(long_tape(tmp_path)) as tape:
        whole = figures_of(tape, PlanOptions(soak=1800 * S))
        part = figures_of(tape, PlanOptions(soak=1800 * S), most=20_000)
    assert part.about
    assert not whole.about
    assert part.requests == pytest.approx(whole.requests, rel=0.05)
    assert part.span_ns == 1800 * S


def test_the_screen_draws_rate_and_burstiness(tmp_path: Path) -> None:
    found = CliRunner().invoke(plan_command, [str(long_tape(tmp_path)), "--scale", "2"])
    assert found.exit_code == 0, found.exception
    rate, burstiness = found.output.splitlines()[-2:]
    assert rate.startswith("rate")
    assert "the highest" in rate
    assert "Poisson: 1" in burstiness


def test_the_page_shows_the_plan_beside_what_was_recorded(tmp_path: Path) -> None:
    path, page = long_tape(tmp_path), tmp_path / "plan.html"
    args = [str(path), "--endpoint-scale", "GET /1=4", "--html", str(page), "--json"]
    found = CliRunner().invoke(plan_command, args)
    assert found.exit_code == 0, found.exception
    assert json.loads(found.stdout)["requests"] == 600 * 6
    text = page.read_text()
    assert "recorded" in text
    assert "<b>× 4</b>" in text
    asked = PlanOptions(scale=2, speed=4, soak=7200 * S, seed=7)
    assert asked_of(asked) == [
        ("users", "× 2"), ("speed", "4 ×"), ("soak", "2 h"), ("seed", "7"),
    ]  # fmt: skip
    assert asked_of(PlanOptions(seed=7)) == []
    assert "<script src" not in text
    with Tape.open(path) as tape:
        plan = figures_of(tape, PlanOptions(endpoint_scale=(("GET /1", 4.0),)))
        recorded = figures_of(tape, PlanOptions())
        with pytest.raises(Exception, match="cannot be written"):
            write_page(str(tmp_path / "no" / "x.html"), tape, PlanOptions(), plan)
    assert ("times the recorded requests", "2") in facts_of(plan, recorded)
    titles = [card.title for card in cards_of(plan, recorded)]
    assert "GET /1 is 67 % of what would be asked" in titles


def test_a_factor_on_an_endpoint_that_the_tape_does_not_hold_is_refused(tmp_path: Path) -> None:
    args = [str(long_tape(tmp_path)), "--endpoint-scale"]
    found = CliRunner().invoke(plan_command, [*args, "GET /no*=3"])
    assert found.exit_code != 0
    assert "GET /no*: the tape holds no such endpoint" in str(found.exception)
    assert CliRunner().invoke(plan_command, [*args, "/1=3"]).exit_code == 0


def test_a_factor_on_an_endpoint_brings_more_users_who_ask_only_that(tmp_path: Path) -> None:
    path = long_tape(tmp_path)
    found = planned(path, endpoint_scale=(("GET /1", 3.0), ("GET /2", 0.0)))
    with Tape.open(path) as tape:
        names = [
            name for block in tape.columns(("endpoint",)) for name in block["endpoint"].strings()
        ]
    asked = [names[source] for source in found["source"].tolist()]
    assert asked.count("GET /0") == 600
    assert asked.count("GET /1") == 1800
    assert asked.count("GET /2") == 0
    clones = {names[source] for source in found["source"][found["clone"] > 0].tolist()}
    assert clones == {"GET /1"}


def test_laps_of_a_loop_are_other_users(tmp_path: Path) -> None:
    found = planned(tape_of(tmp_path), loop=3)
    assert sorted(set(found["clone"].tolist())) == [0, 1, 2]


def day_file(folder: Path, text: str) -> str:
    path = folder / "day.csv"
    path.write_text(text)
    return str(path)


def test_a_soak_follows_the_course_of_the_day(tmp_path: Path) -> None:
    # The tape begins at 22:13:20 UTC and lasts a minute; users double within the next hour.
    file = day_file(tmp_path, "time,users\n22:13:20,100\n22:14:20,100\n23:14:20,200\n")
    found = planned(long_tape(tmp_path), soak=3600 * S, diurnal=file)
    early, late = ((found["due_ns"] // (600 * S) == part).sum() for part in (0, 5))
    assert early == pytest.approx(1800 * 10 * 1.075, rel=0.06)
    assert late == pytest.approx(1800 * 10 * 1.91, rel=0.06)


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "no line"), ("08:00,1\n25:00,3\n", "line 2"), ("a,b\n08:00,x\n", "line 2"),
     ("00:00,0\n", "no users"), ("08:00,-1\n09:00\n", "line 1")],
)  # fmt: skip
def test_a_course_that_makes_no_sense_is_told(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=why):
        read_day(day_file(tmp_path, text), 0, S)


def test_a_tape_of_a_day_has_a_course_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="as long as a day"):
        read_day(day_file(tmp_path, "08:00,1\n"), 0, 86_400 * S)
