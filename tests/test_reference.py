"""docs/commands.md says what the commands' help says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_command_reference_is_fresh(tmp_path: Path) -> None:
    # In a process of its own: click remembers how a command's help was first asked for.
    made = tmp_path / "commands.md"
    subprocess.run([sys.executable, "-m", "tests.reference", str(made)], cwd=ROOT, check=True)
    assert (ROOT / "docs" / "commands.md").read_text() == made.read_text(), "run `make docs`"
