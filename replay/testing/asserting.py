"""A run as a test sees it: the verdict, quantiles, failures, and gates to assert.

run.verdict == "PASS"        FAIL, or INVALID where the run was not faithful to its plan
run.p99("GET /search")       ms of service time; over all endpoints without a name
run.errors                   share of requests that the target failed
run.must_not("p99(*) > 1.2 * recorded", "status(5xx) > 0")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from capture.errors import ReplayError

from ..options import ReplayOptions
from ..verdict.gate import GateError, check, parse
from ..verdict.judge import Finding, Verdict, judge
from ..verdict.measures import endpoints_of
from ..verdict.report import as_markdown, report_of
from ..verdict.rows import Rows, read_rows

if TYPE_CHECKING:
    from ..outcome import Summary


@dataclass(frozen=True)
class Run:
    """What a replay at an application under test came to."""

    path: Path
    summary: Summary
    rows: Rows
    judged: Verdict

    @property
    def verdict(self) -> str:
        """PASS, FAIL or INVALID."""
        return self.judged.word

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return self.judged.sentence

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What broke."""
        return self.judged.findings

    @property
    def fidelity(self) -> float | None:
        """S, 0 to 100; None where there was no plan to keep to."""
        kept = self.judged.fidelity
        return None if kept is None else kept.s

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self.summary.sent

    @property
    def failed(self) -> int:
        """How many requests had no whole answer, or 5xx."""
        return int(self.rows.failed.sum())

    @property
    def errors(self) -> float:
        """Their share of all."""
        return float(self.rows.failed.mean())

    def status(self, code: int) -> int:
        """How many answers have this status."""
        return int((self.rows["status"] == code).sum())

    def quantile(self, q: float, endpoint: str = "*") -> float:
        """A quantile of service time in ms, of the endpoints that a name or pattern means."""
        codes = [self.rows.endpoints.index(name) for name in endpoints_of(self.rows, endpoint)]
        if not codes:
            known = ", ".join(self.rows.endpoints[:10])
            raise ReplayError(f"No endpoint {endpoint!r} was replayed; there are {known}.")
        times = self.rows.service_ns[np.isin(self.rows.endpoint, codes)]
        times = times[times >= 0]
        return float(np.quantile(times, q)) / 1e6 if len(times) else float("nan")

    def p50(self, endpoint: str = "*") -> float:
        """Median service time in ms."""
        return self.quantile(0.5, endpoint)

    def p90(self, endpoint: str = "*") -> float:
        """p90 of service time in ms."""
        return self.quantile(0.9, endpoint)

    def p99(self, endpoint: str = "*") -> float:
        """p99 of service time in ms."""
        return self.quantile(0.99, endpoint)

    def must_not(self, *gates: str) -> None:
        """Assert that none of these gates fails."""
        __tracebackhide__ = True
        try:
            checked = [check(parse(text), self.rows, self.judged) for text in gates]
        except GateError as wrong:
            raise ReplayError(str(wrong)) from None
        failed = [done.why for done in checked if done.failed]
        if failed:
            raise AssertionError("\n".join(failed))

    def __str__(self) -> str:
        return as_markdown(report_of(self.path.name, self.rows))


def replay_at(url: str, tape: Path, path: Path, attempts: int, given: Mapping[str, Any]) -> Run:
    """Replay a tape; a run that was not faithful, by no fault of the target's, is made again."""
    from ..run import replay

    options = replace(options_of_values(given), target=(url,))
    for _ in range(max(1, attempts)):
        summary = replay(tape, options, path)
        rows = read_rows(path)
        run = Run(path, summary, rows, judge(rows))
        if not run.judged.refused:
            break
    return run


def options_of_values(given: Mapping[str, Any]) -> ReplayOptions:
    """Options by their names; text is read as the command line would read it (`timeout="2s"`)."""
    known = {field.name: field for field in fields(ReplayOptions)}
    values: dict[str, Any] = {"no_calibrate": True}
    for name, value in given.items():
        if name not in known or name == "target":
            raise ReplayError(f"{name!r} is no option of a replay that a test may give.")
        values[name] = _read(known[name], name, value)
    return ReplayOptions(**values)


def _read(field: Any, name: str, value: Any) -> Any:
    kind = field.metadata.get("option", {}).get("type")
    many = isinstance(field.default, tuple)
    if many and not isinstance(value, list | tuple):
        value = (value,)
    try:
        if kind is None:
            return tuple(value) if many else value
        if many:
            return tuple(kind.convert(each, None, None) for each in value)
        return kind.convert(value, None, None)
    except click.UsageError as wrong:
        raise ReplayError(f"{name}: {wrong.format_message()}") from None
