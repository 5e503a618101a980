"""Gates at the command line: where they come from, what they tell, how a failed one ends.

`--fail-if EXPR` and `--gate FILE` (TOML: `fail_if = ["p99(*) > 300ms", "errors > 1%"]`) mean the
same. Every gate is parsed before anything is sent; a wrong one is a usage error with a caret. What
came of them is told on stderr, and in the files that are asked for (gate_files.py).
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capture.errors import WiretapeError
from capture.written import Written, write_text

if TYPE_CHECKING:
    from .drift import Drift
    from .gate import Checked, Gate
    from .judge import Verdict
    from .measures import Evidence
    from .rows import Rows

FAILED = 3
UNFAITHFUL = 4
OUTPUTS = ("junit", "summary", "gates_json")


class GateFileError(WiretapeError):
    """A file of gates that cannot be used."""


@dataclass(frozen=True)
class Gates:
    """The gates of one command, parsed, and where to write what came of them."""

    gates: tuple[Gate, ...] = ()
    junit: Path | None = None
    summary: Path | None = None
    gates_json: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.gates)

    @property
    def outputs(self) -> dict[str, Path | None]:
        """What is written, by option."""
        return {f"--{name.replace('_', '-')}": getattr(self, name) for name in OUTPUTS}

    @property
    def ask_drift(self) -> bool:
        """Whether a gate needs to know in what the environments differ."""
        return any(gate.asks("drift") for gate in self.gates)

    def check(
        self, rows: Rows, verdict: Verdict, evidence: Evidence | None = None
    ) -> list[Checked]:
        """What came of each."""
        from .gate import check

        return [check(gate, rows, verdict, evidence) for gate in self.gates]

    def end(self, name: str, rows: Rows, verdict: Verdict, evidence: Evidence | None = None) -> int:
        """Check, tell, write; the exit code: 3 where one has failed."""
        return self.tell(name, self.check(rows, verdict, evidence), verdict)

    def tell(self, name: str, checked: list[Checked], verdict: Verdict) -> int:
        """Tell and write what came of gates that are checked already; the exit code."""
        from capture.describe import printable

        from .gate_files import annotation, as_json, as_junit, as_markdown

        failed = [done for done in checked if done.failed]
        for done in failed:
            click.echo(f"gate failed: {printable(done.why)}", err=True)
            if os.environ.get("GITHUB_ACTIONS") == "true":
                click.echo(annotation(name, done), err=True)
        if self.junit is not None:
            write_text(self.junit, as_junit(name, checked).decode())
        if self.gates_json is not None:
            write_text(self.gates_json, as_json(name, checked, verdict))
        if self.summary is not None:
            write_text(self.summary, as_markdown(name, checked, verdict), "a")
        return FAILED if failed else 0

    def end_run(
        self, path: str | Path, tape: str | Path | None = None, baseline: Rows | None = None
    ) -> int:
        """The same for a run on disk; drift is that from the tape (or other run) to the run."""
        from .judge import judge
        from .measures import Evidence
        from .rows import read_rows

        rows = read_rows(path)
        drift = _drift_between(tape, path) if tape is not None and self.ask_drift else None
        return self.end(Path(path).name, rows, judge(rows), Evidence(baseline, drift))


def _drift_between(a: str | Path, b: str | Path) -> Drift | None:
    """In what two tapes or runs differ; None where one of them kept no heads of answers."""
    from .drift import drift
    from .portrait import portrait_of

    try:
        return drift(portrait_of(a), portrait_of(b))
    except WiretapeError:
        return None


def gates_of(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--fail-if` and its like; it is called with `gates=Gates(…)`."""
    return _gates_of(command, ("recorded",))


def gates_against_baseline(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that has a run to compare with: gates may say `baseline`."""
    return _gates_of(command, ("recorded", "baseline"))


def _gates_of(command: Callable[..., Any], sources: tuple[str, ...]) -> Callable[..., Any]:
    path = Written()

    @click.option("--fail-if", multiple=True, metavar="EXPR", help="Exit 3 where this is true.")
    @click.option(
        "--gate", type=click.Path(exists=True, path_type=Path), metavar="TOML",
        help="A file whose fail_if is a list of such expressions.",
    )  # fmt: skip
    @click.option("--junit", type=path, help="Write what came of the gates as JUnit XML.")
    @click.option("--summary", type=path, help="Append what came of the gates as Markdown.")
    @click.option("--gates-json", type=path, help="Write what came of the gates as JSON.")
    @functools.wraps(command)
    def with_gates(*args: Any, fail_if: tuple[str, ...], gate: Path | None, **more: Any) -> Any:
        outputs = {name: more.pop(name) for name in OUTPUTS}
        in_file = gate_file(gate) if gate else []
        asked = [f"--{name.replace('_', '-')}" for name, wanted in outputs.items() if wanted]
        if asked and not (fail_if or in_file):
            raise click.UsageError(
                f"{asked[0]} tells what came of gates: give --fail-if or --gate, too."
            )
        gates = parsed(fail_if, sources) + parsed(in_file, sources, f"{gate}: fail_if")
        return command(*args, gates=Gates(gates, **outputs), **more)

    return with_gates


def parsed(
    texts: Sequence[str], sources: Sequence[str] = ("recorded",), where: str = "--fail-if"
) -> tuple[Gate, ...]:
    """The gates that texts say; a wrong one is a usage error that names where it is."""
    if not texts:
        return ()
    from .gate import GateError, parse

    try:
        return tuple(parse(text, sources=sources) for text in texts)
    except GateError as wrong:
        raise click.BadParameter(str(wrong), param_hint=where) from wrong


def gate_file(path: Path) -> list[str]:
    """The expressions of a file of gates."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise GateFileError(f'{path}: is not TOML ({wrong}); write fail_if = ["…"].') from wrong
    texts = told.get("fail_if")
    if set(told) != {"fail_if"} or not isinstance(texts, list):
        raise GateFileError(f"{path}: holds no list fail_if (and nothing else); write one.")
    if not texts:
        raise GateFileError(f"{path}: fail_if is empty, so nothing could fail; write a gate.")
    if not all(isinstance(text, str) for text in texts):
        raise GateFileError(f'{path}: what is in fail_if must be text, such as "errors > 1%".')
    return texts
