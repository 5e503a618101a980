"""The report says the same on a page, in Markdown and in JSON."""

from __future__ import annotations

import json
import re

from capture.ledger import Ledger
from replay.verdict.report import as_html, as_json, as_markdown, report_of
from tests.replay.runs import rows_of, run, run_columns


def test_the_first_screen_names_the_verdict_the_worst_endpoint_and_the_fidelity():
    page = as_html(report_of("run.tape", run(slow=100)))
    first = page.partition("<h2>")[0]
    assert "GET /search went from 12 ms to 1.2 s" in first
    assert ">Fidelity<" in first
    assert first.index("GET /search</code>") < first.index("Fidelity<")


def test_the_page_needs_nothing_from_elsewhere_and_weighs_less_than_8_mb():
    page = as_html(report_of("run.tape", run(count=20_000)))
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', page)
    assert len(page) < 8_000_000


def test_hostile_text_of_a_request_cannot_leave_its_place_on_the_page():
    columns = run_columns(count=300, slow=100)
    nasty = "GET /</script><script>alert(1)</script>"
    columns["endpoint"] = [nasty] * 300
    page = as_html(report_of("run.tape", rows_of(columns)))
    assert "<script>alert(1)" not in page


def test_json_holds_no_value_that_json_has_not():
    content = json.loads(as_json(report_of("run.tape", run(slow=100))), parse_constant=pytest_fail)
    assert content["verdict"] == "FAIL"
    assert content["findings"][0]["subject"] == "GET /search"


def pytest_fail(constant: str) -> None:
    raise AssertionError(constant)


def test_what_was_dropped_is_among_what_could_not_be_validated():
    ledger = Ledger()
    ledger.book("exchanges", "kept", 10)
    ledger.book("exchanges", "sampled out", 5)
    text = as_markdown(report_of("run.tape", run(), ledger))
    assert "- 5 exchanges sampled out." in text
    assert text.startswith("## PASS")
