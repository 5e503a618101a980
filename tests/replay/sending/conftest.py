"""What tests of sending share."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


@pytest.fixture(params=["express", "quick"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two short ways in turn (see replay/sending/quick.py)."""
    if request.param == "express" and find_spec("replay.sending.express") is None:
        pytest.skip("the short way in C was not compiled")
    monkeypatch.setenv("WIRETAPE_EXPRESS", str(int(request.param == "express")))
    return str(request.param)
