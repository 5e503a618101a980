"""How users name requests: one parser for filters of tapes, plans, factors and verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.selector import asked_for, named
from capture.tape import Text

ENDPOINTS = ["GET /", "GET /orders/{id}", "POST /pay", "POST /pay/card", "GET /tags[]", "PURGE *"]


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("GET", ["GET /", "GET /orders/{id}", "GET /tags[]"]),
        ("GET *", ["GET /", "GET /orders/{id}", "GET /tags[]"]),
        ("P*", ["POST /pay", "POST /pay/card", "PURGE *"]),
        ("/pay", ["POST /pay"]),
        ("POST   /pay* ", ["POST /pay", "POST /pay/card"]),
        ("*/card", ["POST /pay/card"]),
        ("/tags[]", ["GET /tags[]"]),
        ("GET /orders/?id}", []),
        ("GET /pay", []),
        ("* /", ["GET /"]),
        ("*", ENDPOINTS),
        ("", ENDPOINTS),
    ],
)
def test_a_pattern_selects(pattern: str, selected: list[str]) -> None:
    assert [each for each in ENDPOINTS if named(each, pattern)] == selected


def test_a_target_is_selected_with_its_query_or_without() -> None:
    methods = Text(np.array([0, 0, 1]), ["GET", "POST"])
    targets = Text(np.array([0, 1, 0]), ["/a?x=1", "/a"])
    assert asked_for(methods, targets, ["GET /a"]).tolist() == [True, True, False]
    assert asked_for(methods, targets, ["/a?x=1"]).tolist() == [True, False, True]
    assert asked_for(methods, targets, ["POST", "GET /a?x=*"]).tolist() == [True, False, True]
    assert asked_for(methods, targets, []).tolist() == [False] * 3


@given(st.text(st.characters(exclude_characters="*"), min_size=1))
def test_without_stars_a_pattern_of_two_words_selects_itself_only(path: str) -> None:
    path = path.strip()
    for other in (path, f"{path}x", "/"):
        assert named(f"GET {other}", f"GET {path}") == (other == path or not path)


@given(st.lists(st.sampled_from(["*", "a", "aa"]), max_size=40))
def test_no_pattern_takes_long(parts: list[str]) -> None:
    assert not named("GET " + "a" * 5000, "/" + "".join(parts) + "b")
