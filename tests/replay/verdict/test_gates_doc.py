"""docs/gates.md says what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from replay.verdict.gate import PLAIN, parse

PAGE = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")


def test_every_expression_of_the_page_is_one():
    examples = re.findall(r"--fail-if '([^']+)'", PAGE)
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for text in [*examples, *tomllib.loads(block)["fail_if"]]:
        parse(text, sources=("recorded", "baseline"))


def test_the_page_names_every_measure():
    assert [name for name in PLAIN if f"`{name}" not in PAGE] == []
