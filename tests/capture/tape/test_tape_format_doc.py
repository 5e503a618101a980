"""docs/tape-format.md describes the columns that tapes have."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.columns import CONNECTIONS, EXCHANGES, Column

TEXT = (Path(__file__).parents[3] / "docs" / "tape-format.md").read_text()


@pytest.mark.parametrize("column", [*EXCHANGES, *CONNECTIONS], ids=lambda column: column.name)
def test_every_column_is_documented_as_it_is(column: Column) -> None:
    delta = " (delta)" if column.delta else ""
    missing = "``" if column.dtype == "text" else column.missing
    assert f"| `{column.name}` | {column.dtype}{delta} | {missing} | {column.doc} |" in TEXT
