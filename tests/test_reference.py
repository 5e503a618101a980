"""docs/commands.md says what the commands' help says."""

from __future__ import annotations

from pathlib import Path

from .reference import reference


def test_the_command_reference_is_fresh() -> None:
    page = Path(__file__).parents[1] / "docs" / "commands.md"
    assert page.read_text() == reference(), "run `make docs`"
