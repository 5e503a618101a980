"""What came of gates, as machines and pull requests read it: JUnit XML, JSON, Markdown, GitHub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from capture.describe import printable

from .markdown import code, prose

if TYPE_CHECKING:
    from .gate import Checked
    from .judge import Verdict


def as_junit(name: str, checked: Sequence[Checked]) -> bytes:
    """JUnit XML: one test case a gate."""
    failures = str(sum(done.failed for done in checked))
    suite = ElementTree.Element(
        "testsuite", name="wiretape", tests=str(len(checked)), failures=failures, errors="0"
    )
    for done in checked:
        case = ElementTree.SubElement(
            suite, "testcase", classname=printable(name), name=printable(done.gate)
        )
        if done.failed:
            ElementTree.SubElement(case, "failure", message=printable(done.why))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def as_json(name: str, checked: Sequence[Checked], verdict: Verdict) -> str:
    """The gates and the verdict beside them."""
    told = {
        "run": name,
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "failed": sum(done.failed for done in checked),
        "gates": [asdict(done) for done in checked],
    }
    return json.dumps(told, indent=2) + "\n"


def as_markdown(name: str, checked: Sequence[Checked], verdict: Verdict) -> str:
    """A few lines for a pull request, the failed gates first."""
    failed = sum(done.failed for done in checked)
    word = f"{failed} of {len(checked)} gates failed" if failed else f"{len(checked)} gates passed"
    lines = [f"### wiretape: {word} ({prose(name)})", ""]
    lines += [f"{verdict.word}: {prose(verdict.sentence)}", "", "| | gate | |", "|---|---|---|"]
    for done in sorted(checked, key=lambda done: not done.failed):
        said = "failed" if done.failed else "passed"
        lines.append(f"| {said} | {code(done.gate, cell=True)} | {prose(done.why)} |")
    return "\n".join(lines) + "\n\n"


def annotation(name: str, done: Checked) -> str:
    """A failed gate as GitHub's workflow command."""
    title = _command(f"wiretape gate of {name}").replace(":", "%3A").replace(",", "%2C")
    return f"::error title={title}::{_command(done.why)}"


def _command(text: str) -> str:
    return printable(text).replace("%", "%25")
