"""Every capture of the corpus, beside what tshark and Zeek find in it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.capture import packet_helpers as h
from tests.capture.corpus_reading import read_capture, request_lines, short
from tests.capture.known_differences import RIGHT

_EXPECTED = h.CORPUS / "pcaps" / "expected.json"
_FILES: list[dict[str, Any]] = json.loads(_EXPECTED.read_text()) if _EXPECTED.exists() else []

pytestmark = pytest.mark.skipif(not _FILES, reason="the corpus is not here: set WIRETAPE_CORPUS")


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file["file"])
def test_every_request_is_found_and_every_byte_has_one_fate(file: dict[str, Any]) -> None:
    exchanges, connections, ledger = read_capture(h.CORPUS / "pcaps" / file["file"])
    assert ledger.imbalances() == []
    sent: Counter[int] = Counter()
    for one in exchanges:
        sent[one.connection] += one.request_bytes
    assert {one.connection: one.client_bytes for one in connections if one.client_bytes} == +sent
    ours = request_lines(exchanges)
    theirs = Counter(short(method, target) for method, target, _ in file.get("requests") or [])
    known = RIGHT.get(file["file"])
    lacking, more, _ = known or ([], [], "")
    assert sorted((theirs - ours).elements()) == lacking
    assert sorted((ours - theirs).elements()) == more
    if known is None and file["requests_zeek"] is not None:
        assert ours.total() == file["requests_zeek"]


def test_the_table_of_differences_names_only_files_that_are_there() -> None:
    assert RIGHT.keys() <= {file["file"] for file in _FILES}


def test_of_the_requests_that_tshark_lists_all_but_the_named_ones_are_found() -> None:
    listed = sum(len(file.get("requests") or []) for file in _FILES)
    lacking = sum(len(lacking) for lacking, _, _ in RIGHT.values())
    assert lacking <= listed * 0.005
