"""Conditions under which a replay ends before its end: `--abort-if 'errors > 5% for 10s'`.

A condition is an expression as gates have it, and how much of the run it is about: it is measured
over the last 10 s, anew with each look, from when the run has lasted so long. Without `for` it is
5 s. Nothing is aborted for want of evidence: where nothing came back there is no share of errors,
but there is `unanswered`, the fewest requests that were in flight at any look of that time.

    errors > 5% for 10s              failed (no whole answer, or 5xx) of what came to an end
    errors(POST /pay*) > 0           the same, of some endpoints
    timeouts > 20                    how many; with % of what came to an end
    status(5xx) > 50    status(429) > 10%
    p99 > 2s for 30s    p99(GET /search) > 3 * recorded      service time, of any endpoint
    lateness(p99) > 50ms             our own
    unanswered > 5000 for 5s         rate < 100 for 30s

Workers tell what became of their requests twice a second; what they told is summed up a look, so
that a window costs no more than its looks.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capture.exchange import NEVER, Outcome
from capture.options import SPAN
from capture.selector import named

from .observe.glance import Glance, each_endpoint
from .outcome import Histogram
from .verdict.gate import COMPARE, Gate, GateError, Term
from .verdict.gate import parse as parse_gate

MEASURES = ("errors", "timeouts", "status", "lateness", "unanswered", "rate")
USUAL_NS = 5_000_000_000
_FOR = re.compile(r"\s+for\b\s*(?P<span>\S*)\s*$")
_TIMED_OUT = (Outcome.TIMED_OUT, Outcome.CONNECT_TIMED_OUT)
Found = tuple[str, float, float]
"""Of what, the value, and its limit."""


@dataclass(frozen=True)
class Condition:
    """An expression and the time that it is measured over."""

    text: str
    gate: Gate
    over_ns: int


def parse(text: str) -> Condition:
    """The condition that a text says, or `GateError`."""
    tail = _FOR.search(text)
    over = USUAL_NS
    if tail is not None:
        try:
            over = int(SPAN.convert(tail["span"], None, None))
        except Exception as wrong:
            raise GateError(text, tail.start("span"), "Expected a time such as 10s.") from wrong
    return Condition(text, parse_gate(text[: tail.start()] if tail else text, MEASURES), over)


class Watch:
    """Looks at each glance of a run; true once a condition holds, which `reason` then tells."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._windows = [_Window(parse(text)) for text in texts]
        self.reason = ""

    def __call__(self, glance: Glance) -> bool:
        for window in self._windows:
            why = window.look(glance)
            if why and not self.reason:
                self.reason = f"{why}, {glance.elapsed_ns / 1e9:.1f} s into the run"
        return bool(self.reason)


