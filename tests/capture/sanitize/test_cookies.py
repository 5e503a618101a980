"""Cookies and queries of names seen before are read in short, and as they would be at length."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sanitize import places

PIECES = (
    *(b"a", b"id", b"session", b"=", b"=", b";", b"; ", b" ", b"\t", b"\n", b"\x0b", b"\x1f"),
    *(b"\x85", b"=1", b"id=7", b"id=", b" id=x;", b"a b=c", b" " * 65, b"n" * 400, b"n" * 401),
)
COOKIES = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)


@settings(max_examples=1000)
@given(COOKIES, st.integers(0, 3))
def test_cookies_are_those_that_one_pattern_finds(text: bytes, start: int) -> None:
    for _ in range(2):  # at second sight names are known
        found = [
            (each.name, each.start, each.end) for each in places.cookies(text, start, len(text))
        ]
        matches = places._COOKIE.finditer(text, start)
        assert found == [
            ((each[1] or b"").decode("latin-1"), *each.span(3 if each[2] is None else 2))
            for each in matches
        ]


QUERIES = st.lists(
    st.sampled_from(
        (b"a", b"ref", b"=", b"&", b"&", b";", b"?", b"#", b" ", b"%41", b"+", b"ref=home", b"a=1&")
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=1000)
@given(QUERIES, st.integers(0, 3))
def test_a_query_is_read_at_second_sight_as_at_the_first(text: bytes, start: int) -> None:
    start = min(start, len(text))
    places._query_names.clear()  # the first time all goes the long way
    first, second = (
        [(p.name, p.start, p.end) for p in places.pairs(text, start, len(text), "query")]
        for _ in range(2)
    )
    assert second == first
