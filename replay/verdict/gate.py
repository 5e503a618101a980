"""Gates: a small language for what a run must not do.

    p99(GET /search) > 1.2 * recorded      service time, compared with the recording's own p99
    p99(*) > 300ms                         the worst endpoint of all
    errors > 0.5%     errors(POST /pay) > 0       share of requests that the target failed
    status(5xx) > 0   status(404) > 10            how many answers
    lateness(p99) > 10ms    fidelity < 90    rate < 100    findings(pool) > 0

A gate is `measure comparison limit`, joined by `and` and `or` (`and` binds tighter). It tells what
fails: where it is true, the gate has failed. What was not measured (an unknown endpoint, no
recorded answer) fails too: a gate that cannot be read must not pass. Durations are in ms inside.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from .judge import MS, Verdict, recorded_ns
from .rows import Rows

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
UNITS = {"": 1.0, "%": 0.01, "us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
TIMES, COUNTS = ("us", "µs", "ms", "s", "m"), ("", "%")
MEASURE = re.compile(r"\s*(p\d+(?:\.\d+)?|[a-z]+)\s*(?:\(\s*((?:[^()]|\([^()]*\))*?)\s*\))?")
NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|us|µs|ms|s|m)?(?![\w%])")
PLAIN = ("errors", "status", "lateness", "fidelity", "rate", "findings")


class GateError(ValueError):
    """A wrong expression; its text has a caret under the place."""

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(f"{why}\n  {text}\n  {' ' * at}^")
        self.at = at


@dataclass(frozen=True)
class Term:
    """`measure(argument) comparison limit`, the limit a number or a factor of the recorded."""

    measure: str
    argument: str
    comparison: str
    limit: float
    relative: bool
    text: str


@dataclass(frozen=True)
class Gate:
    """An expression: any of these groups, of which all terms hold."""

    text: str
    groups: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True)
class Checked:
    """A gate and what was measured for it."""

    gate: str
    failed: bool
    why: str


def parse(text: str, measures: tuple[str, ...] = PLAIN) -> Gate:
    """The gate that a text says, or `GateError`; `measures` are there besides quantiles."""
    groups: list[tuple[Term, ...]] = []
    terms: list[Term] = []
    at = 0
    while True:
        term, at = _term(text, at, measures)
        terms.append(term)
        joint = re.compile(r"\s*(and|or)\b").match(text, at)
        if joint is None:
            break
        at = joint.end()
        if joint[1] == "or":
            groups.append(tuple(terms))
            terms = []
    rest = len(text) - len(text[at:].lstrip())
    if rest < len(text):
        raise GateError(text, rest, "Expected `and`, `or` or the end here.")
    return Gate(text, (*groups, tuple(terms)))


def _term(text: str, at: int, measures: tuple[str, ...]) -> tuple[Term, int]:
    start = len(text) - len(text[at:].lstrip())
    measure = MEASURE.match(text, at)
    if measure is None:
        raise GateError(text, start, "Expected a measure here, such as p99(*) or errors.")
    name, argument = measure[1], measure[2] or ""
    _check(text, start, name, argument, measures)
    sign = re.compile(r"\s*(>=|<=|>|<)").match(text, measure.end())
    if sign is None:
        raise GateError(text, measure.end(), "Expected >, >=, < or <= here.")
    limit, relative, end = _limit(text, sign.end(), name)
    return Term(name, argument, sign[1], limit, relative, text[start:end]), end


def _check(text: str, at: int, name: str, argument: str, measures: tuple[str, ...]) -> None:
    quantile = re.fullmatch(r"p(\d+(?:\.\d+)?)", argument if name == "lateness" else name)
    if quantile and not 0 < float(quantile[1]) < 100:
        raise GateError(text, at, "A quantile lies between p0 and p100.")
    if not quantile and name not in measures:
        known = "p50 … p99.9, " + ", ".join(measures)
        raise GateError(text, at, f"There is no measure {name!r}; there are {known}.")
    if name == "lateness" and not quantile:
        raise GateError(text, at, "lateness needs its quantile: lateness(p99).")
    if name == "status" and not re.fullmatch(r"[1-5](\d\d|xx)", argument):
        raise GateError(text, at, "status needs a code or a class: status(404), status(5xx).")


def _limit(text: str, at: int, name: str) -> tuple[float, bool, int]:
    number = NUMBER.match(text, at)
    tail = re.compile(r"\s*(\*)?\s*recorded\b").match(text, number.end() if number else at)
    start = len(text) - len(text[at:].lstrip())
    if tail is not None and bool(tail[1]) == bool(number) and not (number and number[2]):
        if not name.startswith("p"):
            raise GateError(text, start, f"{name} cannot be compared with the recording.")
        return float(number[1]) if number else 1.0, True, tail.end()
    if number is None:
        raise GateError(text, start, "Expected a number here, such as 300ms, 0.5% or recorded.")
    unit = number[2] or ""
    timed = name.startswith("p") or name == "lateness"
    if unit not in (TIMES if timed else COUNTS):
        fit = "a time such as 300ms" if timed else "a number or a percentage"
        raise GateError(text, start, f"{name} is compared with {fit}.")
    return float(number[1]) * UNITS[unit], False, number.end()


def check(gate: Gate, rows: Rows, verdict: Verdict) -> Checked:
    """Whether the gate has failed for a run, and why."""
    for group in gate.groups:
        told = [_holds(term, rows, verdict) for term in group]
        if all(holds for holds, _ in told):
            return Checked(gate.text, True, "; ".join(why for _, why in told))
    return Checked(gate.text, False, "")


def _holds(term: Term, rows: Rows, verdict: Verdict) -> tuple[bool, str]:
    compare = COMPARE[term.comparison]
    if not term.measure.startswith("p"):
        value = _plain(term, rows, verdict)
        return math.isnan(value) or compare(value, term.limit), f"{term.text}: it is {value:.4g}"
    q = float(term.measure[1:]) / 100
    found = []
    for name in _endpoints(term.argument, rows):
        value = _quantile(rows.service_ns[rows.of(name)], q)
        limit = term.limit
        if term.relative:
            limit *= _quantile(recorded_ns(rows)[rows.of(name)], q)
        if math.isnan(value) or math.isnan(limit) or compare(value, limit):
            found.append(f"{name} has {value:.4g} ms against {limit:.4g} ms")
    if not _endpoints(term.argument, rows):
        return True, f"{term.text}: no such endpoint was replayed"
    return bool(found), f"{term.text}: {', '.join(found[:3])}"


def _endpoints(pattern: str, rows: Rows) -> list[str]:
    """Endpoints by name, or by pattern where `*` stands for anything; none given is all."""
    wanted = (pattern or "*").replace("[", "[[]")
    return [name for name in rows.endpoints if fnmatchcase(name, wanted)]


def _quantile(times: np.ndarray, q: float) -> float:
    known = times[times >= 0]
    return float(np.quantile(known, q)) / MS if len(known) else float("nan")


def _plain(term: Term, rows: Rows, verdict: Verdict) -> float:
    """A measure that is one number; nan where it was not measured."""
    if term.measure == "fidelity":
        kept = verdict.fidelity
        return float("nan") if kept is None else 0.0 if verdict.refused else kept.s
    if term.measure == "findings":
        return float(sum(f.kind == term.argument or not term.argument for f in verdict.findings))
    if term.measure == "lateness":
        late = rows.late_ns
        q = float(term.argument[1:]) / 100
        return float(np.quantile(late, q)) / MS if len(late) else float("nan")
    if term.measure == "rate":
        start, end = rows.span_ns
        return len(rows) / ((end - start) / 1e9) if end > start else float("nan")
    if term.measure == "status":
        known = np.char.mod("%03d", rows["status"])
        digit = term.argument[0]
        mask = (rows["status"] // 100 == int(digit)) if "x" in term.argument else (
            known == term.argument)  # fmt: skip
        return float(mask.sum())
    codes = [rows.endpoints.index(name) for name in _endpoints(term.argument, rows)]
    mask = np.isin(rows.endpoint, codes)
    return float(rows.failed[mask].mean()) if mask.any() else float("nan")
