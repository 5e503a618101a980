"""Gates at the command line: where they come from, what they tell, how a failed one ends.

`--fail-if EXPR` and `--gate FILE` (TOML: `fail_if = ["p99(*) > 300ms", "errors > 1%"]`) mean the
same. Every gate is parsed before anything is sent; a wrong one is a usage error with a caret. What
came of them is told on stderr, as JUnit XML, and as annotations where GitHub runs the job.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import click

from capture.errors import WiretapeError

if TYPE_CHECKING:
    from .gate import Checked, Gate
    from .judge import Verdict
    from .rows import Rows

FAILED = 3
UNFAITHFUL = 4


class GateFileError(WiretapeError):
    """A file of gates that cannot be used."""


@dataclass(frozen=True)
class Gates:
    """The gates of one command, parsed, and where to write what came of them."""

    gates: tuple[Gate, ...] = ()
    junit: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.gates)

    def check(self, rows: Rows, verdict: Verdict) -> list[Checked]:
        """What came of each."""
        from .gate import check

        return [check(gate, rows, verdict) for gate in self.gates]

    def end(self, name: str, rows: Rows, verdict: Verdict) -> int:
        """Check, tell, write; the exit code: 3 where one has failed."""
        checked = self.check(rows, verdict)
        failed = [done for done in checked if done.failed]
        for done in failed:
            click.echo(f"gate failed: {done.why}", err=True)
            if os.environ.get("GITHUB_ACTIONS") == "true":
                click.echo(annotation(name, done), err=True)
        if self.junit is not None:
            self.junit.write_bytes(junit(name, checked))
        return FAILED if failed else 0

    def end_run(self, path: str | Path) -> int:
        """The same for a run on disk."""
        from .judge import judge
        from .rows import read_rows

        rows = read_rows(path)
        return self.end(Path(path).name, rows, judge(rows))


def gates_of(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--fail-if`, `--gate` and `--junit`; it is called with `gates=Gates(…)`."""

    @click.option("--fail-if", multiple=True, metavar="EXPR", help="Exit 3 where this is true.")
    @click.option(
        "--gate", type=click.Path(exists=True, path_type=Path), metavar="TOML",
        help="A file whose fail_if is a list of such expressions.",
    )  # fmt: skip
    @click.option(
        "--junit",
        type=click.Path(path_type=Path),
        help="Write what came of the gates as JUnit XML.",
    )
    @functools.wraps(command)
    def with_gates(
        *args: Any, fail_if: tuple[str, ...], gate: Path | None, junit: Path | None, **more: Any
    ) -> Any:
        texts = [*fail_if, *(gate_file(gate) if gate else ())]
        return command(*args, gates=Gates(parsed(texts), junit), **more)

    return with_gates


def parsed(texts: list[str]) -> tuple[Gate, ...]:
    """The gates that texts say; a wrong one is a usage error."""
    if not texts:
        return ()
    from .gate import GateError, parse

    try:
        return tuple(parse(text) for text in texts)
    except GateError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--fail-if") from wrong


def gate_file(path: Path) -> list[str]:
    """The expressions of a file of gates."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise GateFileError(f'{path}: is not TOML ({wrong}); write fail_if = ["…"].') from wrong
    texts = told.get("fail_if")
    if set(told) != {"fail_if"} or not isinstance(texts, list):
        raise GateFileError(f"{path}: holds no list fail_if (and nothing else); write one.")
    if not all(isinstance(text, str) for text in texts):
        raise GateFileError(f'{path}: what is in fail_if must be text, such as "errors > 1%".')
    return texts


def junit(name: str, checked: list[Checked]) -> bytes:
    """JUnit XML: one test case a gate."""
    failures = str(sum(done.failed for done in checked))
    suite = ElementTree.Element(
        "testsuite", name="wiretape", tests=str(len(checked)), failures=failures, errors="0"
    )
    for done in checked:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=_printable(done.gate))
        if done.failed:
            ElementTree.SubElement(case, "failure", message=_printable(done.why))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def annotation(name: str, done: Checked) -> str:
    """A failed gate as GitHub's workflow command."""
    said = done.why.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error title=wiretape gate, {name.replace(',', ' ').replace(':', ' ')}::{said}"
