"""Gates fail when they should and only then; a wrong expression is shown where it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.verdict.drift import Difference, Drift
from replay.verdict.gate import KINDS, Checked, GateError, check, parse, slo
from replay.verdict.judge import Finding, judge
from replay.verdict.measures import Evidence
from replay.verdict.rows import Rows
from tests.replay.runs import rows_of, run, run_columns

SLOW = run(slow=100)
VERDICT = judge(SLOW)
BOTH = ("recorded", "baseline")


def _failing(share: float = 0.02, recorded: float = 0.0) -> Rows:
    columns = run_columns()
    rng = np.random.default_rng(1)
    columns["status"] = np.where(rng.random(2000) < share, 503, 200)
    columns["recorded_status"] = np.where(rng.random(2000) < recorded, 503, 200)
    return rows_of(columns)


def _checked(text: str, rows: Rows, evidence: Evidence | None = None, *found: Finding) -> Checked:
    return check(parse(text, sources=BOTH), rows, judge(rows, found), evidence)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("p99(GET /search) > 1.2 * recorded", True),
        ("p99(GET /cart) > 1.2 * recorded", False),
        ("p99(GET /items/{id}) > 300ms", False),
        ("p99(/search) > 300ms", True),
        ("p99(*) > 300ms", True),
        ("p50 > 2s", False),
        ("response(p99) > 300ms", True),
        ("response(p99, GET /cart) > 300ms", False),
        ("response(p99, /search) > 2 * recorded", True),
        ("errors > 0.5%", False),
        ("status(5xx) > 0", False),
        ("status(200) >= 2000", True),
        ("status(2xx) > 1.1 * recorded", False),
        ("requests < 2000", False),
        ("requests(/cart) < 2000", True),
        ("rate < 0.9 * recorded", False),
        ("lateness(p99) > 10ms", False),
        ("fidelity < 90", False),
        ("findings(slow) > 0 and errors > 1%", False),
        ("errors > 1% or findings(slow) > 0", True),
        ("p99(GET /nowhere) > 1s", True),
    ],
)
def test_a_gate_fails_where_its_expression_is_true(text: str, failed: bool):
    assert check(parse(text), SLOW, VERDICT).failed is failed


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("errors > 1.5 * recorded", True),
        ("errors > 3 * recorded", False),
        ("errors(/cart) > 0.5 * baseline", True),
        ("errors > 2 * baseline", False),
        ("p99(*) > 1.2 * baseline", False),
        ("rate < 0.5 * baseline", False),
    ],
)
def test_shares_and_rates_are_compared_with_the_recording_and_with_a_baseline(
    text: str, failed: bool
):
    rows, baseline = _failing(0.02, recorded=0.01), _failing(0.02)
    assert _checked(text, rows, Evidence(baseline=baseline)).failed is failed


def test_what_was_not_measured_fails():
    for text in ("leaks > 0", "drift > 3", "p99(*) > baseline", "errors(/nowhere) > 1%"):
        told = _checked(text, SLOW)
        assert told.failed
        assert "not known" in told.why


def test_leaks_are_those_that_were_found_where_somebody_watched():
    leak = Finding("leak", "rss", "rss grows", 70)
    assert not _checked("leaks > 0", SLOW, Evidence(watched=True)).failed
    assert _checked("leaks > 0", SLOW, Evidence(watched=True), leak).failed
    assert _checked("leaks(rss) > 0", SLOW, None, leak).failed
    assert not _checked("leaks(fds) > 0", SLOW, None, leak).failed


def test_drift_is_counted_by_severity_and_by_topic():
    found = Difference("cookie", "sid", "Secure", "", "high", 3, ())
    drift = Drift("a", "b", 5, (found,), False)
    for text, failed in (
        ("drift > 0", True),
        ("drift(high) > 0", True),
        ("drift(cookie) > 0", True),
        ("drift(medium) > 0", False),
        ("drift(TLS) > 0", False),
    ):
        assert _checked(text, SLOW, Evidence(drift=drift)).failed is failed


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("p99 < 300ms and errors < 1%", True),
        ("p99(/cart) < 300ms and errors < 1%", False),
        ("p99(/cart) < 300ms and errors < 0", True),
        ("p99 < 1ms or errors < 1%", False),
        ("p99(/nowhere) < 1s", True),
    ],
)
def test_an_objective_is_broken_where_it_does_not_hold_for_all_that_it_names(
    text: str, failed: bool
):
    told = slo(parse(text), SLOW, VERDICT)
    assert told.failed is failed
    assert bool(told.why) is failed


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("p99(*) >", 8),
        ("latency > 3ms", 0),
        ("errors > 3ms", 9),
        ("p99(*) > 5%", 9),
        ("fidelity < 90%", 11),
        ("status(5xx) > 1%", 14),
        ("errors > 1% nonsense", 12),
        ("errors > 1% and", 15),
        ("p100(*) > 1ms", 0),
        ("status(abc) > 1", 0),
        ("response > 1s", 0),
        ("lateness(p99) > recorded", 16),
        ("fidelity > 0.5 * recorded", 11),
        ("p99(*) > baseline", 9),
        ("p99(*) ≥ 1s", 6),
        ("errors > 0 or findings(slwo) > 0", 14),
        ("drift(hihg) > 0", 0),
        ("p99(*) > 1.2 * recrded", 15),
        ("p99(*) > 300 parsecs", 13),
        ("p99(*", 3),
        ("errors > nan", 9),
        ("", 0),
    ],
)
def test_a_wrong_expression_has_a_caret_under_the_place(text: str, at: int):
    with pytest.raises(GateError) as caught:
        parse(text)
    assert caught.value.at == at
    assert str(caught.value).endswith(" " * at + "^")


@given(st.text(alphabet="p9()* >=<andorx%ms.recrs/{}", max_size=40))
def test_any_text_is_a_gate_or_a_gate_error(text: str):
    try:
        assert parse(text).groups
    except GateError:
        pass


MEASURES = st.sampled_from(
    "p50 p99.9(*) p1(GET /cart) response(p99) response(p50,/x) status(404) lateness(p99) errors "
    "errors(*) requests requests(/x) findings findings(slow) drift drift(high) leaks rate fidelity "
    "leaks(rss)".replace("(GET /cart)", "(GET_/cart)").split()
).map(lambda text: text.replace("_", " "))
LIMITS = st.sampled_from(
    ["0", "1", "5%", "3ms", "2s", "recorded", "1.5 * recorded", "baseline", "2 * baseline"]
)
TERMS = st.builds(
    "{} {} {}".format, MEASURES, st.sampled_from([">", ">=", "<", "<="]), LIMITS
)  # fmt: skip
EMPTY = rows_of({"endpoint": ["GET /"], "due_ns": np.array([1]), "outcome": np.array([5])})


@settings(deadline=None)
@given(st.lists(TERMS, min_size=1, max_size=3), st.sampled_from([" and ", " or "]))
def test_whatever_can_be_written_is_refused_or_checked_on_any_run(terms: list[str], joint: str):
    try:
        gate = parse(joint.join(terms), sources=BOTH)
    except GateError:
        return
    for rows, verdict in ((SLOW, VERDICT), (EMPTY, judge(EMPTY))):
        told = check(gate, rows, verdict)
        assert bool(told.why) is told.failed
        assert bool(slo(gate, rows, verdict).why) is slo(gate, rows, verdict).failed


def test_every_kind_of_finding_that_is_made_may_be_counted():
    made = set()
    for path in (Path(__file__).parents[3] / "replay").rglob("*.py"):
        made |= set(re.findall(r'Finding\("([a-z]+)"', path.read_text(encoding="utf-8")))
    assert made == set(KINDS)
