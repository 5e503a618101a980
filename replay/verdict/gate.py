"""Gates: a small language for what a run must not do.

    p99(GET /search) > 1.2 * recorded      service time, compared with the recording's own p99
    p99(*) > 300ms                         the worst endpoint of all
    response(p99) > 1s                     from when it was due, not from when it was sent
    errors > 0.5%     errors(POST /pay) > 2 * baseline    share of requests that the target failed
    status(5xx) > 0   requests(/cart) < 100   rate < 0.9 * recorded
    lateness(p99) > 10ms    fidelity < 90    findings(pool) > 0    leaks > 0    drift(high) > 0

A gate is `measure comparison limit`, joined by `and` and `or` (`and` binds tighter). It tells what
fails: where it is true, the gate has failed. What was not measured (an unknown endpoint, no
recorded answer) fails too: a gate that cannot be read must not pass. The other way round (`slo`)
the same words tell what must hold. Durations are in ms inside.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .judge import Verdict
    from .measures import Evidence, Seen
    from .rows import Rows

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
UNITS = {"": 1.0, "%": 0.01, "us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
TIMES, SHARES, COUNTS = ("us", "µs", "ms", "s", "m"), ("", "%"), ("",)
MEASURE = re.compile(r"\s*(p\d+(?:\.\d+)?|[a-z]+)\s*(?:\(\s*((?:[^()]|\([^()]*\))*?)\s*\))?")
NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|us|µs|ms|s|m)?(?![\w%])")
SIGN = re.compile(r"\s*(>=|<=|>|<)")
SOURCE = re.compile(r"\s*(\*)?\s*(recorded|baseline)\b")
WORD = re.compile(r"\s*(\*)?\s*([a-z_]\w*)", re.I)
JOINT = re.compile(r"\s*(and|or)\b")
QUANTILE = re.compile(r"p(\d+(?:\.\d+)?)")
PLAIN = (
    "errors", "status", "lateness", "fidelity", "rate", "findings", "response", "requests", "leaks",
    "drift",
)  # fmt: skip
KINDS = ("slow", "pool", "duplicate", "errors", "status", "leak", "drift")
RELATIVE = ("errors", "status", "rate", "requests", "response")
"""What may be compared with the recording or a baseline, besides quantiles."""


class GateError(ValueError):
    """A wrong expression; its text has a caret under the place."""

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(f"{why}\n  {text}\n  {' ' * at}^")
        self.at = at


@dataclass(frozen=True)
class Term:
    """`measure(argument) comparison limit`, the limit a number or a factor `of` something."""

    measure: str
    argument: str
    comparison: str
    limit: float
    of: str  # recorded or baseline; nothing where the limit is a number
    text: str

    @property
    def relative(self) -> bool:
        """Whether the limit is a factor."""
        return bool(self.of)

    @property
    def timed(self) -> bool:
        """Whether it is compared with a time."""
        return self.measure.startswith("p") or self.measure in ("lateness", "response")


@dataclass(frozen=True)
class Gate:
    """An expression: any of these groups, of which all terms hold."""

    text: str
    groups: tuple[tuple[Term, ...], ...]

    def asks(self, *words: str) -> bool:
        """Whether it needs to know of any of these: a measure, or what is compared with."""
        return any(term.measure in words or term.of in words for g in self.groups for term in g)


@dataclass(frozen=True)
class Checked:
    """A gate and what was measured for it."""

    gate: str
    failed: bool
    why: str


def parse(
    text: str, measures: Sequence[str] = PLAIN, sources: Sequence[str] = ("recorded",)
) -> Gate:
    """The gate that a text says, or `GateError`.

    `measures` are there besides quantiles; `sources` are what may be compared with.
    """
    groups: list[tuple[Term, ...]] = []
    terms: list[Term] = []
    at = 0
    while True:
        term, at = _term(text, at, measures, sources)
        terms.append(term)
        joint = JOINT.match(text, at)
        if joint is None:
            break
        at = joint.end()
        if joint[1] == "or":
            groups.append(tuple(terms))
            terms = []
    if text[at:].strip():
        raise GateError(text, _start(text, at), "Expected `and`, `or` or the end here.")
    return Gate(text, (*groups, tuple(terms)))


def _start(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())


def _term(text: str, at: int, measures: Sequence[str], sources: Sequence[str]) -> tuple[Term, int]:
    start = _start(text, at)
    measure = MEASURE.match(text, at)
    if measure is None:
        raise GateError(text, start, "Expected a measure here, such as p99(*) or errors.")
    name, argument = measure[1], measure[2] or ""
    _check(text, start, name, argument, measures)
    sign = SIGN.match(text, measure.end())
    if sign is None:
        if text[measure.end() :].lstrip().startswith("("):
            raise GateError(text, _start(text, measure.end()), "This parenthesis is not closed.")
        raise GateError(text, measure.end(), "Expected >, >=, < or <= here.")
    term = Term(name, argument, sign[1], 0.0, "", "")
    limit, of, end = _limit(text, sign.end(), term, measures, sources)
    return Term(name, argument, sign[1], limit, of, text[start:end]), end


def _check(text: str, at: int, name: str, argument: str, measures: Sequence[str]) -> None:
    first = argument.partition(",")[0].strip() if name == "response" else argument
    quantile = QUANTILE.fullmatch(first if name in ("lateness", "response") else name)
    if quantile and not 0 < float(quantile[1]) < 100:
        raise GateError(text, at, "A quantile lies between p0 and p100.")
    if name not in measures and QUANTILE.fullmatch(name) is None:
        known = "p50 … p99.9, " + ", ".join(measures)
        raise GateError(text, at, f"There is no measure {name!r}; there are {known}.")
    if name in ("lateness", "response") and not quantile:
        raise GateError(text, at, f"{name} needs its quantile: {name}(p99).")
    if name == "status" and not re.fullmatch(r"[1-5](\d\d|xx)", argument):
        raise GateError(text, at, "status needs a code or a class: status(404), status(5xx).")
    if name in ("findings", "drift") and argument:
        # A word that names nothing would count nothing, and such a gate would always pass.
        words = ", ".join(_words(name))
        if argument not in words.split(", "):
            raise GateError(text, at, f"{name} knows no {argument!r}; there are {words}.")


def _words(name: str) -> tuple[str, ...]:
    """What may be counted of findings or of drift."""
    if name == "findings":
        return KINDS
    from .drift import SEVERITIES, SEVERITY

    return (*SEVERITIES, *SEVERITY)


def _limit(
    text: str, at: int, term: Term, measures: Sequence[str], sources: Sequence[str]
) -> tuple[float, str, int]:
    number = NUMBER.match(text, at)
    tail = SOURCE.match(text, number.end() if number else at)
    start = _start(text, at)
    if tail is not None and bool(tail[1]) == bool(number) and not (number and number[2]):
        comparable = term.measure.startswith("p") or (
            measures is PLAIN and term.measure in RELATIVE
        )
        if not comparable:
            raise GateError(text, start, f"{term.measure} cannot be compared with the {tail[2]}.")
        if tail[2] not in sources:
            raise GateError(text, start, "There is no baseline here; `wiretape compare` has one.")
        return float(number[1]) if number else 1.0, tail[2], tail.end()
    _known_word(text, number.end() if number else at, sources)
    if number is None:
        raise GateError(text, start, "Expected a number here, such as 300ms, 0.5% or recorded.")
    unit = number[2] or ""
    units, fit = _fitting(term, measures)
    if unit not in units:
        raise GateError(text, start, f"{term.measure} is compared with {fit}.")
    return float(number[1]) * UNITS[unit], "", number.end()


def _fitting(term: Term, measures: Sequence[str]) -> tuple[Sequence[str], str]:
    """The units that a limit may have. `fidelity < 90%` would be below 0.9, and never true."""
    if term.timed:
        return TIMES, "a time such as 300ms"
    if term.measure == "errors" or measures is not PLAIN:
        return SHARES, "a number or a percentage"
    return COUNTS, "a plain number such as 90"


def _known_word(text: str, at: int, sources: Sequence[str]) -> None:
    """What stands where `recorded` could must be that, or a unit."""
    word = WORD.match(text, at)
    if word is not None and word[2] not in (*sources, "recorded", "and", "or"):
        known = f"{' or '.join(sources)}, or a unit such as ms or %"
        raise GateError(text, word.start(2), f"There is no {word[2]!r} here: write {known}.")


def check(gate: Gate, rows: Rows, verdict: Verdict, evidence: Evidence | None = None) -> Checked:
    """Whether the gate has failed for a run, and why."""
    from .measures import Evidence, Seen

    seen = Seen(rows, verdict, evidence or Evidence())
    for group in gate.groups:
        told = [_failing(term, seen) for term in group]
        if all(told):
            return Checked(gate.text, True, "; ".join(told))
    return Checked(gate.text, False, "")


def patterns(gate: Gate) -> list[str]:
    """The patterns of endpoints that an expression names."""
    found = []
    for term in (term for group in gate.groups for term in group):
        if term.measure == "response":
            found.append(term.argument.partition(",")[2].strip())
        elif QUANTILE.fullmatch(term.measure) or term.measure in ("errors", "requests"):
            found.append(term.argument)
    return [pattern for pattern in found if pattern]


def slo(gate: Gate, rows: Rows, verdict: Verdict) -> Checked:
    """The same words as what must hold: `failed` where it does not, and why.

    A user waits from when a request was due, so here p99 is of response time.
    """
    from .measures import Evidence, Seen

    seen = Seen(rows, verdict, Evidence(), waits=True)
    broken = [[why for term in group if (why := _broken(term, seen))] for group in gate.groups]
    failed = all(broken)
    return Checked(gate.text, failed, "; ".join(broken[0]) if failed else "")


def _failing(term: Term, seen: Seen) -> str:
    """Why a term of a gate is true; nothing where it is not. What is not known is true."""
    return _told(term, seen, lambda value, limit: COMPARE[term.comparison](value, limit))


def _broken(term: Term, seen: Seen) -> str:
    """Why a term of an objective does not hold; nothing where it holds for all that it names."""
    return _told(term, seen, lambda value, limit: not COMPARE[term.comparison](value, limit))


def _told(term: Term, seen: Seen, bad: Callable[[float, float], bool]) -> str:
    from .measures import RUN, measured

    found = measured(term.measure, term.argument, RUN, seen)
    limits = dict(measured(term.measure, term.argument, term.of, seen)) if term.of else {}
    unit = " ms" if term.timed else ""
    told = []
    for what, value in found:
        limit = term.limit * limits.get(what, math.nan) if term.of else term.limit
        if math.isnan(value) or math.isnan(limit) or bad(value, limit):
            is_ = "not known" if math.isnan(value) else f"{value:.4g}{unit}"
            against = (
                f" against {'what is not known' if math.isnan(limit) else f'{limit:.4g}{unit}'}"
            )
            needed = against if term.of or what else ""
            verb = "is" if math.isnan(value) or not what else "has"
            told.append(f"{what or 'it'} {verb} {is_}{needed}")
    if not found:
        return f"{term.text}: no such endpoint was replayed"
    return f"{term.text}: {', '.join(told[:3])}" if told else ""
