"""Where a soak has come to, saved beside its run every few seconds: `run.tape.position`.

Everything due before the position was sent. A soak that is stopped (Ctrl-C) notes exactly where;
one that is killed is behind by at most the seconds between two savings, and sends these again.
To go on is to make the same plan and begin at the position, so tape and plan options must be the
same but for how long it lasts. The run so far is kept as `run.1.tape`, `run.2.tape` …
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

from capture.errors import ReplayError

from ..options import PlanOptions

SAVE_EVERY_S = 2.0
_FORMAT = "wiretape-position/1"
_MAY_DIFFER = frozenset({"position", "soak", "no_calibrate"})


class Bookmark:
    """The position of one soak. `position` is where its present run began, in ns."""

    def __init__(self, run_path: Path, tape_id: str, options: PlanOptions) -> None:
        self.path = run_path.with_name(run_path.name + ".position")
        self._run_path = run_path
        self._until = options.soak
        self._plan = _name_of(tape_id, options)
        self.position = 0
        self._saved_at = 0.0
        self._booked = 0

    def go_on(self) -> int:
        """The saved position; the run so far makes room for the next."""
        try:
            saved = json.loads(self.path.read_text())
            found, plan = int(saved["due_ns"]), saved["plan"]
        except FileNotFoundError:
            raise ReplayError(
                f"--resume: {self.path} is not there, so nothing is to go on; leave out --resume."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            raise ReplayError(f"{self.path}: cannot be read as a position ({wrong!r}).") from wrong
        if plan != self._plan:
            raise ReplayError(
                f"--resume: {self.path} is of another plan; give the same tape and options."
            )
        if found >= self._until:
            raise ReplayError(f"--resume: {self.path} says that the soak had come to its end.")
        self.position = found
        self._keep_run()
        return found

    def _keep_run(self) -> None:
        if self._run_path.exists():
            number = 1
            while (kept := self._run_path.with_suffix(f".{number}.tape")).exists():
                number += 1
            self._run_path.rename(kept)

    def booked(self, last_due: int) -> None:
        """Rows have been booked, the last due at this time of the run."""
        self._booked = max(self._booked, last_due + 1)

    def sent_until(self, elapsed_ns: int) -> None:
        """The run has lasted so long; saves the position now and then."""
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._save(max(elapsed_ns, 0))

    def end(self, stopped: bool) -> None:
        """The run has ended, by itself or because it was stopped."""
        self._save(self._booked if stopped else self._until - self.position)

    def _save(self, elapsed_ns: int) -> None:
        self._saved_at = time.monotonic()
        due = min(self.position + elapsed_ns, self._until)
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            fresh.write_text(
                json.dumps({"format": _FORMAT, "plan": self._plan, "due_ns": due}) + "\n"
            )
            os.replace(fresh, self.path)
        except OSError as problem:
            raise ReplayError(f"{self.path}: cannot be written ({problem.strerror}).") from problem


def _name_of(tape_id: str, options: PlanOptions) -> str:
    """A name that plans share whose due times are the same."""
    names = [field.name for field in dataclasses.fields(PlanOptions)]
    told = [f"{name}={getattr(options, name)!r}" for name in names if name not in _MAY_DIFFER]
    return hashlib.sha256("\n".join([tape_id, *told]).encode()).hexdigest()[:16]
