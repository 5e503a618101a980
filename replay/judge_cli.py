"""`wiretape report`: a run as a page, as Markdown, as JSON; exit 3 where a gate has failed."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--tape",
    type=click.Path(path_type=Path),
    help="The tape that was replayed, for what became of the traffic it saw.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the offline page here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write Markdown here.")
@click.option("--fail-if", multiple=True, metavar="EXPR", help="Exit 3 where this gate is true.")
@click.option("--json", "as_json_", is_flag=True, help="Print the report as JSON.")
def report(
    run: Path,
    tape: Path | None,
    html: Path | None,
    markdown: Path | None,
    fail_if: tuple[str, ...],
    as_json_: bool,
) -> None:
    """Say what broke in a run, by how much, and what the test could not validate.

    \b
    Example:
      wiretape report run.tape --tape theirs.tape --html report.html
      wiretape report run.tape --fail-if 'p99(GET /search) > 1.2 * recorded'
    """
    from capture.ledger import Ledger
    from capture.tape import Tape

    from .fidelity import in_a_line
    from .gate import GateError, check, parse
    from .report import as_html, as_json, as_markdown, report_of
    from .rows import read_rows

    try:
        gates = [parse(text) for text in fail_if]
    except GateError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--fail-if") from wrong
    ledger = Ledger()
    for path in (run, *([tape] if tape else [])):
        ledger.add(Tape.open(path).ledger)
    told = report_of(run.name, read_rows(run), ledger)
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
    failed = [done for gate in gates if (done := check(gate, told.rows, told.verdict)).failed]
    for done in failed:
        click.echo(f"gate failed: {done.why}", err=True)
    if failed:
        raise click.exceptions.Exit(3)
