"""Real texts with labelled personal data, as JSON fields, form fields and bodies of text."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from capture.exchange import Exchange
from capture.sanitize import Policy, Sanitizer

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("WIRETAPE_CORPUS", ROOT.parent / "shared" / "corpus"))
TEXTS = CORPUS / "pii" / "presidio_research_synth_v2_even.json"
CERTAIN = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN")
"""What a detector knows by its form; the others are names, places and dates in free text."""

Encode = Callable[[str], bytes]
PLACES: dict[str, tuple[bytes, bytes, bytes, Encode]] = {
    "json": (b"application/json", b'{"x":"', b'"}', lambda c: json.dumps(c)[1:-1].encode()),
    "form": (
        b"application/x-www-form-urlencoded", b"x=", b"",
        lambda c: b"+" if c == " " else quote(c, safe="").encode(),
    ),
    "text": (b"text/plain", b"", b"", str.encode),
}  # fmt: skip

pytestmark = pytest.mark.skipif(not TEXTS.exists(), reason="the corpus is not here")


@dataclass
class Tally:
    """Labelled spans by type, those missed, and what changed outside any of them."""

    spans: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    changed: int = 0


def sanitized(sanitizer: Sanitizer, kind: bytes, body: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    made = Exchange()
    made.request, made.head_bytes = head + body, len(head)
    made.request_bytes = len(made.request)
    return sanitizer.exchange(made).exchange.request[len(head) :]


def differing(place: str, text: str, sanitizer: Sanitizer) -> list[bool]:
    """Of each character of the text, whether its bytes were changed."""
    kind, before, after, encode = PLACES[place]
    coded = [encode(each) for each in text]
    body = before + b"".join(coded) + after
    new = sanitized(sanitizer, kind, body)
    assert len(new) == len(body)

    def each() -> Iterator[bool]:
        at = len(before)
        for piece in coded:
            yield new[at : at + len(piece)] != piece
            at += len(piece)

    return list(each())


def is_gone(text: str, changed: list[bool]) -> bool:
    """Whether nothing of a span is left that tells it: no four letters or digits in a row."""
    run = longest = 0
    letters = 0
    for char, other in zip(text, changed, strict=True):
        if char.isalnum():
            letters += 1
            run = 0 if other else run + 1
            longest = max(longest, run)
    return longest < letters and (longest < 4 or longest < letters / 2)


def tally(place: str, level: str) -> Tally:
    sanitizer = Sanitizer(Policy.built_in(level), b"k" * 32)
    out = Tally()
    rows: list[dict[str, Any]] = json.loads(TEXTS.read_text("utf-8"))
    for row in rows:
        text = row["full_text"]
        labelled: set[int] = set()
        changed = differing(place, text, sanitizer)
        for span in row["spans"]:
            start, end = span["start_position"], span["end_position"]
            labelled.update(range(start, end))
            out.spans[span["entity_type"]] += 1
            if not is_gone(text[start:end], changed[start:end]):
                out.missed[span["entity_type"]] += 1
        rest = [at for at in range(len(text)) if at not in labelled]
        out.outside += len(rest)
        out.changed += sum(changed[at] for at in rest)
    return out


@pytest.mark.parametrize("place", PLACES)
def test_standard_finds_what_has_a_form_and_changes_next_to_nothing_else(place: str) -> None:
    found = tally(place, "standard")
    for kind in CERTAIN:
        assert found.missed[kind] <= 0.01 * found.spans[kind], kind
    assert found.changed <= 0.01 * found.outside


@pytest.mark.parametrize("place", PLACES)
def test_strict_leaves_nothing_of_any_labelled_span(place: str) -> None:
    found = tally(place, "strict")
    assert not found.missed
    assert sum(found.spans.values()) > 1000
