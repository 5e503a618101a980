"""What fuzzing has found, and a short run of its targets; the long one is `make fuzz`."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_decap, fuzz_files, fuzz_flows, fuzz_tape

_FOUND = [
    (fuzz_decap, "JKqq5isAAAAAAAAh"),  # IPv4 where the link type promises IPv6
    (fuzz_files, "XV0UXSMlTF3Uw4hdJUyIiCOGhoaGhoaGCwuGhoaGiAoU"),  # an offset of 2^62 s
    (fuzz_flows, "///AEhAQEBD/VUD4o2VlZWVlZWVlZWVlpID/Hg=="),  # fewer than no bytes missing
    (fuzz_flows, "JAYAJAABJAAAJCQZ/3okJEAAAAAAAAEAAP8x//////90dHR0/nU="),  # repeated, not counted
    (fuzz_tape, "APww/v/Nzf//QkJCQkJCQkJCQkL//w=="),  # `true` rows
]


@pytest.mark.parametrize(("target", "found"), _FOUND)
def test_what_fuzzing_has_found_stays_mended(target, found: str) -> None:
    target.one_input(base64.b64decode(found))


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_the_quick_way_of_decapsulation_and_the_general_one_agree_on_any_bytes(data: bytes) -> None:
    fuzz_decap.one_input(data)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_a_capture_file_of_any_bytes_gives_the_same_frames_in_any_parts(data: bytes) -> None:
    fuzz_files.one_input(data)


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_a_tape_that_lies_is_read_or_refused_with_one_sentence(data: bytes) -> None:
    fuzz_tape.one_input(data)
