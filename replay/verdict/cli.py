"""`wiretape report`, `compare` and `trial`: what a run, two runs and pairs of runs come to."""

from __future__ import annotations

from pathlib import Path

import click

from capture.options import options_of

from .gating import FAILED, UNFAITHFUL, Gates, gates_of
from .trial_options import TrialOptions


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--tape",
    type=click.Path(path_type=Path),
    help="The tape that was replayed, for what became of the traffic it saw.",
)
@click.option(
    "--watched",
    type=click.Path(exists=True, path_type=Path),
    metavar="CSV",
    help="What the target used meanwhile: seconds and one metric a column; leaks are found.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the offline page here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write Markdown here.")
@click.option("--json", "as_json_", is_flag=True, help="Print the report as JSON.")
@gates_of
def report(
    run: Path,
    tape: Path | None,
    watched: Path | None,
    html: Path | None,
    markdown: Path | None,
    as_json_: bool,
    gates: Gates,
) -> None:
    """Say what broke in a run, by how much, and what the test could not validate.

    \b
    Example:
      wiretape report run.tape --tape theirs.tape --html report.html
      wiretape report run.tape --fail-if 'p99(GET /search) > 1.2 * recorded'
    """
    from capture.errors import ReplayError
    from capture.ledger import Ledger
    from capture.tape import Tape

    from .fidelity import in_a_line
    from .leaks import leaks, read_samples
    from .report import as_html, as_json, as_markdown, report_of
    from .rows import read_rows

    ledger = Ledger()
    for path in (run, *([tape] if tape else [])):
        with Tape.open(path) as opened:
            ledger.add(opened.ledger)
            if path == run and opened.header.kind != "run":
                raise ReplayError(f"{run}: is a recording, not a run; replay it, or compare it.")
    rows = read_rows(run)
    evidence = leaks(read_samples(watched), rows) if watched else ()
    told = report_of(run.name, rows, ledger, evidence)
    if html:
        html.write_text(as_html(told), encoding="utf-8")
    if markdown:
        markdown.write_text(as_markdown(told), encoding="utf-8")
    if as_json_:
        click.echo(as_json(told))
    else:
        verdict = told.verdict
        click.echo(f"{verdict.word}: {verdict.sentence}")
        click.echo(f"Fidelity: {in_a_line(verdict.fidelity)}")
    for written in filter(None, (html, markdown)):
        click.echo(f"wrote {written}", err=True)
    if code := gates.end(run.name, told.rows, told.verdict):
        raise click.exceptions.Exit(code)


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print the comparison as JSON.")
@gates_of
def compare(a: Path, b: Path, as_json_: bool, gates: Gates) -> None:
    """Compare two tapes or runs, B against A. Gates are checked on B.

    \b
    Example:
      wiretape compare yesterday.tape today.tape
    """
    import json

    from .compare import as_text
    from .compare import compare as side_by_side
    from .judge import judge
    from .rows import read_rows

    before, after = read_rows(a), read_rows(b)
    told = side_by_side(before, after)
    click.echo(json.dumps(told.as_dict()) if as_json_ else as_text(told))
    if gates and (code := gates.end(b.name, after, judge(after))):
        raise click.exceptions.Exit(code)


@click.command()
@click.argument("tape", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print the result as JSON.")
@options_of(TrialOptions)
def trial(tape: Path, as_json_: bool, options: TrialOptions) -> None:
    """Judge a candidate against a baseline by pairs of runs of one tape.

    Exit 3 on FAIL, 4 where no pair was faithful enough to its plan to be judged.

    \b
    Example:
      wiretape trial theirs.tape --baseline http://127.0.0.1:8080 --candidate http://127.0.0.1:8081
    """
    import json

    from .trial import as_text
    from .trial import trial as carry_out

    if not options.baseline or not options.candidate:
        raise click.UsageError("Say what to compare: --baseline URL --candidate URL.")
    told = carry_out(tape, options, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(told.as_dict()) if as_json_ else as_text(told))
    if told.word == "FAIL":
        raise click.exceptions.Exit(FAILED)
    if not told.pairs:
        raise click.exceptions.Exit(UNFAITHFUL)