class _Window:
    """What was told within the time of one condition."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._terms = [
            [(term, _meter(term, condition.over_ns)) for term in group]
            for group in condition.gate.groups
        ]
        self._looks: deque[tuple[int, dict[int, Any]]] = deque()
        self._flying: dict[int, int] = {}

    def look(self, glance: Glance) -> str:
        """Why the condition holds; nothing where it does not."""
        now, over = glance.elapsed_ns, self._condition.over_ns
        self._flying[glance.worker] = glance.in_flight
        flying = sum(self._flying.values())
        taken = {id(m): m.take(glance, flying) for group in self._terms for _, m in group}
        self._looks.append((now, taken))
        while self._looks[0][0] <= now - over:
            self._looks.popleft()
        if now < over:
            return ""
        for group in self._terms:
            told = [self._holds(term, meter) for term, meter in group]
            if all(told):
                return f"{self._condition.text}: {'; '.join(told)}"
        return ""

    def _holds(self, term: Term, meter: _Meter) -> str:
        compare = COMPARE[term.comparison]
        for what, value, limit in meter.values([taken[id(meter)] for _, taken in self._looks]):
            if compare(value, limit):  # never true of what is not known
                return meter.told(what, value)
        return ""


class _Meter(ABC):
    """One measure: what each look brings, and what several come to."""

    def __init__(self, term: Term, over_ns: int) -> None:
        self.term = term
        self.over_ns = over_ns

    @abstractmethod
    def take(self, glance: Glance, flying: int) -> Any:
        """What a look brings."""

    @abstractmethod
    def values(self, taken: list[Any]) -> Iterator[Found]:
        """What the looks come to."""

    def told(self, what: str, value: float) -> str:
        """The value, for a person."""
        return f"{what} {value:,.4g}"


class _Share(_Meter):
    """How many of what came to an end, or which share."""

    def __init__(self, term: Term, over_ns: int, bad: Callable[[Any], Any]) -> None:
        super().__init__(term, over_ns)
        self._bad = bad
        # Errors are a share, as they are of gates; what is counted is a share where % is said.
        self._share = term.measure == "errors" or term.text.endswith("%")

    def take(self, glance: Glance, flying: int) -> tuple[int, int]:
        del flying
        bad = known = 0
        pattern = "" if self.term.measure == "status" else self.term.argument
        for name, part, mask in each_endpoint(glance.parts):
            if named(name, pattern):
                known += int(mask.sum())
                bad += int((self._bad(part) & mask).sum())
        return bad, known

    def values(self, taken: list[tuple[int, int]]) -> Iterator[Found]:
        bad, known = (sum(each) for each in zip(*taken, strict=True))
        value = (bad / known if known else math.nan) if self._share else float(bad)
        yield f"{bad:,} of {known:,} requests", value, self.term.limit

    def told(self, what: str, value: float) -> str:
        return f"{what}, {value:.1%}" if self._share else what


class _Quantile(_Meter):
    """A quantile of service time, of each endpoint."""

    def take(self, glance: Glance, flying: int) -> dict[str, tuple[Histogram, Histogram]]:
        del flying
        found: dict[str, tuple[Histogram, Histogram]] = {}
        for name, part, mask in each_endpoint(glance.parts):
            if named(name, self.term.argument):
                pair = found.setdefault(name, (Histogram(), Histogram()))
                whole = mask & (part.service_ns != NEVER)
                pair[0].add(part.service_ns[whole])
                if self.term.relative:
                    recorded = part.recorded_ns[mask]
                    pair[1].add(recorded[recorded != NEVER])
        return found

    def values(self, taken: list[dict[str, tuple[Histogram, Histogram]]]) -> Iterator[Found]:
        q = float(self.term.measure[1:]) / 100
        for name in Counter(name for look in taken for name in look):
            pairs = [look[name] for look in taken if name in look]
            value, recorded = (_quantile([pair[side] for pair in pairs], q) for side in (0, 1))
            limit = self.term.limit * recorded if self.term.relative else self.term.limit
            yield f"{self.term.measure} of {name} is", value, limit

    def told(self, what: str, value: float) -> str:
        return f"{what} {value:,.4g} ms"


class _Lateness(_Meter):
    """A quantile of our own lateness."""

    def take(self, glance: Glance, flying: int) -> Histogram:
        del flying
        found = Histogram()
        for part in glance.parts:
            found.add(part.late_ns)
        return found

    def values(self, taken: list[Histogram]) -> Iterator[Found]:
        q = float(self.term.argument[1:]) / 100
        yield f"lateness {self.term.argument} is", _quantile(taken, q), self.term.limit

    def told(self, what: str, value: float) -> str:
        return f"{what} {value:,.4g} ms"


class _Unanswered(_Meter):
    """The fewest requests that were in flight."""

    def take(self, glance: Glance, flying: int) -> int:
        del glance
        return flying

    def values(self, taken: list[int]) -> Iterator[Found]:
        yield "unanswered at least", float(min(taken)), self.term.limit


class _Rate(_Meter):
    """Requests sent a second."""

    def take(self, glance: Glance, flying: int) -> int:
        del flying
        return glance.sent

    def values(self, taken: list[int]) -> Iterator[Found]:
        yield "requests/s sent", sum(taken) / (self.over_ns / 1e9), self.term.limit


def _meter(term: Term, over_ns: int) -> _Meter:
    if term.measure == "errors":
        return _Share(term, over_ns, lambda part: part.failed)
    if term.measure == "timeouts":
        return _Share(term, over_ns, lambda part: np.isin(part.outcome, _TIMED_OUT))
    if term.measure == "status":
        low = int(term.argument.replace("x", "0"))
        high = low + (100 if "x" in term.argument else 1)
        return _Share(term, over_ns, lambda part: (part.status >= low) & (part.status < high))
    others: dict[str, Callable[[Term, int], _Meter]] = {
        "lateness": _Lateness, "unanswered": _Unanswered, "rate": _Rate,
    }  # fmt: skip
    return others.get(term.measure, _Quantile)(term, over_ns)


def _quantile(parts: list[Histogram], q: float) -> float:
    """In ms; nan of nothing."""
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    return whole.quantile(q) / 1e6 if whole.total else math.nan
