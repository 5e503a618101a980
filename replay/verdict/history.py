"""Several runs in a row: the figures of each kept in a folder, and where a series changed.

Each report leaves one small JSON file, named by the run's id, so that reporting a run twice keeps
one. A series (p50 and p99 of an endpoint, share of failures) changes at the place where its runs
before and after differ most, if that is more than chance: a t-test on logarithms, corrected for all
places and all series, at least three runs on each side and a change of a tenth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.errors import ReplayError

from .judge import Verdict
from .rows import Rows

FEWEST = 8
SIDE = 3
CHANCE = 0.01
LEAST = math.log(1.1)
ENOUGH = 20  # requests of an endpoint in a run


@dataclass(frozen=True)
class Past:
    """What is kept of one run."""

    run: str
    at_ns: int
    verdict: str
    figures: Mapping[str, float]  # p99(GET /search) in ms, errors as a share


@dataclass(frozen=True)
class Change:
    """A series that changed: from which run on, from what to what."""

    series: str
    run: str
    before: float
    after: float
    chance: float

    @property
    def sentence(self) -> str:
        """In words."""
        if self.series == "errors":
            return f"errors went from {self.before:.2%} to {self.after:.2%} from {self.run} on"
        return (
            f"{self.series} went from {self.before:.4g} ms to {self.after:.4g} ms "
            f"from {self.run} on"
        )


@dataclass(frozen=True)
class History:
    """The runs so far, in order of time, and where they changed."""

    runs: tuple[Past, ...]
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def past_of(name: str, rows: Rows, verdict: Verdict) -> Past:
    """What to keep of a run."""
    figures = {"errors": float(rows.failed.mean()) if len(rows) else 0.0}
    for row in verdict.endpoints:
        if row.count >= ENOUGH:
            figures[f"p50({row.endpoint})"], _, figures[f"p99({row.endpoint})"] = row.replayed
    known = {name: value for name, value in figures.items() if math.isfinite(value)}
    return Past(name, rows.span_ns[0], verdict.word, known)


def keep(folder: Path, run_id: str, past: Past) -> None:
    """Add a run to the folder; the same run again replaces itself."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(past), indent=1)
    waiting = folder / f".{run_id}.json"
    waiting.write_text(text, encoding="utf-8")
    waiting.replace(folder / f"{run_id}.json")


def read_history(folder: Path) -> History:
    """The runs that the folder holds."""
    runs = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            figures = {str(name): float(value) for name, value in told["figures"].items()}
            runs.append(Past(str(told["run"]), int(told["at_ns"]), str(told["verdict"]), figures))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ReplayError(
                f"{path}: is no report of an earlier run; keep a folder for --history alone."
            ) from None
    runs.sort(key=lambda past: past.at_ns)
    return History(tuple(runs), changes(runs))


def changes(runs: list[Past]) -> tuple[Change, ...]:
    """The series that changed, surest first. Runs that were not faithful are left out."""
    runs = [past for past in runs if past.verdict != "INVALID"]
    names = sorted({name for past in runs for name in past.figures})
    series = {}
    for name in names:
        having = [past for past in runs if name in past.figures]
        if len(having) >= FEWEST:
            series[name] = having
    tests = sum(len(having) - 2 * SIDE + 1 for having in series.values())
    found = []
    for name, having in series.items():
        values = np.array([past.figures[name] for past in having])
        place, chance = _change_point(values)
        size = _size(values, place)
        if chance * tests < CHANCE and size > LEAST:
            before, after = float(np.median(values[:place])), float(np.median(values[place:]))
            found.append(Change(name, having[place].run, before, after, chance * tests))
    return tuple(sorted(found, key=lambda change: change.chance))


def _logs(values: Any) -> Any:
    return np.log(np.maximum(values, 1e-6))


def _size(values: Any, place: int) -> float:
    logs = _logs(values)
    return abs(float(np.median(logs[place:]) - np.median(logs[:place])))


def _change_point(values: Any) -> tuple[int, float]:
    """Where the two sides differ most, and how likely that is by chance at this one place."""
    logs = _logs(values)
    places = range(SIDE, len(logs) - SIDE + 1)
    chance, place = min((_differ(logs[:place], logs[place:]), place) for place in places)
    return place, chance


def _differ(before: Any, after: Any) -> float:
    """The chance of such a difference of means between runs that are alike (Student's t)."""
    from scipy.stats import t

    difference = abs(float(after.mean() - before.mean()))
    freedom = len(before) + len(after) - 2
    spread = math.sqrt((before.var() * len(before) + after.var() * len(after)) / freedom)
    if spread < 1e-12:
        return 0.0 if difference > 1e-9 else 1.0
    error = spread * math.sqrt(1 / len(before) + 1 / len(after))
    return 2 * float(t.sf(difference / error, freedom))
