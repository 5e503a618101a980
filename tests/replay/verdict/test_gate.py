"""Gates fail when they should and only then; a wrong expression is shown where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.verdict.gate import GateError, check, parse
from replay.verdict.judge import judge
from tests.replay.runs import run

SLOW = run(slow=100)
VERDICT = judge(SLOW)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("p99(GET /search) > 1.2 * recorded", True),
        ("p99(GET /cart) > 1.2 * recorded", False),
        ("p99(GET /items/{id}) > 300ms", False),
        ("p99(*) > 300ms", True),
        ("p50 > 2s", False),
        ("errors > 0.5%", False),
        ("status(5xx) > 0", False),
        ("status(200) >= 2000", True),
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
    ("text", "at"),
    [
        ("p99(*) >", 8),
        ("latency > 3ms", 0),
        ("errors > 3ms", 9),
        ("p99(*) > 5%", 9),
        ("errors > 1% nonsense", 12),
        ("errors > 1% and", 15),
        ("p100(*) > 1ms", 0),
        ("status(abc) > 1", 0),
        ("errors > recorded", 9),
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
