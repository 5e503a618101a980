"""A trigger fires wherever its pattern finds something: nobody looks at what it passes over."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.sanitize import places, views
from capture.sanitize.detect import TABLE, Detector
from capture.sanitize.places import LOOSE
from capture.sanitize.scanner import CHUNK, Scanner
from capture.sanitize.triggers import Triggers

SCANNER, TRIGGERS = Scanner(), Triggers(TABLE)
# What the forms of the detectors are made of, and what stands beside them.
PIECES = [
    *(bytes([byte]) for byte in b"+-. :/()@,=_x#\n\r\t\0\xff\"'%0149aB"),
    b"00", b"12", b"123", b"1234", b"41111", b"987654", b"5551234", b"ff", b"DE", b"Ab3", b"fax",
    b"office", b"AKIA", b"sk-", b"AC", b"eyJ", b"basic ", b"Bearer ", b"://", b"-----", b"BEGIN ",
    b"mail.com", b"ya29.",
]  # fmt: skip
OTHERS = tuple(b"%04d " % number * 50 for number in range(5))  # enough for a long text
TEXTS = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)
KNOWN = {
    "jwt": b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "pem": b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBgkq" * 3,
    "basic-auth": b"basic dXNlcjpwYXNz", "bearer": b"BEARER abcdefgh1",
    "iban": b"de89370400440532013000", "url-credentials": b"ftp://user:pass@",
    "email": b"o'b%\xc3\xa9@a-b.co", "card": b"4111 1111 1111 1111", "phone": b"+14155552671",
    "ipv4": b"192.0.2.7", "ipv6": b"2001:db8::1", "mac": b"aA:bb:cc:dd:ee:ff",
    "token": b"aB3dE5gH7jK9mN1pQ3sT5uV7", "coordinates": b"-12.34567,-98.76543",
    "us-ssn": b"536-90-4399", "br-cpf": b"529.982.247-25", "in-aadhaar": b"2341 2341 2346",
    "uk-nhs": b"943 476 5919", "ca-sin": b"130 692 544", "de-tax-id": b"86095742719",
    "cn-id": b"11010519491231002x", "fr-nir": b"2 55 08 14 168 025 38",
    "it-cf": b"rssmra85t10a562s", "jp-number": b"1234 5678 9012",
}  # fmt: skip


def fired(text: bytes) -> set[str]:
    """The detectors that are asked however the text comes: short, among others, long, or a part."""
    beside = b" " + text + b" "
    ways = (
        among((text, *OTHERS))[0],
        TRIGGERS.fired(text).copy(),
        TRIGGERS.within(text, 0, len(text)),
        TRIGGERS.within(beside, 1, len(text) + 1),
    )
    return set.intersection(*({TABLE[n].name for n in way if n < len(TABLE)} for way in ways))


def among(texts: tuple[bytes, ...]) -> list[list[int]]:
    """What fires in each of some texts that are looked at together."""
    TRIGGERS.ahead(texts)
    told = [TRIGGERS.fired(text).copy() for text in texts]
    TRIGGERS.ahead(())
    return told


def found(detector: Detector, text: bytes) -> bool:
    secret = "secret" if "secret" in detector.pattern.groupindex else 0
    spans = (match.span(secret) for match in detector.pattern.finditer(text))
    return any(detector.valid is None or detector.valid(text[a:b]) for a, b in spans)


def looked_at(text: bytes) -> None:
    names = fired(text)
    for detector in TABLE:
        if found(detector, text):
            assert detector.name in names, (detector.name, text)


@given(TEXTS)
def test_a_trigger_fires_in_any_text_in_which_its_pattern_finds_something(text: bytes) -> None:
    looked_at(text)


@given(st.sampled_from(sorted(KNOWN)), TEXTS, TEXTS)
def test_a_trigger_fires_whatever_stands_beside(name: str, before: bytes, after: bytes) -> None:
    looked_at(before + KNOWN[name] + after)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_trigger_fires_between_any_two_bytes_that_its_pattern_takes(name: str) -> None:
    """Each example, too, has to be one: with nothing beside it, it is found."""
    detector = next(each for each in TABLE if each.name == name)
    if name not in ("fr-nir", "in-aadhaar", "jp-number"):  # not every checksum here is right
        assert found(detector, KNOWN[name])
    edges = [b"", *(bytes([byte]) for byte in range(256))]
    for edge in edges:
        for text in (edge + KNOWN[name], KNOWN[name] + edge, edge + KNOWN[name] + edge):
            if found(detector, text):
                assert name in fired(text), (name, edge)


@pytest.mark.parametrize("name", [each.name for each in TABLE])
@settings(max_examples=20)
@given(st.data())
def test_a_trigger_fires_on_whatever_its_pattern_takes(name: str, data: st.DataObject) -> None:
    detector = next(each for each in TABLE if each.name == name)
    text = data.draw(st.from_regex(detector.pattern))
    if name != "phone" or found(detector, text):  # of that the pattern takes five digits, too
        assert name in fired(text)


@settings(max_examples=300)
@given(st.lists(TEXTS | st.sampled_from(sorted(KNOWN.values())), max_size=12))
def test_in_a_text_among_others_is_found_what_is_found_in_it_alone(texts: list[bytes]) -> None:
    """But for one of the two triggers of base64, which says nothing without the other."""
    alone = [({*TRIGGERS.fired(text)}, SCANNER.find(text)) for text in texts]
    pair = {len(TABLE), len(TABLE) + 1}
    for (before, _), together in zip(alone, among((*texts, *OTHERS)), strict=False):
        assert before - pair <= {*together}
        assert (pair <= {*together}) == (pair <= before)
    SCANNER.ahead((*texts, *OTHERS))
    assert [SCANNER.find(text) for text in texts] == [found for _, found in alone]
    SCANNER.ahead(())


@given(TEXTS)
def test_a_long_text_is_asked_for_no_more_than_a_short_one(text: bytes) -> None:
    """A sieve only spares work: what passes it is judged by the same trigger."""
    assert set(TRIGGERS.within(text, 0, len(text))) <= set(TRIGGERS.fired(text))


@pytest.mark.parametrize("turn", range(8))
def test_what_is_longer_than_chunks_overlap_is_found_whole(turn: int) -> None:
    at = CHUNK - 3000 + 700 * turn
    token = b"eyJhbGciOiJIUzI1NiJ9." + b"eyJzdWIiOiIx" * 900 + b".c2lnbmF0dXJl"
    key = b"-----BEGIN PRIVATE KEY-----" + b"\nMIIEvQIBADANBgkq" * 600
    for text, start, after in ((token, 0, b"."), (key, 27, b"-")):
        spans, _ = SCANNER.find(b" " * at + text + after + b" " * CHUNK)
        assert (at + start, at + len(text)) in [(a, b) for a, b, _ in spans]


@pytest.mark.parametrize("name", sorted(set(KNOWN) - {"pem"}))  # whose end is none
def test_what_stands_across_chunks_is_found_as_within_one(name: str) -> None:
    draw = random.Random(7)
    secret = KNOWN[name]
    alone = {text[a:b] for text in [b" " + secret + b" "] for a, b, _ in SCANNER.find(text)[0]}
    for _ in range(40):
        at = CHUNK * draw.randrange(1, 3) - draw.randrange(len(secret) + 2)
        text = b". " * (at // 2) + b" " * (at % 2) + secret + b" ." * CHUNK
        spans, _ = SCANNER.find(text)
        assert {text[a:b] for a, b, _ in spans} == alone


CODES = st.sampled_from(["latin-1", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
WRONG = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)


@given(
    st.text(st.characters(max_codepoint=0x17F), min_size=3, max_size=60),
    CODES,
    WRONG,
    st.booleans(),
)
def test_base64_is_looked_at_wherever_what_it_spells_is_text(
    text: str, code: str, wrong: list[tuple[float, int]], url: bool
) -> None:
    plain = bytearray(text.encode(code, "replace"))
    for where, byte in wrong:
        plain[int(where * len(plain))] = byte
    run = (base64.urlsafe_b64encode if url else base64.b64encode)(plain)
    before = b"x" * (CHUNK - 11)
    if len(run.rstrip(b"=")) >= views.SHORTEST_BASE64 and views._decoded(run) is not None:
        assert SCANNER.find(run)[1]
        assert SCANNER.find(before + b" " + run)[1]


LOOSE_PIECES = [
    *(bytes([byte]) for byte in b"a1_.-=: \"'[]{}&;,\n\\\xff"), b"name", b"pin=", b'"token": "',
    b"x" * 61, b"y" * 62, b"    ", b"session[id]", b"  :  ", b"='a b",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(LOOSE_PIECES), max_size=16).map(b"".join),
    st.integers(0, 120),
    st.sampled_from([b" ", b"a:", b"- ", b"v"]),
)
@example(b"name" + b"x" * 61 + b'\\aa"token": "', 64, b" ")  # a value ends in half an escape
def test_loose_values_of_long_data_are_those_that_one_pattern_finds(
    text: bytes, before: int, filler: bytes
) -> None:
    size = places._REGION
    for fill in (b" ", filler):
        long = (fill * size)[: size - before] + text + (fill * size)[: size + 9] + text
        expected = [match.span(match.lastindex or 4) for match in LOOSE.finditer(long)]
        found = list(places.loose_values(long, 0, len(long)))
        assert [(place.start, place.end) for place in found] == expected


@pytest.mark.parametrize("detector", [each for each in TABLE if each.search], ids=lambda e: e.name)
@given(text=st.text("ab1._-@ \xe9", max_size=60), low=st.integers(0, 20), size=st.integers(0, 60))
def test_a_search_of_its_own_finds_what_the_pattern_finds(
    detector: Detector, text: str, low: int, size: int
) -> None:
    assert detector.search is not None
    data = text.encode("latin-1")
    there, theirs = min(low, len(data)), min(low + size, len(data))
    found = [match.span() for match in detector.search(data, there, theirs)]
    assert found == [match.span() for match in detector.pattern.finditer(data, there, theirs)]
