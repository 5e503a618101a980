"""The report of a run: one content, as one offline page, as Markdown, as JSON.

The first screen says the verdict in one sentence, the three endpoints that lost most and the seal
of fidelity. The last section says what this test could not validate; it is never empty.
"""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.exchange import Outcome
from capture.ledger import Ledger
from shapes.fidelity import Fidelity

from .fidelity import BLAMED, in_a_line, table
from .judge import EndpointRow, Finding, Verdict, human, judge
from .report_figures import figures
from .rows import Rows

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """What is said of one run, whatever it is written as."""

    name: str
    rows: Rows
    verdict: Verdict
    ledger: Ledger

    def as_dict(self) -> dict[str, Any]:
        """The content as plain values for JSON; what is not a number is null."""
        verdict = self.verdict
        content = {
            "run": self.name,
            "verdict": verdict.word,
            "sentence": verdict.sentence,
            "findings": [asdict(finding) for finding in verdict.findings],
            "fidelity": verdict.fidelity.to_json() if verdict.fidelity else None,
            "endpoints": [asdict(row) for row in verdict.endpoints],
            "outcomes": self.outcomes(),
            "ledger": self.ledger.as_dict(),
            "not_validated": self.not_validated(),
        }
        return dict(_plain(content))

    def outcomes(self) -> dict[str, int]:
        """How many rows of the run met each outcome."""
        codes, counts = np.unique(self.rows["outcome"], return_counts=True)
        pairs = zip(codes, counts, strict=True)
        return {Outcome(code).name.lower().replace("_", " "): int(n) for code, n in pairs}

    def examples(self, finding: Finding) -> list[dict[str, str]]:
        """Rows of a finding, sanitized as the tape has them, with a line that repeats each."""
        shown = []
        for place in finding.rows:
            endpoint = self.rows.endpoints[self.rows.endpoint[place]]
            method = shlex.quote(endpoint.partition(" ")[0])
            quoted = shlex.quote(self.rows.targets[self.rows.target[place]])
            shown.append(
                {
                    "number": f"{place:,}",
                    "status": f"{self.rows['recorded_status'][place]} → "
                    f"{self.rows['status'][place]}",
                    "took": human(float(self.rows.service_ns[place]) / 1e6),
                    "curl": f'curl --path-as-is -X {method} "$TARGET"{quoted}',
                }
            )
        return shown

    def not_validated(self) -> list[str]:
        """What a reader must not conclude from this run."""
        rows, kept = self.rows, self.verdict.fidelity
        said = [
            "Data volume: a target that holds less data than production answers faster than it "
            "would there; nothing here shows how much it holds.",
            "Third parties: calls that the service makes to others were not recorded, so a stub "
            "that never fails or is never slow goes unseen.",
            self._caches(),
        ]
        if kept is not None:
            said += _not_reached(kept)
        elif rows.is_run:
            said.append("Bursts: answers set the pace of this run, not the clock of the tape.")
        few = [row.endpoint for row in self.verdict.endpoints if row.count < 100]
        if few:
            said.append(f"p99 of {', '.join(few[:5])}: fewer than 100 requests each.")
        unknown = int((rows["recorded_status"] == 0).sum()) if rows.is_run else 0
        if unknown:
            said.append(f"{unknown:,} requests have no recorded answer to compare with.")
        for unit in self.ledger.units():
            lost = {f: n for f, n in self.ledger.fates(unit).items() if f not in ("kept", "sent")}
            said += [f"{count:,} {unit} {fate}." for fate, count in lost.items()]
        said.append(
            "What was sanitized away: values were replaced by pseudonyms of the same length, so "
            "code that depends on the true value of a secret or a person's data did not see it."
        )
        return said

    def _caches(self) -> str:
        keys = self.rows["key"]
        reused = 1 - len(np.unique(keys)) / max(1, len(keys))
        return (
            f"Caches: {reused:.0%} of the requests repeat an earlier one; whether the target's "
            "caches were as warm as production's was not checked."
        )


def _not_reached(kept: Fidelity) -> list[str]:
    """What the generator could not do."""
    said = []
    if kept.sent < kept.planned:
        said.append(f"{kept.planned - kept.sent:,} planned requests were never sent.")
    if kept.horizon_s is not None and kept.horizon_s > 0.0011:
        ms = kept.horizon_s * 1000
        said.append(f"Bursts shorter than {ms:g} ms are not quite those of the plan.")
    return said


def report_of(name: str, rows: Rows, ledger: Ledger | None = None,
              evidence: tuple[Finding, ...] = ()) -> Report:  # fmt: skip
    """The report of a run; `evidence` is what other instruments found."""
    return Report(name, rows, judge(rows, evidence), ledger or Ledger())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_json(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(report.as_dict(), indent=2)


def as_markdown(report: Report) -> str:
    """The report as Markdown, short enough for a pull request."""
    verdict = report.verdict
    lines = [f"## {verdict.word}: {verdict.sentence}", ""]
    lines += [f"Fidelity: {in_a_line(verdict.fidelity)}.", ""]
    lines += [f"- {finding.full}" for finding in verdict.findings] + [""]
    lines += ["| endpoint | requests | recorded p50 / p99 | replayed p50 / p99 | failed |",
              "|---|---:|---:|---:|---:|"]  # fmt: skip
    lines += [_markdown_row(row) for row in verdict.endpoints[:10]]
    lines += ["", "### What this test could not validate", ""]
    lines += [f"- {item}" for item in report.not_validated()]
    return "\n".join(lines) + "\n"


def _markdown_row(row: EndpointRow) -> str:
    before, after = row.recorded, row.replayed
    name = row.endpoint.replace("|", "\\|").replace("`", "'")
    return (
        f"| `{name}` | {row.count:,} | {human(before[0])} / {human(before[2])} "
        f"| {human(after[0])} / {human(after[2])} | {row.failed:,} |"
    )


def as_html(report: Report) -> str:
    """The report as one page that needs nothing else."""
    from jinja2 import Environment, FileSystemLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["human"] = human
    drawn = figures(report.rows, report.verdict)
    # A "<" in a string could end the script element or open a comment in it.
    data = json.dumps(_plain(drawn), separators=(",", ":")).replace("<", "\\u003c")
    page = environment.get_template("report.html.j2")
    return page.render(report=report, verdict=report.verdict, figures=drawn, data=data,
                       plotly=get_plotlyjs(), kept=report.verdict.fidelity, table=table,
                       in_a_line=in_a_line, blamed=BLAMED)  # fmt: skip
