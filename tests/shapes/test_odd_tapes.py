"""Whatever a tape holds, `wiretape shapes` answers, or says in one sentence why it cannot."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from capture.errors import WiretapeError
from shapes.cli import shapes
from tests.shapes.shape_tapes import odd

KINDS = (
    "empty", "one", "two", "one run", "unanswered", "malformed", "tcp", "one moment", "run",
    "unsent", "never asked", "empty run", "damaged", "damaged run",
)  # fmt: skip
RUNS = ("one run", "run", "unsent", "damaged run")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return odd(tmp_path_factory.mktemp("odd"))


def called(*args: object) -> Result:
    return CliRunner().invoke(shapes, [str(arg) for arg in args])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tape_is_described(kind: str, tapes: dict[str, Path], tmp_path: Path) -> None:
    screen = called(tapes[kind])
    assert screen.exit_code == 0, screen.exception
    assert "exchanges" in screen.output
    page = tmp_path / "page.html"
    drawn = called(tapes[kind], "--html", page)
    assert drawn.exit_code == 0, drawn.exception
    assert page.read_text().startswith("<!doctype html>")
    printed = called(tapes[kind], "--json")
    assert printed.exit_code == 0, printed.exception
    assert json.loads(printed.stdout)["format"] == "wiretape-shape/1"


def test_two_tapes_to_describe_are_a_usage_error_that_names_what_compares_them() -> None:
    found = called("a.tape", "b.tape")
    assert found.exit_code == 2
    assert "wiretape shapes compare A B" in found.output


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tape_is_saved_and_compared(
    kind: str, tapes: dict[str, Path], tmp_path: Path
) -> None:
    saved = tmp_path / "x.shape"
    assert called("save", tapes[kind], "-o", saved).exit_code == 0
    assert "No statistic differs" in called("compare", tapes[kind], saved).output
    for a, b in ((tapes["run"], saved), (saved, tapes["run"])):
        assert called("compare", a, b).exit_code == 0
        assert isinstance(json.loads(called("compare", a, b, "--json").stdout), list)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_has_a_fidelity_and_a_recording_says_that_it_has_none(
    kind: str, tapes: dict[str, Path]
) -> None:
    found = called("fidelity", tapes[kind], "--json")
    if kind in RUNS:
        assert found.exit_code == 0, found.exception
        assert json.loads(found.stdout)["verdict"] in ("EXCELLENT", "VALID", "INVALID")
        assert called("fidelity", tapes[kind]).exit_code == 0
    else:
        assert isinstance(found.exception, WiretapeError)


@pytest.mark.parametrize("verb", [(), ("save", "-o", "x.shape"), ("fidelity",)])
def test_a_file_that_is_no_tape_gives_one_sentence(verb: tuple[str, ...], tmp_path: Path) -> None:
    for name, data in (("empty.tape", b""), ("noise.tape", b"noise" * 99), ("no.shape", b"{}")):
        file = tmp_path / name
        file.write_bytes(data)
        found = called(*verb, file)
        assert isinstance(found.exception, WiretapeError)
        assert len(str(found.exception).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("format",), "wiretape-shape/9", "wiretape-shape/9"),
        (("arrivals",), {}, "arrivals.exchanges"),
        (("arrivals", "rate_per_s"), "fast", "arrivals.rate_per_s"),
        (("sessions", "think_s"), [], "sessions.think_s"),
        (("mix", "endpoints"), [{"endpoint": "GET /"}], "mix.endpoints.exchanges"),
        (("connections",), None, "connections"),
    ],
)
def test_a_saved_shape_that_is_not_whole_says_what_it_lacks(
    path: tuple[str, ...], value: object, said: str, tapes: dict[str, Path], tmp_path: Path
) -> None:
    saved = tmp_path / "x.shape"
    assert called("save", tapes["run"], "-o", saved).exit_code == 0
    shape = place = json.loads(saved.read_text())
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    saved.write_text(json.dumps(shape))
    for args in ((saved,), ("synth", saved, "-o", tmp_path / "y.tape"), ("compare", saved, saved)):
        found = called(*args)
        assert isinstance(found.exception, WiretapeError)
        assert said in str(found.exception)


def test_what_could_not_be_read_is_said(tapes: dict[str, Path]) -> None:
    assert "is damaged" in called(tapes["damaged"]).stderr
    assert "is damaged" not in called(tapes["run"]).stderr


def test_a_shape_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "thin.shape"
    file.write_text(json.dumps({"format": "wiretape-shape/1", "mix": {}}))
    assert isinstance(called(file).exception, WiretapeError)
