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
from capture.written import write_text

from .arrivals import Arrivals
from .connections import COLUMNS as CONNECTION_COLUMNS
from .connections import Connections
from .in_flight import InFlight
from .malformed import Runs
from .mix import Mix
from .sampling import Kin
from .sessions import Askers, Users

if TYPE_CHECKING:
    from capture.tape import Tape

FORMAT = "wiretape-shape/1"
COLUMNS = (
    "request_first_ns", "response_last_ns", "connection", "session", "client", "endpoint", "kind",
    "request_bytes", "response_bytes", "status", "content_type", "defects", "key",
)  # fmt: skip
_ENDPOINT = {
    "endpoint": "", "exchanges": 0, "share": 0.0, "statuses": {},
    "request_bytes": {}, "response_bytes": {}, "service_s": {},
}  # fmt: skip
_LATER = {"uncorrected"}
_OF_USERS = ("session", "client", "request_first_ns", "response_last_ns", "defects")
_BATCH = 500_000
_MOST_PAIRS = 1000


class ShapeMeter:
    """Accumulates the rows of a tape, given in time order; `sampled` where a share was kept."""

    def __init__(self, sampled: bool = False) -> None:
        self.kin = Kin() if sampled else None
        self.arrivals, self.mix, self.in_flight = Arrivals(), Mix(), InFlight()
        self.sessions, self.clients = Users(), Askers()
        self.runs, self.connections = Runs(), Connections()

    def add(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Add a block; what `add_users` is to be given of it, alone or with others of its kind."""
        asked, answered = rows["request_first_ns"], rows["response_last_ns"]
        sent = asked >= 0
        if not bool(sent.all()):
            rows = {name: _pick(column, sent) for name, column in rows.items()}
            asked, answered = rows["request_first_ns"], rows["response_last_ns"]
        users = {name: rows[name] for name in _OF_USERS}
        users["what"] = np.empty(0, np.int16)
        if asked.size:
            self.arrivals.add(asked)
            if self.kin is not None:
                self.kin.add(rows["connection"], asked)
            users["what"] = self.mix.add(rows)
            self.in_flight.add(asked, answered)
        return users

    def add_users(self, rows: Mapping[str, Any]) -> None:
        """Add a batch of identities, in time order."""
        asked, answered = rows["request_first_ns"], rows["response_last_ns"]
        self.sessions.add(rows["session"], asked, answered, rows["what"])
        self.clients.add(rows["client"])
        self.runs.add(rows["client"], rows["defects"])

    def merge(self, later: ShapeMeter) -> None:
        """Add what another meter saw of a later span of the same stream."""
        self.arrivals.merge(later.arrivals)
        if self.kin is not None and later.kin is not None:
            self.kin.merge(later.kin)
        places = self.mix.merge(later.mix)
        self.in_flight.merge(later.in_flight)
        self.sessions.merge(later.sessions, places)
        self.clients.merge(later.clients)
        self.runs.merge(later.runs)
        self.connections.merge(later.connections)

    def render(self, kept_share: float = 1.0) -> dict[str, Any]:
        """The shape, as plain values; `kept_share` of the stream was kept by design."""
        zooms = self.arrivals.zooms(kept_share)
        whole = zooms[0] if zooms else {"step_s": 1.0, "per_s": []}
        series = {"step_s": whole["step_s"], "per_s": whole["per_s"]}
        return {
            "format": FORMAT,
            "kept_share": kept_share,
            "arrivals": {
                **self.arrivals.render(kept_share, self.kin),
                "series": series,
                "zooms": zooms,
            },
            "mix": {
                **self.mix.render(),
                "bigrams": self._bigrams(),
                "malformed": self.runs.render(self.arrivals.counts.total),
            },
            "sessions": {**self.sessions.render(), "first": self._begins()},
            "clients": self.clients.render(),
            "connections": self.connections.render(),
            "in_flight": self.in_flight.render(kept_share),
        }

    def _bigrams(self) -> list[list[Any]]:
        """What follows what in a session, the most frequent first: [endpoint, next, count]."""
        if self.sessions.pairs is None:
            return []
        names, counts = self.mix.names, self.sessions.pairs.counts
        before, after = np.nonzero(counts)
        order = np.argsort(-counts[before, after], kind="stable")[:_MOST_PAIRS]
        return [[names[a], names[b], int(counts[a, b])] for a, b in
                zip(before[order].tolist(), after[order].tolist(), strict=True)]  # fmt: skip

    def _begins(self) -> dict[str, int]:
        """How many sessions begin with each endpoint."""
        names = self.mix.names
        found = {names[at]: int(n) for at, n in enumerate(self.sessions.begins()) if n}
        return dict(sorted(found.items(), key=lambda kv: -kv[1]))


def describe(tape: Tape, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """The shape of a tape."""
    first, last = tape.span_ns
    blocks = tape.in_order(COLUMNS, first, last + 1)
    share = tape.sample_rate if 0 < tape.sample_rate < 1 else 1.0
    meter = _meter_of(blocks, on_progress, sampled=share < 1)
    for block in tape.connections(CONNECTION_COLUMNS):
        meter.connections.add(block)
    return meter.render(share)


def _meter_of(
    blocks: Iterable[dict[str, Any]], on_progress: Callable[[int], None] | None = None,
    sampled: bool = False,
) -> ShapeMeter:  # fmt: skip
    """A meter that has seen blocks of columns in time order."""
    meter = ShapeMeter(sampled)
    held: list[dict[str, Any]] = []
    size = seen = 0
    for block in blocks:
        held.append(meter.add(block))
        size += len(block["session"])
        seen += len(block["session"])
        if size >= _BATCH:
            meter.add_users(_join(held))
            held, size = [], 0
        if on_progress is not None:
            on_progress(seen)
    if size:
        meter.add_users(_join(held))
    return meter


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
        if tape.losses and not shape["arrivals"]["exchanges"]:
            raise TapeError(f"{path}: nothing that can be read is left, so there is no shape.")
    return shape


def _saved(path: str) -> dict[str, Any]:
    try:
        shape = json.loads(Path(path).read_text())
    except ValueError:
        shape = None
    found = shape.get("format") if isinstance(shape, dict) else None
    if isinstance(found, str) and found != FORMAT and found.startswith("wiretape-shape/"):
        raise TapeError(f"{path} is a {found}, which this wiretape cannot read ({FORMAT}); "
                        "save it again with this one, or use a newer one.")  # fmt: skip
    if not isinstance(shape, dict) or found != FORMAT:
        raise TapeError(f"{path} is no shape; make one with `wiretape shapes save`.")
    missing = _missing(shape, ShapeMeter().render())
    for each in [] if missing else shape["mix"]["endpoints"]:
        missing = missing or _missing(each, _ENDPOINT, "mix.endpoints")
    if missing:
        raise TapeError(f"{path} is no whole shape: {missing} is missing or of another kind; "
                        "save it again with `wiretape shapes save`.")  # fmt: skip
    return shape


def _missing(found: Any, like: Any, name: str = "") -> str:
    """The first place at which something is not of the kind that it is in another; "" if none."""
    if isinstance(like, dict):
        if not isinstance(found, dict):
            return name
        below = (
            _missing(found.get(key), value, f"{name}.{key}".lstrip("."))
            for key, value in like.items()
            if key not in _LATER or key in found
        )
        return next((each for each in below if each), "")
    if isinstance(like, int | float):
        return "" if isinstance(found, int | float) else name
    return "" if like is None or isinstance(found, type(like)) else name


def save(shape: Mapping[str, Any], path: str) -> None:
    """Write a shape: JSON, no payload and no identity in it."""
    write_text(path, json.dumps(shape, indent=1) + "\n")


def _join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _pick(column: Any, chosen: Any) -> Any:
    return column.take(chosen) if hasattr(column, "codes") else column[chosen]
