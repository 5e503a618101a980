"""Checkpoints: the state of a soak in one file, `soak.json`, written whole or not at all.

It holds sums, windows, findings and series. The position in the plan is saved beside it every few
seconds (`bookmark`); the two need not be of the same moment. A checkpoint that cannot be written at
the beginning is an error; later it is counted and tried again, for the soak is worth more.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from capture.errors import ReplayError
from capture.log import Tell

from .series import Series, Watched

VERSION = 1
NAME = "soak.json"


class Checkpoint:
    """The file."""

    def __init__(self, folder: Path, say: Tell) -> None:
        self.path = folder / NAME
        self._say = say
        self.failures = 0

    def write(self, state: dict[str, Any]) -> None:
        """Write it; a failure is counted and told once."""
        try:
            self.must_write(state)
        except ReplayError as problem:
            self.failures += 1
            if self.failures == 1:
                self._say(f"Warning: {problem} It is tried again.")

    def must_write(self, state: dict[str, Any]) -> None:
        """Write it, or say in a sentence why not."""
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump({"version": VERSION, **state}, file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as problem:
            raise ReplayError(
                f"{self.path}: the checkpoint cannot be written ({problem.strerror}); "
                "make room, or choose another folder with -o."
            ) from None

    def as_it_is(self) -> bytes | None:
        """What is there now; None where nothing is."""
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def put_back(self, before: bytes | None) -> None:
        """A soak that never began leaves no trace: what was there is there again."""
        try:
            if before is None:
                self.path.unlink(missing_ok=True)
            else:
                self.path.write_bytes(before)
        except OSError:
            pass  # the sentence that says why it never began is worth more

    def read(self) -> dict[str, Any]:
        """The state that was saved."""
        try:
            state = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ReplayError(
                f"--resume: {self.path} is not there, so nothing is to go on; leave out --resume."
            ) from None
        except (OSError, ValueError) as wrong:
            raise ReplayError(f"{self.path}: cannot be read as a checkpoint ({wrong}).") from None
        if not isinstance(state, dict) or state.get("version") != VERSION:
            raise ReplayError(f"{self.path}: is no checkpoint of this version of wiretape.")
        return state


def saved_series(watched: dict[str, Watched]) -> dict[str, Any]:
    """The series of all metrics, as plain values."""
    return {
        name: {
            "rows": each.series.rows, "width_s": each.series.width_s, "last": each.series.last,
            "looks": each.looks, "next_s": each.next_s, "began_s": each.began_s,
            "leaks": each.leaks,
        }
        for name, each in watched.items()
    }  # fmt: skip


def restore_series(each: Watched, saved: dict[str, Any]) -> None:
    """Give a metric back what was saved of it."""
    series = Series()
    series.rows, series.width_s, series.last = saved["rows"], saved["width_s"], saved["last"]
    each.series = series
    each.looks, each.next_s, each.began_s = saved["looks"], saved["next_s"], saved["began_s"]
    each.leaks = saved["leaks"]
