"""The fixture `wiretape` replays a tape at an app under test and says what came of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from capture.errors import ReplayError
from replay.testing.asserting import options_of_values
from replay.testing.under_test import serving
from tests.replay.recorder import get, recorder, write_tape

pytest_plugins = ["pytester"]

APPS = """
import asyncio
from aiohttp import web

def aiohttp_app(delay=0.0, status=200):
    async def answer(request):
        await asyncio.sleep(delay)
        return web.Response(text="ok", status=status)
    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    return app

class Asgi:
    def __init__(self):
        self.asked = 0
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        self.asked += 1
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""


def _tape(folder: Path, count: int = 30) -> Path:
    return write_tape(folder / "x.tape", [(n % 5, n * 7.0, get("/search")) for n in range(count)])


def test_apps_of_each_kind_are_replayed_at_and_asserted_on(pytester: pytest.Pytester):
    _tape(pytester.path)
    pytester.makepyfile(apps=APPS)
    with recorder() as target:
        pytester.makepyfile(
            f'''
            import pytest
            from apps import Asgi, aiohttp_app

            @pytest.mark.wiretape("x.tape", speed=1)
            def test_aiohttp(wiretape):
                run = wiretape(aiohttp_app())
                assert run.sent == 30
                assert run.status(200) == 30
                assert run.verdict in ("PASS", "FAIL", "INVALID")
                assert run.errors == run.failed == 0
                assert 0 < run.p50("GET /search") <= run.p99("/search") == run.p99()
                run.must_not("errors > 1%", "status(5xx) > 0")
                with pytest.raises(AssertionError, match="it is 30"):
                    run.must_not("status(200) > 3")
                with pytest.raises(Exception, match="No endpoint"):
                    run.p99("GET /nowhere")

            @pytest.mark.wiretape("x.tape", attempts=1)
            def test_asgi_and_twice(wiretape):
                app = Asgi()
                assert wiretape(app, only="GET /search").sent == 30
                assert app.asked == 30
                assert wiretape(app, tape="x.tape", read_only=True).sent == 30
                assert app.asked == 60

            @pytest.mark.wiretape("x.tape", attempts=1, app="{target.url}")
            def test_url(wiretape):
                assert wiretape().status(200) == 30

            @pytest.mark.wiretape("x.tape", attempts=1)
            def test_a_failing_app_fails_and_shows_why(wiretape):
                run = wiretape(aiohttp_app(status=503))
                assert run.errors == 0

            @pytest.mark.wiretape("nowhere.tape")
            def test_no_tape(wiretape):
                wiretape(aiohttp_app())
            '''
        )
        done = pytester.runpytest_subprocess("-p", "no:randomly", "--strict-markers", timeout=60)
    text = done.stdout.str()
    assert "there is no such tape" in text
    assert "wiretape run 1" in text  # the report of a run is shown with the test that failed
    assert "| `GET /search` | 30 |" in text
    done.assert_outcomes(passed=3, failed=2)


def test_a_test_without_tape_or_app_is_told_what_to_say(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest

        def test_no_tape(wiretape):
            wiretape("http://127.0.0.1:1")

        @pytest.mark.wiretape("x.tape")
        def test_no_app(wiretape):
            wiretape()

        @pytest.mark.wiretape("x.tape")
        def test_no_server(wiretape):
            wiretape(object())
        """
    )
    _tape(pytester.path)
    done = pytester.runpytest_subprocess("-p", "no:randomly", timeout=60)
    done.assert_outcomes(failed=3)
    text = done.stdout.str()
    assert "Say what to replay" in text
    assert "Say what is under test" in text
    assert "cannot be served" in text


def test_options_are_written_as_on_the_command_line_or_as_values():
    options = options_of_values({"timeout": "2s", "speed": 2, "only": "GET *", "drop": ["POST *"]})
    assert (options.timeout, options.speed) == (2_000_000_000, 2)
    assert (options.only, options.drop) == (("GET *",), ("POST *",))


@pytest.mark.parametrize(
    "given", [{"target": "http://127.0.0.1:1"}, {"nonsense": 1}, {"timeout": "soon"}]
)
def test_an_option_that_is_none_is_told_in_one_sentence(given: dict[str, object]):
    with pytest.raises(ReplayError):
        options_of_values(given)


def test_an_app_that_does_not_start_is_told():
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": f"{scope['type']}.startup.failed", "message": "no database"})

    with pytest.raises(ReplayError, match="did not start"), serving(app):
        pass


def test_the_plugin_does_not_slow_the_start_of_pytest():
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport replay.testing.pytest_plugin\n"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"replay"}
