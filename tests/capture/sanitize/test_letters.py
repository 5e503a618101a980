"""The characters of a pseudonym are the same, whether Python spelt them or C."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sanitize.characters import characters

letters = pytest.importorskip("capture.sanitize.letters", reason="it is not compiled")

CLASSES = ("abcdef", "ABCDEF", "xyz", "XYZ", "0189", "-+_", " .@/:=", "é\u20ac", "\0")
RUNS = st.sampled_from(CLASSES).flatmap(lambda some: st.text(some, max_size=18))
HEXADECIMAL = st.from_regex(
    r"\A(?:[0-9a-f]{7,12}|[0-9A-F]{7,12}|[0-9a-fA-F]{8,9})(?:-[0-9a-fA-F]{3,13}){0,4}-?\Z"
)
TEXTS = st.one_of(
    st.lists(RUNS, max_size=8).map("".join).map(str.encode),
    st.lists(st.sampled_from(CLASSES), max_size=6)
    .flatmap(lambda some: st.text("".join(some) or "a", max_size=60))
    .map(str.encode),
    HEXADECIMAL.map(str.encode),
    st.binary(max_size=60),
)


def same(byte: int) -> int:
    """A draw that spells a letter or a digit as it stands."""
    return byte - (97 if byte >= 97 else 65 if byte >= 65 else 48) if 48 <= byte <= 122 else 0


@settings(max_examples=1500)
@given(TEXTS, st.data())
def test_c_spells_what_python_spells(text: bytes, data: st.DataObject) -> None:
    draws = data.draw(st.binary(min_size=len(text), max_size=len(text) + 3))
    assert letters.characters(text, draws) == characters(text, draws)


@settings(max_examples=500)
@given(TEXTS, st.data())
def test_c_moves_the_words_that_python_moves(text: bytes, data: st.DataObject) -> None:
    """Whose draws would spell what stands there: all of them, or some."""
    other = data.draw(st.binary(min_size=len(text), max_size=len(text)))
    kept = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    draws = bytes(same(t) if keep else o for t, o, keep in zip(text, other, kept, strict=True))
    every = bytes(map(same, text))
    assert letters.characters(text, draws) == characters(text, draws)
    assert letters.characters(text, every) == characters(text, every)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 11, 12, 255, 256, 70_000])
@pytest.mark.parametrize("unit", [b"a", b"Z", b"7", b"f0", b"aB3-", b"-", b"ab cd1 ", b"a+b_c-"])
def test_c_spells_long_texts_as_python_does(unit: bytes, size: int) -> None:
    text = (unit * size)[:size]
    draws = bytes(at * 7 + at // 256 & 0xFF for at in range(size))
    assert letters.characters(text, draws) == characters(text, draws)
