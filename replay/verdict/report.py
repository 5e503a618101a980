"""The report of a run: one content, as one offline page, as Markdown, as JSON.

The first screen says the verdict in one sentence, the three endpoints that lost most and the seal
of fidelity. The last section says what this test could not validate; it is never empty.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from capture.exchange import Outcome
from capture.ledger import Ledger
from capture.tape import Tape
from shapes.tallies import tally

from ..plain import plain
from .concurrency import Concurrency, concurrency_of
from .drift import Drift
from .examples import Example, Failure, examples_of, failures_of
from .fidelity import BLAMED, in_a_line, table
from .history import History
from .judge import EndpointRow, Finding, Verdict, human, judge
from .markdown import code, prose
from .moments import Moment, moments_of
from .not_validated import not_validated
from .report_figures import figures
from .rows import Rows

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """What is said of one run, whatever it is written as."""

    name: str
    rows: Rows = field(repr=False)
    verdict: Verdict
    ledger: Ledger
    examples: dict[Finding, tuple[Example, ...]]
    failures: tuple[Failure, ...]
    moments: tuple[Moment, ...]
    load: Concurrency | None
    drift: Drift | None
    history: History | None
    not_validated: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The content as plain values for JSON; what is not a number is null."""
        verdict = self.verdict
        findings = [
            {**asdict(finding), "examples": [asdict(each) for each in self.examples[finding]]}
            for finding in verdict.findings
        ]
        content = {
            "run": self.name,
            "verdict": verdict.word,
            "sentence": verdict.sentence,
            "findings": findings,
            "fidelity": verdict.fidelity.as_dict() if verdict.fidelity else None,
            "endpoints": [asdict(row) for row in verdict.endpoints],
            "failures": [asdict(failure) for failure in self.failures],
            "timeline": [asdict(moment) for moment in self.moments],
            "concurrency": asdict(self.load) if self.load else None,
            "drift": self.drift.as_dict() if self.drift else None,
            "history": self.history.as_dict() if self.history else None,
            "outcomes": self.outcomes(),
            "ledger": self.ledger.as_dict(),
            "not_validated": self.not_validated,
        }
        return dict(plain(content))

    def outcomes(self) -> dict[str, int]:
        """How many rows of the run met each outcome."""
        return {Outcome(code).words: n for code, n in tally(self.rows["outcome"])}


def report_of(
    name: str,
    rows: Rows,
    ledger: Ledger | None = None,
    evidence: tuple[Finding, ...] = (),
    *,
    tape: Tape | None = None,
    drift: Drift | None = None,
    history: History | None = None,
) -> Report:
    """The report of a run; `evidence` is what other instruments found, `tape` what was replayed."""
    verdict = judge(rows, evidence)
    book = ledger or Ledger()
    sampled = tape.sample_rate if tape is not None else 1.0
    return Report(
        name,
        rows,
        verdict,
        book,
        examples_of(rows, verdict.findings, tape),
        failures_of(rows, tape),
        moments_of(rows, verdict.findings),
        concurrency_of(rows, verdict.in_flight),
        drift,
        history,
        not_validated(rows, verdict, book, sampled),
    )


def as_json(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(report.as_dict(), indent=2)


def as_markdown(report: Report) -> str:
    """The report as Markdown, short enough for a pull request."""
    verdict = report.verdict
    lines = [f"## {verdict.word}: {prose(verdict.sentence)}", ""]
    lines += [f"Fidelity: {in_a_line(verdict.fidelity)}.", ""]
    for finding in verdict.findings:
        lines.append(f"- {prose(finding.full)}")
        lines += [f"  - {code(each.curl)}" for each in report.examples[finding][:1]]
    lines += ["", "| endpoint | requests | recorded p50 / p99 | replayed p50 / p99 | failed |",
              "|---|---:|---:|---:|---:|"]  # fmt: skip
    lines += [_markdown_row(row) for row in verdict.endpoints[:10]]
    if report.failures:
        lines += [
            "",
            "### Errors",
            "",
            "| endpoint | what | times | recorded |",
            "|---|---|---:|---:|",
        ]
        lines += [
            f"| {code(each.endpoint, cell=True)} | {each.what} | {each.count:,} "
            f"| {each.recorded:,} |"
            for each in report.failures[:10]
        ]
    if report.drift and report.drift.differences:
        lines += ["", "### Drift", ""]
        lines += [f"- {each.severity}: {prose(each.short)}" for each in report.drift.differences]
    if report.moments:
        lines += ["", "### Timeline", ""]
        lines += [f"- {moment.at_s:.1f} s: {prose(moment.text)}" for moment in report.moments]
    if report.load:
        lines += ["", f"Concurrency: {report.load.sentence}"]
    if report.history and report.history.changes:
        lines += ["", "### History", ""]
        lines += [f"- {prose(change.sentence)}" for change in report.history.changes]
    lines += ["", "### What this test could not validate", ""]
    lines += [f"- {prose(item)}" for item in report.not_validated]
    return "\n".join(lines) + "\n"


def _markdown_row(row: EndpointRow) -> str:
    before, after = row.recorded, row.replayed
    return (
        f"| {code(row.endpoint, cell=True)} | {row.count:,} "
        f"| {human(before[0])} / {human(before[2])} | {human(after[0])} / {human(after[2])} "
        f"| {row.failed:,} |"
    )


def as_html(report: Report) -> str:
    """The report as one page that needs nothing else."""
    from jinja2 import Environment, FileSystemLoader

    from shapes.pictures import CSS
    from shapes.plots import closer_look, plot

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["human"] = human
    cards = figures(report.rows, report.verdict, report.moments, report.history)
    page = environment.get_template("report.html.j2")
    return page.render(report=report, verdict=report.verdict, cards=cards, plot=plot,
                       picture_css=CSS, closer_look=closer_look([card.figure for card in cards]),
                       kept=report.verdict.fidelity, table=table, in_a_line=in_a_line,
                       blamed=BLAMED)  # fmt: skip
