"""`wiretape report`: what a run comes to, on a page, as Markdown or as JSON."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capture.options import option, options_of
from capture.written import FOLDER, Written, apart, write_text

from .gating import Gates, gates_of

if TYPE_CHECKING:
    from capture.tape import Tape

    from .drift import Drift
    from .history import History
    from .report import Report


@dataclass(frozen=True)
class ReportOptions:
    """What a report is made from, and what it is written as."""

    tape: str = option(
        "", metavar="TAPE", help="The tape that was replayed: its ledger, its requests as examples."
    )
    watched: str = option(
        "", metavar="CSV",
        help="What the target used meanwhile: seconds and one metric a column; leaks are found.",
    )  # fmt: skip
    drift: str = option("", metavar="JSON", help="What `wiretape drift --json` told.")
    history: str = option(
        "", metavar="DIR", help="Keep this run's figures here, and find changes.",
        type=Written(FOLDER, str),
    )  # fmt: skip
    html: str = option(
        "", metavar="FILE", help="Write the offline page here.", type=Written(path_type=str)
    )
    markdown: str = option(
        "", metavar="FILE", help="Write Markdown here.", type=Written(path_type=str)
    )
    json: bool = option(False, help="Print the report as JSON.")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@gates_of
@options_of(ReportOptions)
def report(run: Path, options: ReportOptions, gates: Gates) -> None:
    """Say what broke in a run, by how much, and what the test could not validate.

    \b
    Example:
      wiretape report run.tape --tape theirs.tape --html report.html
      wiretape report run.tape --fail-if 'p99(GET /search) > 1.2 * recorded'
    """
    from .fidelity import in_a_line
    from .measures import Evidence
    from .report import as_html, as_json, as_markdown

    outputs = {"--html": options.html, "--markdown": options.markdown, **gates.outputs}
    apart(outputs, [run, options.tape, options.watched, options.drift])
    told = _made(run, options)
    if options.html:
        write_text(options.html, as_html(told))
    if options.markdown:
        write_text(options.markdown, as_markdown(told))
    if options.json:
        click.echo(as_json(told))
    else:
        verdict = told.verdict
        click.echo(f"{verdict.word}: {verdict.sentence}")
        click.echo(f"Fidelity: {in_a_line(verdict.fidelity)}")
    if not told.rows.ended:
        click.echo(f"Note: {run} has no end: what its writer still had is not in it.", err=True)
    for written in filter(None, (options.html, options.markdown)):
        click.echo(f"wrote {written}", err=True)
    known = Evidence(drift=told.drift, watched=bool(options.watched))
    if code := gates.end(run.name, told.rows, told.verdict, known):
        raise click.exceptions.Exit(code)


def _made(run: Path, options: ReportOptions) -> Report:
    """The report that the options ask for."""
    from capture.describe import printable
    from capture.errors import ReplayError
    from capture.ledger import Ledger
    from capture.tape import Tape

    from .drift import finding_of
    from .leaks import leaks, read_samples
    from .report import report_of
    from .rows import read_rows

    with ExitStack() as opened:
        ran = opened.enter_context(Tape.open(run))
        if ran.header.kind != "run":
            raise ReplayError(f"{run}: is a recording, not a run; replay it, or compare it.")
        tape = opened.enter_context(Tape.open(options.tape)) if options.tape else None
        if tape is not None and ran.header.source not in ("", tape.header.tape_id):
            raise ReplayError(
                f"{options.tape}: is not the tape that {run} replayed; name that one."
            )
        ledger = Ledger()
        for each in filter(None, (ran, tape)):
            ledger.add(each.ledger)
        rows = read_rows(run)
        evidence = leaks(read_samples(Path(options.watched)), rows) if options.watched else ()
        drifted = _drift(options, ran, tape)
        evidence += finding_of(drifted) if drifted else ()
        told = report_of(printable(run.name), rows, ledger, evidence, tape=tape, drift=drifted)
        return replace(told, history=_history(options, ran.header.tape_id, told))


def _drift(options: ReportOptions, ran: Tape, tape: Tape | None) -> Drift | None:
    """Told by a file; else read from the heads that both run and tape keep, if they do."""
    from .drift import drift, read_drift
    from .portrait import Portrait, read_heads

    if options.drift:
        return read_drift(Path(options.drift))
    if tape is None:
        return None
    recorded, replayed = Portrait("recorded"), Portrait("replayed")
    read_heads(ran, replayed)
    if not replayed.places:
        return None
    read_heads(tape, recorded)
    return drift(recorded, replayed) if recorded.places else None


def _history(options: ReportOptions, run_id: str, told: Report) -> History | None:
    if not options.history:
        return None
    from .history import keep, past_of, read_history

    keep(Path(options.history), run_id, past_of(told.name, told.rows, told.verdict))
    return read_history(Path(options.history))
