"""Policies that cannot be followed: one sentence that names the file, the row and what to do."""

from __future__ import annotations

import json

import pytest

from capture.errors import PolicyError
from capture.sanitize.detect import TABLE
from capture.sanitize.policy import Policy

from .planting import Maker
from .test_odd_places import got, sanitized


def detector(**keys: str) -> str:
    """A policy with a detector of its own."""
    lines = (f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return "\n".join(("[[detector]]", *lines))


@pytest.mark.parametrize("key", ["rule", "detector"])
@pytest.mark.parametrize("value", ["3", "[1]", '"x"'])
def test_what_is_no_table_in_a_policy_is_told_by_its_key(key: str, value: str) -> None:
    with pytest.raises(PolicyError, match=rf"mine.toml: {key} is no list of tables"):
        Policy.parse(f"{key} = {value}", "mine.toml")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"pattern": "a("}, "bad pattern"),
        ({"pattern": "x*"}, "bad pattern (it matches empty text)"),
        ({"pattern": r"(a)\1"}, "bad pattern (hyperscan takes none"),
        ({"pattern": "ab", "trigger": "a?"}, "bad trigger (it matches empty text); mend it"),
        ({"pattern": "ab", "trigger": r"(?<=a)b"}, "bad trigger (hyperscan takes none"),
        ({"pattern": "ab", "kind": "colour"}, "kind is one of"),
    ],
)
def test_a_detector_that_cannot_be_is_told_by_file_and_name(
    keys: dict[str, str], told: str
) -> None:
    with pytest.raises(PolicyError) as refused:
        Policy.parse(detector(name="mine", **keys), "mine.toml")
    said = str(refused.value)
    assert said.startswith("mine.toml: detector mine: ")
    assert told in said
    assert "HS_FLAG" not in said
    assert "\n" not in said


def test_two_detectors_of_one_name_are_refused_unless_the_built_in_one_is_left_out() -> None:
    own = detector(name="card", pattern="zebra[0-9]{4}")
    with pytest.raises(PolicyError, match=r"mine.toml: detector card: two have this name"):
        Policy.parse(own, "mine.toml")
    with pytest.raises(PolicyError, match="two have this name"):
        Policy.parse(f"{detector(name='a', pattern='b')}\n{detector(name='a', pattern='c')}", "x")
    others = json.dumps([row.name for row in TABLE if row.name != "card"])
    kept = Policy.parse(f"detectors = {others}\n{own}", "mine.toml")
    assert [row.name for row in kept.detectors].count("card") == 1


def test_a_pattern_that_takes_nothing_of_the_text_replaces_nothing() -> None:
    policy = Policy.parse(detector(name="mine", pattern="(?=zebra)", trigger="zebra"), "x")
    case = got(b"/zebra?a=zebra")
    assert sanitized(case, policy)[0] == case.request


@pytest.mark.parametrize("level", ["standard", "strict"])
def test_a_detector_of_ones_own_finds_its_values_everywhere(level: str) -> None:
    policy = Policy.parse(
        f'level = "{level}"\n' + detector(name="mine", pattern="zebra-[0-9]{6}", kind="text"), "x"
    )
    value = b"zebra-" + Maker(3).digits(6)
    for case in (got(b"/a/" + value), got(b"/", b"Upgrade: " + value + b"\r\n")):
        request, _ = sanitized(case, policy)
        assert value not in request
        assert len(request) == len(case.request)
