"""The state of a canary and the log of its decisions: JSON, written after each decision.

A canary that was interrupted, or whose runs were not faithful, goes on where its file says, with
the step that was not decided. What has been promoted or rolled back is not begun again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from capture.errors import ReplayError

VERSION = 1
RUNNING, PROMOTED, ROLLED_BACK, UNFAITHFUL = "running", "promoted", "rolled back", "unfaithful"


@dataclass
class State:
    """Where a canary is. `share` is what the candidate has now, in %."""

    tape: str
    baseline: str
    candidate: str
    steps: list[float]
    word: str = RUNNING
    why: str = ""
    share: float = 0.0
    step: int = 0  # the first that is not decided
    runs: int = 0  # of all steps so far: they move through the tape
    log: list[dict[str, Any]] = field(default_factory=list)
    version: int = VERSION

    @property
    def over(self) -> bool:
        """Whether there is nothing left to decide."""
        return self.word != RUNNING

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return asdict(self)

    def write(self, path: str) -> None:
        """Write the file as a whole: who reads it finds the old state or the new one."""
        if not path:
            return
        beside = Path(f"{path}.new")
        beside.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")
        os.replace(beside, path)


def read_state(path: str, fresh: State) -> State:
    """The state of the file, if there is one; `fresh` is what this canary would begin with."""
    if not path or not Path(path).exists():
        return fresh
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        found = State(**told)
    except (ValueError, TypeError) as wrong:
        raise ReplayError(
            f"{path}: is no state of a canary ({wrong}); name another file."
        ) from None
    if found.version != VERSION:
        raise ReplayError(f"{path}: is of another version; name another file.")
    if found.word == UNFAITHFUL:  # nothing was decided, so there is something to go on with
        found.word, found.why = RUNNING, ""
    for name in ("tape", "baseline", "candidate", "steps"):
        if getattr(found, name) != getattr(fresh, name):
            raise ReplayError(
                f"{path}: is of a canary with another {name} ({getattr(found, name)}); "
                "name another file, or remove it to begin anew."
            )
    return found
