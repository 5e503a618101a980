"""The shape of a tape: every statistic, from its columns, in one streaming pass.

`describe(tape)` reads blocks in time order, gathers them into larger batches (sorting is cheaper
that way) and renders plain values: what `--json` prints and a `.shape` file holds. Of a tape that
kept a share of the connections, the rate and the dispersion are those of all of them; the counts
are of what is in the tape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.errors import TapeError

from .arrivals import Arrivals
from .in_flight import InFlight
from .mix import Mix
from .sessions import Users

if TYPE_CHECKING:
    from capture.tape import Tape

FORMAT = "wiretape-shape/1"
COLUMNS = (
    "request_first_ns", "response_last_ns", "connection", "session", "client", "endpoint", "kind",
    "request_bytes", "response_bytes", "status", "content_type", "defects", "key",
)  # fmt: skip
_PARTS = {"arrivals", "mix", "sessions", "clients", "in_flight"}
_BATCH = 250_000


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

    def merge(self, later: ShapeMeter) -> None:
        """Add what another meter saw of a later span of the same stream."""
        self.arrivals.merge(later.arrivals)
        self.mix.merge(later.mix)
        self.in_flight.merge(later.in_flight)
        self.sessions.merge(later.sessions)
        self.clients.merge(later.clients)

    def render(self, kept_share: float = 1.0) -> dict[str, Any]:
        """The shape, as plain values; `kept_share` of the stream was kept by design."""
        zooms = self.arrivals.zooms(kept_share)
        whole = zooms[0] if zooms else {"step_s": 1.0, "per_s": []}
        series = {"step_s": whole["step_s"], "per_s": whole["per_s"]}
        clients = self.clients.render()
        return {
            "format": FORMAT,
            "kept_share": kept_share,
            "arrivals": {**self.arrivals.render(kept_share), "series": series, "zooms": zooms},
            "mix": self.mix.render(),
            "sessions": self.sessions.render(),
            "clients": {name: clients[name] for name in ("count", "requests", "gini")},
            "in_flight": self.in_flight.render(),
        }


def describe(tape: Tape, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """The shape of a tape."""
    first, last = tape.span_ns
    blocks = tape.in_order(COLUMNS, first, last + 1)
    share = tape.header.sample_rate
    return describe_blocks(blocks, on_progress, share if 0 < share < 1 else 1.0)


def describe_blocks(
    blocks: Iterable[dict[str, Any]],
    on_progress: Callable[[int], None] | None = None,
    kept_share: float = 1.0,
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
    return meter.render(kept_share)


def load(path: str, on_loss: Callable[[str], None] | None = None) -> dict[str, Any]:
    """A saved shape, or the shape of a tape or run; `on_loss` hears what could not be read."""
    if path.endswith(".shape"):
        return _saved(path)
    from capture.tape import Tape

    with Tape.open(path) as tape:
        shape = describe(tape)
        if on_loss is not None:
            for loss in tape.losses:
                on_loss(str(loss))
    return shape


def _saved(path: str) -> dict[str, Any]:
    try:
        shape = json.loads(Path(path).read_text())
    except ValueError:
        shape = None
    if not isinstance(shape, dict) or shape.get("format") != FORMAT or not shape.keys() > _PARTS:
        raise TapeError(f"{path} is no shape; make one with `wiretape shapes save`.")
    return shape


def save(shape: Mapping[str, Any], path: str) -> None:
    """Write a shape: JSON, no payload and no identity in it."""
    Path(path).write_text(json.dumps(shape, indent=1) + "\n")


def _join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sent = joined["request_first_ns"] >= 0
    return joined if bool(sent.all()) else {name: c[sent] for name, c in joined.items()}


def _pick(column: Any, chosen: Any) -> Any:
    return column.take(chosen) if hasattr(column, "codes") else column[chosen]
