"""Glances: what happened since the last look, read from the memory of the batches under way.

The sender writes times and outcomes into shared memory in any case; the feeder looks at them twice
a second. Each request is told twice in all: once when it has been sent (its lateness), once when
its fate is known (its times, status and outcome). What a batch has not told when it is settled, it
tells then, so the sums of all glances are the sums of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from capture.exchange import FINE, NEVER, Outcome

LOOK_EVERY_S = 0.5


class Written(Protocol):
    """The memory of a batch."""

    rows: int

    def column(self, name: str) -> Any:
        """One column, as it is now."""


class Made(Protocol):
    """A batch under way, as the feeder has it."""

    chunk: dict[str, Any]

    @property
    def written(self) -> Written:
        """Its memory."""


@dataclass
class Part:
    """What one batch had to tell. Times in ns; `endpoint` are codes into `endpoints`."""

    late_ns: Any
    endpoint: Any
    endpoints: list[str]
    service_ns: Any  # NEVER where there is no whole answer
    response_ns: Any
    status: Any
    outcome: Any
    due_ns: Any  # since due time 0
    target: Any  # number of the target
    was_status: Any  # as recorded; 0 where no answer was
    recorded_ns: Any  # service time when it was recorded, or NEVER

    @property
    def failed(self) -> Any:
        """Mask: the target gave no whole answer, or one of 5xx."""
        return ~np.isin(self.outcome, FINE) | (self.status >= 500)


@dataclass
class Glance:
    """What happened since the last look of one worker, and what is under way now."""

    worker: int
    elapsed_ns: int  # since due time 0
    due: int = 0  # requests that fell due since
    in_flight: int = 0
    known_ns: int = 0  # of all that was due before this, the fate is told
    parts: list[Part] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many requests were sent since."""
        return sum(len(part.late_ns) for part in self.parts)


class Glancer:
    """Looks at the batches of one feeder. `start` is due time 0 on the monotonic clock."""

    def __init__(self, emit: Callable[[tuple[str, Any]], None], worker: int) -> None:
        self.start = 0
        self._emit = emit
        self._worker = worker
        self._told: dict[int, tuple[Any, Any]] = {}  # masks: sent was told, the end was told
        self._pending: list[Part] = []
        self._due_settled = self._due_told = 0
        self._look_at = 0.0
        self._open: dict[int, int] = {}  # the first due time whose fate a batch does not know yet

    @property
    def patience_s(self) -> float:
        """How long until the next look."""
        return max(0.0, self._look_at - time.monotonic())

    def look(self, live: Mapping[int, Made]) -> None:
        """Tell what is new in the batches under way, if it is time."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        self._tell(live)

    def settled(self, number: int, made: Made, stopped_at: int) -> None:
        """A batch is about to go; what was not due when sending stopped is not told."""
        counts = np.ones(made.written.rows, bool)
        if stopped_at != NEVER:
            due = made.written.column("due_ns") + self.start
            counts = (due < stopped_at) | (made.written.column("request_first_ns") != NEVER)
        self._read(number, made, counts)
        self._told.pop(number, None)
        self._open.pop(number, None)
        self._due_settled += int(counts.sum())

    def end(self) -> None:
        """Tell what the last batches had to tell."""
        self._tell({})

    def _tell(self, live: Mapping[int, Made]) -> None:
        elapsed = time.monotonic_ns() - self.start
        due, flying = self._due_settled, 0
        for number, made in live.items():
            here = int(np.searchsorted(made.written.column("due_ns"), elapsed, "right"))
            due += here
            if here or number in self._told:
                flying += self._read(number, made, None)
        due_since = max(0, due - self._due_told)
        known = min([elapsed, *self._open.values()])
        glance = Glance(self._worker, elapsed, due_since, flying, known, self._pending)
        self._due_told = max(due, self._due_told)
        self._pending = []
        self._emit(("glance", glance))

    def _read(self, number: int, made: Made, counts: Any) -> int:
        """Keep what is new in a batch; how many of its requests are under way."""
        column = made.written.column
        # The sender writes the outcome last, so what has one has everything else.
        outcome = column("outcome").copy()
        sent = column("request_first_ns").copy()
        nothing = np.zeros(len(outcome), bool)
        sent_told, end_told = self._told.setdefault(number, (nothing, nothing.copy()))
        gone, ended = sent != NEVER, outcome != 0
        new_sent, new_end = gone & ~sent_told, ended & ~end_told
        if counts is not None:
            new_end &= counts
        self._told[number] = (gone, ended)
        if not ended.all():
            self._open[number] = int(column("due_ns")[~ended].min())
        else:
            self._open.pop(number, None)
        if new_sent.any() or new_end.any():
            self._pending.append(self._part(made, sent, outcome, new_sent, new_end))
        return int((gone & ~ended).sum())

    def _part(self, made: Made, sent: Any, outcome: Any, new_sent: Any, new_end: Any) -> Part:
        column, due = made.written.column, made.written.column("due_ns") + self.start
        endpoint = made.chunk["endpoint"]
        used, codes = np.unique(endpoint.codes[new_end], return_inverse=True)
        outcome, last = outcome[new_end], column("response_last_ns")[new_end]
        whole = (outcome == Outcome.ANSWERED) & (last != NEVER)
        return Part(
            late_ns=sent[new_sent] - due[new_sent],
            endpoint=codes.astype(np.int32),
            endpoints=[endpoint.values[code] for code in used.tolist()],
            service_ns=np.where(whole, last - sent[new_end], NEVER),
            response_ns=np.where(whole, last - due[new_end], NEVER),
            status=column("status")[new_end].astype(np.int16),
            outcome=outcome.astype(np.int8),
            due_ns=column("due_ns")[new_end].copy(),
            target=column("target_index")[new_end].astype(np.uint8),
            was_status=made.chunk["status"][new_end].astype(np.int16),
            recorded_ns=_recorded(made.chunk)[new_end],
        )


def _recorded(chunk: Mapping[str, Any]) -> Any:
    first, last = chunk["request_first_ns"], chunk["response_last_ns"]
    return np.where((first != NEVER) & (last != NEVER), last - first, NEVER)


def each_endpoint(parts: Iterable[Part]) -> Iterable[tuple[str, Part, Any]]:
    """(endpoint, part, mask of its rows) of every endpoint of every part."""
    for part in parts:
        for code, name in enumerate(part.endpoints):
            yield name, part, part.endpoint == code
