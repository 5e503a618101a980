"""A card spelt with spaces, dashes or the "+" of a form is replaced, and stays a card."""

from __future__ import annotations

import random

import pytest

from capture.exchange import Exchange
from capture.sanitize import Policy, Sanitizer
from capture.sanitize.validators import is_card, luhn_sum


@pytest.mark.parametrize("space", ["", " ", "-", "+"])
def test_a_card_is_replaced_however_its_groups_are_spaced(space: str) -> None:
    digits = b"4" + bytes(random.Random(3).choices(b"0123456789", k=14))
    card = (digits + b"%d" % (-luhn_sum(digits + b"0") % 10)).decode()
    spelt = space.join(card[at : at + 4] for at in range(0, 16, 4)).encode()
    body = b"x=" + spelt + b"&y=1"
    head = b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body)
    head += b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    exchange = Exchange()
    exchange.request = head + body
    exchange.head_bytes = len(head)
    exchange.request_bytes = len(exchange.request)
    clean = Sanitizer(Policy.built_in(), b"k" * 32).exchange(exchange).exchange.request
    assert spelt not in clean
    assert len(clean) == len(head + body)
    assert is_card(clean[len(head) + 2 : -4])
