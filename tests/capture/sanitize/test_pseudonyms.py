"""What holds of a pseudonym of each kind, whatever it is made of and however long that is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capture.sanitize import kinds
from capture.sanitize.detect import TABLE
from capture.sanitize.pseudonym import KINDS, Pseudonyms

from .planting import Maker

MADE = Pseudonyms(b"k" * 32)
OTHER = Pseudonyms(b"j" * 32)
SIZES = (11, 12, 31, 32, 33, 63, 64, 65, 254, 255, 256, 257, 1000, 5000)
BYTES = st.one_of(st.binary(max_size=80), st.text(max_size=60).map(str.encode))


def classes(text: bytes) -> list[str]:
    """The class of each character: a lower-case letter, an upper-case one, a digit, or itself."""
    return [
        "a" if 97 <= byte <= 122 else "A" if 65 <= byte <= 90 else "9" if 48 <= byte <= 57
        else chr(byte) if byte < 128 else "é" for byte in text
    ]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(text=BYTES)
@example(text=b"12345")
def test_any_bytes_have_a_pseudonym_of_their_length_and_always_the_same(
    kind: str, text: bytes
) -> None:
    made = MADE.make(kind, text)
    assert len(made) == len(text)
    assert made == Pseudonyms(b"k" * 32).make(kind, text)
    if any(byte < 128 and chr(byte).isalnum() for byte in text):
        assert made != text


@given(
    st.text("abcxyzABCXYZ019 @.-_/:", min_size=1, max_size=80).filter(
        lambda text: sum(map(str.isalnum, text)) > 0
    )
)
def test_each_position_keeps_its_class_and_some_change(text: str) -> None:
    plain = text.encode()
    made = MADE.text(plain)
    assert classes(made) == classes(plain)
    assert made != plain
    if plain[:1] != b"0":
        assert made[:1] != b"0"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("letters", ["abcdef0123456789", "0123456789", "aB3-", "é7x"])
def test_long_texts_keep_length_and_class_and_change_all_the_way(letters: str, size: int) -> None:
    plain = (letters * size).encode()[:size]
    made, other = MADE.text(plain), OTHER.text(plain)
    assert classes(made) == classes(plain)
    for start in range(0, size - 10, 10):  # no piece stays, nor is one key's like another's
        assert made[start : start + 40] != plain[start : start + 40]
    assert made != other


@pytest.mark.parametrize("seed", range(20))
def test_what_a_detector_finds_becomes_something_that_it_would_find_again(seed: int) -> None:
    for detector in TABLE:
        secret = Maker(seed).all()[detector.name]
        group = "secret" if "secret" in detector.pattern.groupindex else 0
        match = detector.pattern.search(secret.whole)
        assert match, detector.name
        if detector.name in ("it-cf", "de-tax-id") or detector.kind in ("digits", "text", "ssn"):
            continue  # an SSN of an area that is not issued; ids have no valid check digit
        start, end = match.span(group)
        made = MADE.make(detector.kind, match[group])
        again = detector.pattern.search(secret.whole[:start] + made + secret.whole[end:])
        assert again, (detector.name, made)
        assert again[group] == made, detector.name
        if detector.valid is not None and detector.name != "token":
            assert detector.valid(made), (detector.name, made)


@given(
    text=st.one_of(BYTES, st.from_regex(rb"[0-9]{0,6}[eEaGb]{0,3}[0-9A-Za-z]{0,6}", fullmatch=True))
)
def test_a_value_is_of_the_first_kind_whose_form_it_has(text: bytes) -> None:
    fitting = [
        kind
        for pattern, kind, valid in kinds._WHOLE
        if pattern.fullmatch(text) and (valid is None or valid(text))
    ]
    assert kinds.kind_of(text) == (fitting or ["text"])[0]
