"""What came of gates, as machines and pull requests read it: JUnit XML, JSON, Markdown, GitHub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree

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
            suite, "testcase", classname=_printable(name), name=_printable(done.gate)
        )
        if done.failed:
            ElementTree.SubElement(case, "failure", message=_printable(done.why))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


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
    lines = [f"### wiretape: {word} ({_cell(name)})", ""]
    lines += [f"{verdict.word}: {_cell(verdict.sentence)}", "", "| | gate | |", "|---|---|---|"]
    for done in sorted(checked, key=lambda done: not done.failed):
        said = "failed" if done.failed else "passed"
        lines.append(f"| {said} | {_code(done.gate)} | {_cell(done.why)} |")
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    """Text that ends no cell and opens no tag."""
    plain = " ".join(text.split())
    for special in ("\\", "|", "<", "*", "_", "`", "[", "#"):
        plain = plain.replace(special, f"\\{special}" if special != "<" else "&lt;")
    return plain


def _code(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "\\|")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def annotation(name: str, done: Checked) -> str:
    """A failed gate as GitHub's workflow command."""
    said = done.why.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error title=wiretape gate, {name.replace(',', ' ').replace(':', ' ')}::{said}"
