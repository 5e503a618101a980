"""Replays in tests: the marker and fixture `wiretape`.

    @pytest.mark.wiretape("theirs.tape", speed=2)
    def test_it_still_bears_what_production_sends(wiretape):
        run = wiretape(app)                  # aiohttp, ASGI, or a URL
        assert run.verdict == "PASS", run.sentence
        assert run.p99("GET /search") < 300

pytest imports this at each start, so it imports nothing itself but pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .asserting import Run

ATTEMPTS = 3


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "wiretape(tape, **options): the tape that the fixture wiretape replays, and how "
        "(speed=2, scale=3, timeout='2s', attempts=3, …).",
    )


@pytest.fixture
def wiretape(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Run]:
    """Call it with what is under test; gives what the replay came to."""
    marker = request.node.get_closest_marker("wiretape")
    marked = dict(marker.kwargs) if marker is not None else {}
    if marker is not None and marker.args:
        marked["tape"] = marker.args[0]
    runs = 0

    def replayed(app: Any = None, tape: str | Path | None = None, **options: Any) -> Run:
        from .asserting import replay_at
        from .under_test import serving

        nonlocal runs
        runs += 1
        given = {**marked, **options}
        where = _found(request, tape or given.pop("tape", None))
        given.pop("tape", None)
        attempts = int(given.pop("attempts", ATTEMPTS))
        app = app if app is not None else given.pop("app", None)
        given.pop("app", None)
        if app is None:
            raise pytest.UsageError("Say what is under test: wiretape(app), or app= in the marker.")
        with serving(app) as url:
            run = replay_at(url, where, tmp_path / f"run-{runs}.tape", attempts, given)
        request.node.add_report_section("call", f"wiretape run {runs}", str(run))
        return run

    return replayed


def _found(request: pytest.FixtureRequest, tape: str | Path | None) -> Path:
    """The tape: beside the test, or where pytest's root is."""
    if tape is None:
        raise pytest.UsageError(
            "Say what to replay: @pytest.mark.wiretape('theirs.tape'), or wiretape(app, tape)."
        )
    beside = Path(request.path).parent
    for folder in (beside, request.config.rootpath):
        if (found := folder / tape).exists():
            return found
    raise pytest.UsageError(f"{tape}: there is no such tape beside {beside} nor at pytest's root.")
