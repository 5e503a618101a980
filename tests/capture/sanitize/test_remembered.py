"""What is remembered of a text changes nothing but the time that it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from capture.sanitize import Policy
from capture.sanitize.blind import Blind
from capture.sanitize.pseudonym import Pseudonyms

IBAN = b"DE89370400440532013000"
CARD = b"4111 1111 1111 1111"
WAYS: dict[str, Callable[[Blind, bytes], bytes]] = {
    "piece": lambda blind, text: blind.between(text, []),
    "value": lambda blind, text: blind.value(text),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", [b"; to " + IBAN + b" and ", b"of " + CARD + b", " + IBAN])
def test_what_was_replaced_is_not_replaced_again_by_a_further_view(way: str, text: bytes) -> None:
    blind = Blind(Policy.built_in("standard"), Pseudonyms(b"k" * 32))
    for _ in range(4):
        blind.made.clear()
        new = WAYS[way](blind, text)
        assert IBAN not in new
        assert CARD not in new
        assert blind.clean(new) == new
