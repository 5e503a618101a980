"""A witness: a tape captured at the target, held to the plan that a replay claims to have kept.

The witness knows nothing of the plan, has its own clock and its own pseudonyms. So requests are
matched within each endpoint, in order of time: the same number of both is matched one to one; where
some are missing, each arrival goes to the last due time before it that leaves no more of them over
than are missing (and the other way round where there are too many). What is over counts as not sent
or as unplanned. The offset of the clocks and the way to the target are taken away first, as the
least difference, so lateness is that beyond the fastest request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import TapeError

from .counts import Ints
from .fidelity import Fidelity, FidelityMeter

if TYPE_CHECKING:
    from capture.tape import Tape

Arrived = dict[str, Ints]
"""For each endpoint its times, in order."""


def witnessed(plan: Tape, witness: Tape, speed: float = 1.0) -> Fidelity:
    """The fidelity of what a witness saw to a plan: a run's own, or a recording at some speed."""
    due, seen = _due_times(plan, speed), _times(witness, "request_first_ns")
    if not due:
        raise TapeError(f"{plan.files[0].path}: holds no request, so nothing was planned.")
    if not seen:
        raise TapeError(f"{witness.files[0].path}: holds no request, so it witnessed nothing.")
    away = min(int(times[0]) for times in seen.values()) - _first(due)
    away += _least_difference(due, seen, away)
    meter = FidelityMeter()
    for name in due.keys() | seen.keys():
        planned, arrived = due.get(name, _NONE), seen.get(name, _NONE) - away
        to = matched(planned, arrived)
        sent = np.full(planned.size, -1, np.int64)
        sent[to[to >= 0]] = arrived[to >= 0]
        codes = np.zeros(planned.size, np.int32)
        meter.add({"due_ns": planned, "request_first_ns": sent, "endpoint": (codes, [name])})
        meter.add_unplanned(arrived[to < 0])
    return meter.render()


def _due_times(plan: Tape, speed: float = 1.0) -> Arrived:
    """When each endpoint was to be asked: as a run was told, or as recorded, at a speed."""
    if plan.header.kind == "run":
        return _times(plan, "due_ns")
    recorded = _times(plan, "request_first_ns")
    first = _first(recorded) if recorded else 0
    return {
        name: first + np.rint((times - first) / speed).astype(np.int64)
        for name, times in recorded.items()
    }


def matched(due: Ints, arrived: Ints) -> Ints:
    """For each arrival the number of its due time, each given once; -1 where it has none."""
    if arrived.size <= due.size:
        return _spread(np.searchsorted(due, arrived, "right") - 1, due.size)
    to = np.full(arrived.size, -1, np.int64)
    to[_spread(np.searchsorted(arrived, due, "left"), arrived.size)] = np.arange(due.size)
    return to


def _spread(wanted: NDArray[np.int64], places: int) -> Ints:
    """Rising places for rising wishes, each as near to its wish as the number of places allows."""
    row = np.arange(wanted.size)
    spare = np.clip(wanted - row, 0, places - wanted.size)
    return np.asarray(np.maximum.accumulate(spare) + row, np.int64) if wanted.size else row


def _least_difference(due: Arrived, seen: Arrived, away: int) -> int:
    both = [name for name in due.keys() & seen.keys() if due[name].size == seen[name].size]
    return min((int((seen[name] - away - due[name]).min()) for name in both), default=0)


def _first(times: Arrived) -> int:
    return min(int(each[0]) for each in times.values())


def _times(tape: Tape, column: str) -> Arrived:
    parts: dict[str, list[Any]] = {}
    for block in tape.columns((column, "endpoint", "request_bytes")):
        names: Any = block["endpoint"]
        times = np.asarray(block[column])
        asked = (times >= 0) & (np.asarray(block["request_bytes"]) > 0)
        for code, name in enumerate(names.values):
            here = times[asked & (names.codes == code)]
            if here.size:
                parts.setdefault(name, []).append(here)
    return {name: np.sort(np.concatenate(each)) for name, each in parts.items()}


_NONE: Ints = np.empty(0, np.int64)
