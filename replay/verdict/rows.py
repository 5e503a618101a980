"""The columns of a tape or a run that a judgement needs, whole, as numpy arrays.

A run has due times; a recording has not. So the same rows answer for both: `service_ns` is last
response byte − sent, `response_ns` is last response byte − due, `late_ns` is sent − due.
Text columns come as codes into one list of values, however many blocks the file has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.describe import printable
from capture.errors import ReplayError
from capture.exchange import FINE, NEVER, Lateness, Outcome
from shapes.score import ALTERED, PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS = (
    "session", "key", "request_first_ns", "response_first_ns", "response_last_ns", "due_ns",
    "status", "recorded_status", "outcome", "recorded_service_ns", "request_bytes",
    "response_bytes", "response_digest", "source", "clone", "late_cause", "reuse", "kind",
    "connection", "target_index", "flags",
)  # fmt: skip
TEXTS = ("endpoint", "target")


@dataclass(frozen=True)
class Rows:
    """One tape or run: a row an exchange. `endpoint` and `target` are codes into their names."""

    numbers: Mapping[str, Array]
    endpoint: Array
    endpoints: tuple[str, ...]
    target: Array
    targets: tuple[str, ...]
    paced: bool = True  # whether the clock, not the answers, said when to send
    tape_id: str = ""
    source_id: str = ""  # of a run: the id of the tape that was replayed
    altered: int = 0  # of a run: payloads that changed between plan and sending
    noise_p99_ns: float | None = None  # of a run: lateness of sends that write nothing
    lost: tuple[str, ...] = ()  # what of the file cannot be read
    ended: bool = True  # whether its writer closed it

    def __len__(self) -> int:
        return len(self.endpoint)

    def __getitem__(self, name: str) -> Array:
        return self.numbers[name]

    @cached_property
    def is_run(self) -> bool:
        """Whether this is what happened when a plan was carried out."""
        return bool(np.any(self["due_ns"] != NEVER))

    @cached_property
    def answered(self) -> Array:
        """Mask of the rows that a whole response came back for."""
        whole = self["response_last_ns"] != NEVER
        outcome = self["outcome"]
        ok = (outcome == Outcome.NONE) | (outcome == Outcome.ANSWERED)
        return np.asarray(whole & (self["request_first_ns"] != NEVER) & ok)

    @cached_property
    def failed(self) -> Array:
        """Mask of the rows that the target failed: no whole response, or a status of 5xx."""
        return np.asarray(~np.isin(self["outcome"], FINE) | (self["status"] >= 500))

    @cached_property
    def service_ns(self) -> Array:
        """Service time of each row; `NEVER` where there is no whole response."""
        return _since(self, "request_first_ns")

    @cached_property
    def response_ns(self) -> Array:
        """Response time of each row of a run; service time in a recording."""
        return _since(self, "due_ns") if self.is_run else self.service_ns

    @cached_property
    def late_ns(self) -> Array:
        """Lateness of the rows that were sent."""
        sent = (self["request_first_ns"] != NEVER) & (self["due_ns"] != NEVER)
        return np.asarray(self["request_first_ns"][sent] - self["due_ns"][sent])

    @cached_property
    def blur_ns(self) -> int:
        """What times are uncertain by: five times the p99 of lateness that was our own fault.

        Whatever kept us from sending kept us from seeing answers as well.
        """
        ours = np.isin(self["late_cause"], (Lateness.NONE, Lateness.LOOP))
        ours &= (self["request_first_ns"] != NEVER) & (self["due_ns"] != NEVER)
        late = (self["request_first_ns"] - self["due_ns"])[ours]
        return 5 * int(np.quantile(late, 0.99)) if len(late) else 0

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last sending, (0, 0) where nothing was sent."""
        sent = self["request_first_ns"]
        sent = sent[sent != NEVER]
        return (int(sent.min()), int(sent.max())) if len(sent) else (0, 0)

    @cached_property
    def by_endpoint(self) -> list[Array]:
        """The places of the rows of each endpoint, by its code."""
        order = np.argsort(self.endpoint, kind="stable")
        edges = np.searchsorted(self.endpoint[order], np.arange(1, len(self.endpoints)))
        return list(np.split(order, edges))

    def of(self, endpoint: str) -> Array:
        """Mask of the rows of one endpoint."""
        if endpoint not in self.endpoints:
            return np.zeros(len(self), dtype=bool)
        return np.asarray(self.endpoint == self.endpoints.index(endpoint))


def _since(rows: Rows, start: str) -> Array:
    took = rows["response_last_ns"] - rows[start]
    return np.where(rows.answered & (rows[start] != NEVER), took, NEVER)


def read_rows(path: str | Path) -> Rows:
    """The rows of a tape or run on disk."""
    from capture.tape import Tape

    with Tape.open(path) as tape:
        rows = _gather(tape.columns((*NUMBERS, *TEXTS)))
        paced = tape.header.options.get("speed") != "inf"
        altered = tape.ledger.count(PAYLOADS, ALTERED)
        noise = tape.summary.get("noise_floor", {}).get("p99")
        tape_id, source_id = tape.header.tape_id, tape.header.source
        lost, ended = tuple(map(str, tape.losses)), tape.whole
    if lost and not len(rows):
        raise ReplayError(f"{path}: is damaged, and nothing is left to judge: {lost[0]}.")
    if not len(rows):
        raise ReplayError(f"{path}: holds no exchange, so there is nothing to judge.")
    return replace(
        rows, paced=paced, tape_id=tape_id, source_id=source_id, altered=altered,
        noise_p99_ns=noise, lost=lost, ended=ended,
    )  # fmt: skip


def _gather(blocks: Iterable[Mapping[str, Any]]) -> Rows:
    """Rows from blocks of columns whose text columns have a dictionary a block."""
    numbers: dict[str, list[Array]] = {name: [] for name in NUMBERS}
    codes: dict[str, list[Array]] = {name: [] for name in TEXTS}
    places: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
    for block in blocks:
        for name in NUMBERS:
            numbers[name].append(np.asarray(block[name]))
        for name in TEXTS:
            known, text = places[name], block[name]
            remap = [known.setdefault(value, len(known)) for value in text.values]
            codes[name].append(np.asarray(remap or [0], dtype=np.int32)[text.codes])
    whole = {name: _joined(parts, np.int64) for name, parts in numbers.items()}
    joined = {name: _joined(parts, np.int32) for name, parts in codes.items()}
    return Rows(
        whole, joined["endpoint"], tuple(map(printable, places["endpoint"])),
        joined["target"], tuple(places["target"]),
    )  # fmt: skip


def _joined(parts: list[Array], dtype: Any) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
