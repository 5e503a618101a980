"""The shape of a tape: every statistic, from its columns, in one streaming pass.

`describe(tape)` reads blocks in time order, gathers them into larger batches (sorting is cheaper
that way) and renders plain values: what `--json` prints and a `.shape` file holds. In flight: at
each arrival, the requests begun less those ended, exact because ends wait in a sorted array.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.errors import TapeError

from .arrivals import Arrivals
from .counts import Ints
from .mix import Mix
from .sessions import Users
from .sketch import Sketch

if TYPE_CHECKING:
    from capture.tape import Tape

FORMAT = "wiretape-shape/1"
COLUMNS = (
    "request_first_ns", "response_last_ns", "connection", "session", "client", "endpoint", "kind",
    "request_bytes", "response_bytes", "status", "content_type", "defects", "key",
)  # fmt: skip
_BATCH = 500_000


class InFlight:
    """Requests begun and not yet ended, seen at each arrival; add in time order."""

    def __init__(self) -> None:
        self.seen = Sketch()
        self.peak = 0
        self._begun = self._ended = 0
        self._ends: Ints = np.empty(0, np.int64)

    def add(self, begins: Ints, ends: Ints) -> None:
        """Add requests in the order they began; without an end (-1) they end at once."""
        if begins.size == 0:
            return
        waiting = np.sort(np.concatenate([self._ends, np.maximum(ends, begins)]))
        over = np.searchsorted(waiting, begins, "left")
        now = self._begun + np.arange(1, begins.size + 1) - self._ended - over
        self.seen.add(now)
        self.peak = max(self.peak, int(now.max()))
        done = int(over[-1])
        self._begun += begins.size
        self._ended += done
        self._ends = waiting[done:]

    def render(self) -> dict[str, float]:
        """Quantiles over arrivals, and the peak."""
        p50, p99 = self.seen.quantiles((0.5, 0.99))
        return {"p50": p50, "p99": p99, "peak": float(self.peak)}


class ShapeMeter:
    """Accumulates the rows of a tape, given in time order."""

    def __init__(self) -> None:
        self.arrivals, self.mix, self.in_flight = Arrivals(), Mix(), InFlight()
        self.sessions, self.clients = Users(), Users()

    def add(self, rows: dict[str, Any]) -> None:
        """Add a block: the parts that sort are given its columns as they are."""
        asked, answered = rows["request_first_ns"], rows["response_last_ns"]
        sent = asked >= 0
        if not bool(sent.all()):
            rows = {name: _pick(column, sent) for name, column in rows.items()}
            asked, answered = rows["request_first_ns"], rows["response_last_ns"]
        if asked.size == 0:
            return
        self.arrivals.add(asked)
        self.mix.add(rows)
        self.in_flight.add(asked, answered)

    def add_users(self, rows: Mapping[str, Any]) -> None:
        """Add a batch of identities, in time order."""
        self.sessions.add(rows["session"], rows["request_first_ns"], rows["response_last_ns"])
        self.clients.add(rows["client"], rows["request_first_ns"], rows["response_last_ns"])

    def render(self) -> dict[str, Any]:
        """The shape, as plain values."""
        step, rates = self.arrivals.series()
        clients = self.clients.render()
        return {
            "format": FORMAT,
            "arrivals": {**self.arrivals.render(), "series": {"step_s": step, "per_s": rates}},
            "mix": self.mix.render(),
            "sessions": self.sessions.render(),
            "clients": {name: clients[name] for name in ("count", "requests", "gini")},
            "in_flight": self.in_flight.render(),
        }


def describe(tape: Tape, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """The shape of a tape."""
    first, last = tape.span_ns
    return describe_blocks(tape.in_order(COLUMNS, first, last + 1), on_progress)


def describe_blocks(
    blocks: Iterable[dict[str, Any]], on_progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """The shape of blocks of columns in time order."""
    meter = ShapeMeter()
    held: list[dict[str, Any]] = []
    size = seen = 0
    for block in blocks:
        meter.add(block)
        held.append({name: block[name] for name in
                     ("session", "client", "request_first_ns", "response_last_ns")})  # fmt: skip
        size += len(block["session"])
        seen += len(block["session"])
        if size >= _BATCH:
            meter.add_users(_join(held))
            held, size = [], 0
        if on_progress is not None:
            on_progress(seen)
    if size:
        meter.add_users(_join(held))
    return meter.render()


def load(path: str) -> dict[str, Any]:
    """A saved shape, or the shape of a tape or run."""
    file = Path(path)
    if file.suffix == ".shape":
        try:
            shape = json.loads(file.read_text())
        except (ValueError, UnicodeDecodeError):
            shape = None
        if not isinstance(shape, dict) or shape.get("format") != FORMAT:
            raise TapeError(f"{path} is no shape; make one with `wiretape shapes save`.")
        return shape
    from capture.tape import Tape

    return describe(Tape.open(path))


def save(shape: Mapping[str, Any], path: str) -> None:
    """Write a shape: JSON, no payload and no identity in it."""
    Path(path).write_text(json.dumps(shape, indent=1) + "\n")


def _join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sent = joined["request_first_ns"] >= 0
    return joined if bool(sent.all()) else {name: c[sent] for name, c in joined.items()}


def _pick(column: Any, chosen: Any) -> Any:
    return column.take(chosen) if hasattr(column, "codes") else column[chosen]
