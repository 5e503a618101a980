"""Fidelity: how close the shape of a run is to the shape of its plan, and who is to blame if not.

Hard gates: every planned request sent exactly once; the bytes sent are the bytes planned; no
inversion within a connection. Timing: lateness against the absolute plan, rate error, drift.
Shape: S = 100 · min over τ ≥ 1 ms of [1 − |ln IDC_run/IDC_plan| / max(|ln IDC_plan|, ln 1.5)],
floored at 0, and no more than the mix term (1 − total variation of the endpoints) and the session
term (1 − share of a session's requests that are missing). The minimum and not the mean, which hides
one timescale that is badly off. τ* is the smallest τ from which on |Δ ln IDC| ≤ 0.05 at every τ.
What chance does to the quantiles and to the IDC of few requests is allowed for (chance.py).

    meter = FidelityMeter(); meter.add(columns of a block of the run); meter.render() -> Fidelity

`meter.add` takes rows in any order; meters of several workers merge. A run that was stopped is held
to what was due until then: rows marked UNSENT and due after the last sending are not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capture.exchange import Lateness, Outcome, Reuse

from .chance import Moves, least_quantile
from .counts import Counts, Ints
from .score import (
    ALTERED,
    INVALID,
    LIMITS,
    PAYLOADS,
    gates,
    horizon,
    idc_curve,
    idc_error,
    judge,
    rate_error,
    shape_score,
)
from .score import Fidelity as Fidelity
from .sketch import Sketch
from .tallies import Kept, Order, Seen, mix, tally

if TYPE_CHECKING:
    from capture.ledger import Ledger
    from capture.tape import Tape

RUN_COLUMNS = (
    "connection", "due_ns", "request_first_ns", "outcome", "late_cause", "source", "clone",
    "session", "endpoint", "target_index", "reuse",
)  # fmt: skip
"""What a meter reads of a run."""

_BLAME = {
    Lateness.NONE: "generator",
    Lateness.LOOP: "generator",
    Lateness.CONNECTION: "target",
    Lateness.WINDOW: "target",
    Lateness.CONNECT: "network",
    Lateness.TLS: "target",
}
_UNSENT_BLAME = {
    Outcome.REFUSED: "target",
    Outcome.RESET: "target",
    Outcome.CLOSED: "target",
    Outcome.TIMED_OUT: "target",
    Outcome.TLS_FAILED: "target",
    Outcome.CONNECT_TIMED_OUT: "network",
    Outcome.UNREACHABLE: "network",
}
_QUANTILES = {"lateness_p50_ns": 0.5, "lateness_p99_ns": 0.99, "lateness_p999_ns": 0.999}
_NEVER_SENT_NS = 1_000_000_000
"""Blame is shared by how late requests were, not by how many: one never sent weighs a second."""


def fidelity_of(
    run: Tape, *, noise_p99_ns: float | None = None, ledger: Ledger | None = None
) -> Fidelity:
    """The fidelity of a run, from its columns, streaming, and its ledger.

    `noise_p99_ns` is the no-op lateness of this machine; `ledger` the run's, where not yet written.
    """
    meter = FidelityMeter()
    for block in run.columns(RUN_COLUMNS):
        meter.add(block)
    altered = (run.ledger if ledger is None else ledger).count(PAYLOADS, ALTERED)
    return meter.render(altered=altered, noise_p99_ns=noise_p99_ns)


def fidelity(due_ns: Ints, sent_ns: Ints, **columns: Any) -> Fidelity:
    """The fidelity of arrays: due times and when each was sent (-1: never)."""
    meter = FidelityMeter()
    meter.add({"due_ns": due_ns, "request_first_ns": sent_ns, **columns})
    return meter.render()


class FidelityMeter:
    """Accumulates the rows of a run. `add`, `merge`, `render`."""

    def __init__(self) -> None:
        self._plan, self._run = Counts(), Counts()
        self._moves = Moves()
        self._late, self._ours = Sketch(), Sketch()  # of all; of what was late by our own fault
        self._rows = self._sent = self._unplanned = 0
        self._first = self._last = self._sent_first = self._sent_last = -1
        self._moments = np.zeros(5)  # n, Σx, Σx², Σy, Σxy of lateness y against due x
        self._origin = 0
        self._max_late = 0
        self._blame: dict[str, int] = {}
        self._endpoints: dict[str, list[int]] = {}
        self._sessions = Kept()
        self._seen = Seen()
        self._order = Order()
        self._ahead: list[dict[str, Any]] = []  # rows never sent, due after the last sending

    def add(self, rows: Mapping[str, Any]) -> None:
        """Add rows: `due_ns` and `request_first_ns`, and of `RUN_COLUMNS` whatever there is."""
        due = np.asarray(rows["due_ns"], np.int64)
        planned = due >= 0
        if due.size == 0 or not bool(planned.any()):
            return
        rows = {name: _rows(rows[name], planned) for name in rows if name in RUN_COLUMNS}
        sent = rows["request_first_ns"]
        self._sent_last = max(self._sent_last, int(sent.max()))
        if "outcome" in rows:
            ahead = (sent < 0) & (rows["outcome"] == Outcome.UNSENT)
            ahead &= rows["due_ns"] > self._sent_last
            if bool(ahead.any()):
                self._ahead.append(_those(rows, ahead))
                rows = _those(rows, ~ahead)
        self._book(rows)
        self._catch_up()

    def _catch_up(self) -> None:
        """Book the rows that turn out to have been due before the last sending."""
        held, self._ahead = self._ahead, []
        for rows in held:
            ahead = rows["due_ns"] > self._sent_last
            if bool(ahead.any()):
                self._ahead.append(_those(rows, ahead))
            self._book(_those(rows, ~ahead))

    def _book(self, rows: dict[str, Any]) -> None:
        due, sent = rows["due_ns"], rows["request_first_ns"]
        if due.size == 0:
            return
        gone = sent >= 0
        self._rows += due.size
        self._sent += int(gone.sum())
        self._plan.add(np.sort(due))
        self._run.add(np.sort(sent[gone]))
        self._extend(due, sent[gone])
        self._add_lateness(due[gone], sent[gone])
        self._add_blame(rows, due, sent, gone)
        self._add_terms(rows, due, sent, gone)

    def add_unplanned(self, sent_ns: Ints) -> None:
        """Add requests that were seen but that no row planned."""
        self._run.add(np.sort(sent_ns))
        self._sent += sent_ns.size
        self._unplanned += sent_ns.size

    def merge(self, other: FidelityMeter) -> None:
        """Add what another meter saw."""
        self._plan.merge(other._plan)
        self._run.merge(other._run)
        self._moves.merge(other._moves)
        self._late.merge(other._late)
        self._ours.merge(other._ours)
        self._rows += other._rows
        self._sent += other._sent
        self._unplanned += other._unplanned
        self._max_late = max(self._max_late, other._max_late)
        if other._rows:
            due = np.array([other._first, other._last], np.int64)
            sent = np.array([t for t in (other._sent_first, other._sent_last) if t >= 0], np.int64)
            self._extend(due, sent)
            self._moments += _moved(other._moments, (other._origin - self._origin) / 1e9)
        for who, n in other._blame.items():
            self._blame[who] = self._blame.get(who, 0) + n
        for name, (planned, sent_n) in other._endpoints.items():
            pair = self._endpoints.setdefault(name, [0, 0])
            pair[0] += planned
            pair[1] += sent_n
        self._sessions.merge(other._sessions)
        self._seen.merge(other._seen)
        self._order.merge(other._order)
        self._ahead += other._ahead
        self._catch_up()

    def render(self, *, altered: int = 0, noise_p99_ns: float | None = None) -> Fidelity:
        """The fidelity of everything added."""
        ahead = sum(rows["due_ns"].size for rows in self._ahead)
        total = self._rows if self._sent else self._rows + ahead
        curve, beyond = idc_curve(self._plan, self._run, self._first, self._last, self._moves)
        mix, sessions = self._mix_term(), self._session_term(total)
        shape = shape_score(beyond)
        late, took = self._late, self._sent_last - self._sent_first
        measures = {
            **{name: late.quantile(q) for name, q in _QUANTILES.items()},
            "rate_error": rate_error(total, self._sent, self._last - self._first, took),
            "idc_error": idc_error(beyond),
            "s": 100 * min(shape, mix, sessions),
        }
        repeated = self._seen.repeated() + self._unplanned
        inversions = self._order.inversions()
        failed = gates(total, self._sent, repeated, altered, inversions)
        verdict, reasons = judge(measures, failed, _surely(late))
        return Fidelity(
            planned=total,
            sent=self._sent,
            duplicated=repeated,
            altered=altered,
            inversions=inversions,
            lateness_max_ns=float(self._max_late),
            drift_ppm=self._drift_ppm(),
            idc=curve,
            mix_term=mix,
            session_term=sessions,
            horizon_s=horizon(curve),
            noise_p99_ns=noise_p99_ns,
            verdict=verdict,
            blame=self._to_blame(total) if verdict == INVALID else None,
            reasons=reasons,
            not_due=ahead if self._sent else 0,
            **measures,
        )

    def _extend(self, due: Ints, sent: Ints) -> None:
        if self._first < 0:
            self._origin = int(due.min())
        self._first = _least(self._first, int(due.min()))
        self._last = max(self._last, int(due.max()))
        if sent.size:
            self._sent_first = _least(self._sent_first, int(sent.min()))
            self._sent_last = max(self._sent_last, int(sent.max()))

    def _add_lateness(self, due: Ints, sent: Ints) -> None:
        late = sent - due
        self._moves.add(due, sent)
        self._late.add(np.maximum(late, 0))
        if late.size:
            self._max_late = max(self._max_late, int(late.max()))
        x, y = (due - self._origin) / 1e9, late / 1e9
        self._moments += (late.size, x.sum(), np.dot(x, x), y.sum(), np.dot(x, y))

    def _add_blame(self, rows: Mapping[str, Any], due: Ints, sent: Ints, gone: Any) -> None:
        late = gone & (sent - due > LIMITS["lateness_p99_ns"][0])
        cause = rows["late_cause"] if "late_cause" in rows else np.zeros(due.size, np.int64)
        for code, _ in tally(cause[late]):
            ns = int((sent - due)[late & (cause == code)].sum())
            self._blame_on(_BLAME.get(Lateness(code), "generator"), ns)
        theirs = np.isin(cause, [code for code, who in _BLAME.items() if who != "generator"])
        self._ours.add(np.maximum(np.where(theirs, 0, sent - due), 0)[gone])
        if "outcome" in rows:
            for code, n in tally(rows["outcome"][~gone]):
                self._blame_on(_UNSENT_BLAME.get(Outcome(code), "generator"), n * _NEVER_SENT_NS)
        else:
            self._blame_on("generator", int((~gone).sum()) * _NEVER_SENT_NS)

    def _blame_on(self, who: str, n: int) -> None:
        if n:
            self._blame[who] = self._blame.get(who, 0) + n

    def _add_terms(self, rows: Mapping[str, Any], due: Ints, sent: Ints, gone: Any) -> None:
        if "endpoint" in rows:
            codes, values = rows["endpoint"]
            planned = np.bincount(codes, minlength=len(values))
            happened = np.bincount(codes[gone], minlength=len(values))
            for name, a, b in zip(values, planned.tolist(), happened.tolist(), strict=False):
                if a:
                    pair = self._endpoints.setdefault(name, [0, 0])
                    pair[0] += a
                    pair[1] += b
        clone = np.asarray(rows.get("clone", np.zeros(due.size)), np.int64)
        index = np.asarray(rows.get("target_index", np.zeros(due.size)), np.int64)
        copy = clone * 256 + index
        if "session" in rows:
            self._sessions.add(np.asarray(rows["session"]).view(np.int64), clone, gone)
        if "source" in rows:
            self._seen.add(np.asarray(rows["source"], np.int64), copy, gone)
        if "connection" in rows:
            # What went out on a spare connection cannot have overtaken anything on its own.
            there = gone & (rows["reuse"] != Reuse.SPARE) if "reuse" in rows else gone
            # Each clone, and each of several targets, has a connection of its own.
            wire = mix(np.asarray(rows["connection"]), copy).view(np.int64)
            self._order.add(wire[there], due[there], sent[there])

    def _mix_term(self) -> float:
        planned = sum(pair[0] for pair in self._endpoints.values())
        sent = sum(pair[1] for pair in self._endpoints.values())
        if not planned:
            return 1.0
        if not sent:
            return 0.0
        apart = sum(abs(a / planned - b / sent) for a, b in self._endpoints.values())
        return 1.0 - apart / 2

    def _session_term(self, total: int) -> float:
        kept = self._sessions.kept_share()
        return kept if kept is not None else (self._sent / total if total else 1.0)

    def _drift_ppm(self) -> float:
        n, x, xx, y, xy = self._moments.tolist()
        below = n * xx - x * x
        return 1e6 * (n * xy - x * y) / below if n > 2 and below > 1e-12 else 0.0

    def _we_were_late(self) -> bool:
        """Whether our own lateness alone is more than acceptable."""
        return any(value > LIMITS[name][1] for name, value in _surely(self._ours).items())

    def _to_blame(self, total: int) -> str:
        if total > self._rows or self._we_were_late():
            return "generator"
        return max(self._blame, key=lambda who: self._blame[who], default="generator")


def _surely(late: Sketch) -> dict[str, float]:
    """How late a share of the requests is beyond what chance explains, by measure."""
    return {name: least_quantile(late, q) for name, q in _QUANTILES.items()}


def _rows(column: Any, chosen: NDArray[np.bool_]) -> Any:
    """The chosen rows of a column; a text column becomes (codes, values)."""
    if hasattr(column, "codes"):
        return np.asarray(column.codes)[chosen], column.values
    if isinstance(column, tuple):
        return np.asarray(column[0])[chosen], column[1]
    return np.asarray(column)[chosen]


def _those(rows: Mapping[str, Any], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    return {name: _rows(column, chosen) for name, column in rows.items()}


def _least(a: int, b: int) -> int:
    return b if a < 0 else min(a, b)


def _moved(moments: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """The moments of (x + by, y)."""
    n, x, xx, y, xy = moments.tolist()
    return np.array([n, x + n * by, xx + 2 * by * x + n * by * by, y, xy + by * y])
