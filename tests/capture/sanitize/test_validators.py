"""Checksums told quickly are the ones that their definitions tell."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from capture.sanitize.validators import cards_in, iban_remainder, is_card, luhn_sum

DIGITS = st.text("0123456789", min_size=1, max_size=24).map(str.encode)
GROUPS = st.lists(st.sampled_from([b"4", b"41", b"411", b"1111", b"5", b"60", b"-", b" ", b"+"]))


@given(DIGITS)
def test_every_second_digit_from_the_right_is_doubled(digits: bytes) -> None:
    doubled = [int(chr(byte)) * (1 + place % 2) for place, byte in enumerate(digits[::-1])]
    assert luhn_sum(digits) == sum(value // 10 + value % 10 for value in doubled)


@given(st.text("0123456789abcxyzABCXYZ", min_size=5, max_size=34))
def test_an_iban_is_read_in_base_36(text: str) -> None:
    spelt = "".join(str(int(each, 36)) for each in text[4:] + text[:4])
    assert iban_remainder(text.encode()) == int(spelt) % 97


@given(GROUPS.map(b"".join))
def test_cards_between_other_groups_are_all_runs_of_groups_that_are_cards(text: bytes) -> None:
    groups = [match.span() for match in re.finditer(rb"\d+", text)]
    runs = [(a, b) for at, (a, _) in enumerate(groups) for _, b in groups[at:]]
    assert sorted(cards_in(text)) == sorted((a, b) for a, b in runs if is_card(text[a:b]))
