"""The commands `wiretape replay` and `wiretape plan`: thin wrappers that print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capture.options import Factor, Sectioned, options_of
from capture.written import FOLDER, KEPT, Written, apart

from .observe.options import ObserveOptions
from .options import PlanOptions, ReplayOptions
from .verdict.gating import UNFAITHFUL, Gates, gates_of

if TYPE_CHECKING:
    from .outcome import Summary

ABORTED = 3


@click.command(cls=Sectioned)
@click.argument("tape", type=click.Path(exists=True))
@click.option(
    "-o", "--output", default="run.tape", show_default=True, help="The run to write.",
    metavar="RUN", type=Written(KEPT, str),
)  # fmt: skip
@click.option(
    "--hgrm",
    default="",
    metavar="DIR",
    type=Written(FOLDER, str),
    help="Write the times of each endpoint here, as HdrHistogram does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: progress events and summary.")
@click.option(
    "--require-fidelity", type=Factor(0, 100), metavar="S",
    help="Exit 4 where the run was not as faithful to its plan (95, say).",
)  # fmt: skip
@gates_of
@options_of(ObserveOptions, into="observing")
@options_of(ReplayOptions)
def replay(
    tape: str,
    output: str,
    hgrm: str,
    as_json: bool,
    require_fidelity: float | None,
    options: ReplayOptions,
    observing: ObserveOptions,
    gates: Gates,
) -> int:
    """Send TAPE to a target, on time, and record what happened as a run.

    \b
    Example:
      wiretape replay theirs.tape --target http://127.0.0.1:8080 --speed 2 -o run.tape
    """
    from capture.errors import ReplayError
    from capture.exchange import Outcome

    from .observe.observers import observers
    from .run import replay as carry_out
    from .telling import Teller, as_text
    from .verdict.silence import refuse_silence
    from .workers.crew import ending_alike

    if not options.target:
        raise click.UsageError("Say where to send: --target http://HOST:PORT.")
    apart({"-o": output, "--hgrm": hgrm, **gates.outputs}, [tape])
    if require_fidelity is not None and options.at_max:
        raise click.UsageError(
            "--require-fidelity needs a clock to keep to: leave out --speed max."
        )
    teller = Teller(as_json)
    try:
        with observers(observing, Path(tape).name, teller.note) as looking, ending_alike():
            summary = carry_out(
                tape, options, output, teller, observers=looking.calls, on_note=teller.note,
                histograms=hgrm or None,
            )  # fmt: skip
    finally:
        teller.end()
    click.echo(json.dumps({"summary": summary.as_dict()}) if as_json else as_text(summary))
    if summary.aborted:
        click.echo(f"Aborted, {summary.aborted}.", err=True)
    if gates and (failed := gates.end_run(output, tape)):
        return failed
    if summary.aborted:
        return ABORTED
    refuse_silence({Outcome[name]: count for name, count in summary.outcomes.items()})
    if not summary.sent and not summary.interrupted:
        raise ReplayError(f"No request is known to be sent: {_why_nothing(summary)}.")
    return _fidelity_code(summary, require_fidelity)


def _why_nothing(summary: Summary) -> str:
    if summary.warnings:
        return "its warnings say why"
    from .rewrite import DROPPED

    if summary.rewritten.get(DROPPED):
        return "the hook left out every request"
    return "the run ended before its first request was due"


def _fidelity_code(summary: Summary, required: float | None) -> int:
    if required is None or summary.fidelity is None or summary.fidelity["s"] >= required:
        return 0
    found = summary.fidelity["s"]
    click.echo(f"Fidelity S is {found:.1f}, below the {required:g} that was required.", err=True)
    return UNFAITHFUL


@click.command(cls=Sectioned)
@click.argument("tape", type=click.Path(exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html", "page", metavar="FILE", type=Written(path_type=str),
    help="Write its pictures as one offline page.",
)  # fmt: skip
@options_of(PlanOptions)
def plan(tape: str, as_json: bool, page: str | None, options: PlanOptions) -> None:
    """Show what a replay of TAPE would send, without sending a byte.

    \b
    Example:
      wiretape plan theirs.tape --speed 4 --only 'GET /api/*'
      wiretape plan theirs.tape --scale 10 --html plan.html
    """
    from capture.tape import Tape

    from .planning.figures import figures_of
    from .planning.foresight import NothingToSend
    from .planning.preview import preview_of
    from .safety import damage, refuse_run

    apart({"--html": page}, [tape])
    with Tape.open(tape) as source:
        refuse_run(source, tape)
        figures = figures_of(source, options)
        if not figures.requests:
            damaged = bool(source.losses)
            raise NothingToSend(tape, source.exchange_count, options, damaged)
        warnings = damage([str(loss) for loss in source.losses], source.whole)
        if page:
            from .planning.page import write_page

            write_page(page, source, options, figures)
            click.echo(f"wrote {page}", err=True)
    found = preview_of(figures, options, warnings)
    click.echo(json.dumps(found.as_dict()) if as_json else found.as_text())
