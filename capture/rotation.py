"""The flight recorder's rules: when the next tape begins, and which old ones go.

Pure decisions on sizes and times, apart from the loop that carries them out. `10m` is minutes and
`10MB` a size: a size has a B in its unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .options import DURATION, SIZE, ParamType


@dataclass(frozen=True)
class Limit:
    """A limit in bytes or in time; zero means that there is none of that kind."""

    size: int = 0  # bytes
    age_ns: int = 0

    def reached(self, size: int, age_ns: int) -> bool:
        """Whether something of this size and age is beyond the limit."""
        return bool((self.size and size >= self.size) or (self.age_ns and age_ns >= self.age_ns))


class _LimitType(ParamType):
    name = "size or duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Limit:
        if isinstance(value, Limit):
            return value
        text = str(value)
        if text.lower().endswith("b"):
            limit = Limit(size=SIZE.convert(text, param, ctx))
        else:
            limit = Limit(age_ns=DURATION.convert(text, param, ctx))
        if limit == Limit():
            self.fail("it has to be more than zero.", param, ctx)
        return limit


LIMIT = _LimitType()
RECORDED = re.compile(r"\d{8}T\d{6}\.\d{3}Z-(?P<worker>\d+)-\d+\.tape")
"""When a tape was begun, by which worker, as which of its tapes."""


@dataclass(frozen=True)
class Kept:
    """A tape that lies in the directory."""

    path: Path
    size: int
    changed_ns: int
    worker: int = 0


def tapes_of(directory: Path, made: re.Pattern[str] = RECORDED) -> list[Kept]:
    """The tapes of a directory whose names are `made` so, oldest first: no others are removed."""
    found = []
    for path in directory.glob("*.tape"):
        name = made.fullmatch(path.name)
        if not name:
            continue
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # another worker removed it
        worker = int(name.groupdict().get("worker", 0))
        found.append(Kept(path, state.st_size, state.st_mtime_ns, worker))
    return sorted(found, key=lambda tape: (tape.changed_ns, tape.path.name))


def expired(tapes: Iterable[Kept], keep: Limit, now_ns: int, workers: int = 1) -> list[Path]:
    """The oldest tapes, which have to go; the newest of each worker, which it writes, stays."""
    ordered = list(tapes)
    total = sum(tape.size for tape in ordered)
    by_name = sorted(ordered, key=lambda tape: tape.path.name)
    written = {tape.worker: tape.path for tape in by_name if tape.worker < workers}.values()
    gone = []
    for tape in ordered:
        if tape.path in written:
            continue
        too_old = keep.age_ns and now_ns - tape.changed_ns > keep.age_ns
        if not too_old and not (keep.size and total > keep.size):
            break
        gone.append(tape.path)
        total -= tape.size
    return gone
