"""The commands `wiretape replay` and `wiretape plan`: thin wrappers that print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capture.options import options_of

from .options import PlanOptions, ReplayOptions
from .verdict.gating import UNFAITHFUL, Gates, gates_of

if TYPE_CHECKING:
    from .outcome import Summary
    from .run import Progress

ABORTED = 3


@click.command()
@click.argument("tape", type=click.Path(exists=True))
@click.option("-o", "--output", default="run.tape", show_default=True, help="The run to write.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: progress events and summary.")
@click.option(
    "--require-fidelity", type=click.FloatRange(0, 100), metavar="S",
    help="Exit 4 where the run was not as faithful to its plan (95, say).",
)  # fmt: skip
@gates_of
@options_of(ReplayOptions)
def replay(
    tape: str,
    output: str,
    as_json: bool,
    require_fidelity: float | None,
    options: ReplayOptions,
    gates: Gates,
) -> int:
    """Send TAPE to a target, on time, and record what happened as a run.

    \b
    Example:
      wiretape replay theirs.tape --target http://127.0.0.1:8080 --speed 2 -o run.tape
    """
    from .run import replay as carry_out

    if not options.target:
        raise click.UsageError("Say where to send: --target http://HOST:PORT.")
    if Path(output).exists() and Path(output).samefile(tape):
        raise click.UsageError("The run would be written over its tape: give another -o.")
    if require_fidelity is not None and options.at_max:
        raise click.UsageError(
            "--require-fidelity needs a clock to keep to: leave out --speed max."
        )
    tell = _tell_json if as_json else _tell
    summary = carry_out(tape, options, output, tell)
    click.echo(json.dumps({"summary": summary.as_dict()}) if as_json else as_text(summary))
    if summary.aborted:
        click.echo(f"Aborted, {summary.aborted}.", err=True)
    failed = gates.end_run(output, tape) if gates else 0
    return failed or (ABORTED if summary.aborted else _fidelity_code(summary, require_fidelity))


def _fidelity_code(summary: Summary, required: float | None) -> int:
    if required is None or summary.fidelity is None or summary.fidelity["s"] >= required:
        return 0
    found = summary.fidelity["s"]
    click.echo(f"Fidelity S is {found:.1f}, below the {required:g} that was required.", err=True)
    return UNFAITHFUL


@click.command()
@click.argument("tape", type=click.Path(exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "page", metavar="FILE", help="Write its pictures as one offline page.")
@options_of(PlanOptions)
def plan(tape: str, as_json: bool, page: str | None, options: PlanOptions) -> None:
    """Show what a replay of TAPE would send, without sending a byte.

    \b
    Example:
      wiretape plan theirs.tape --speed 4 --only 'GET /api/*'
      wiretape plan theirs.tape --scale 10 --html plan.html
    """
    from capture.tape import Tape

    from .plan_figures import figures_of
    from .preview import preview_of

    with Tape.open(tape) as source:
        figures = figures_of(source, options)
        if page:
            from .plan_page import write_page

            write_page(page, source, options, figures)
            click.echo(f"wrote {page}", err=True)
    found = preview_of(figures)
    click.echo(json.dumps(found.as_dict()) if as_json else found.as_text())


def _tell(progress: Progress) -> None:
    click.echo(
        f"{progress.elapsed_s:6.1f} s  {progress.sent:,} of {progress.planned:,} sent, "
        f"{progress.in_flight:,} in flight, {progress.errors:,} not answered, "
        f"lateness p99 {progress.lateness_p99_ns / 1e6:.3f} ms",
        err=True,
    )


def _tell_json(progress: Progress) -> None:
    from dataclasses import asdict

    click.echo(json.dumps({"progress": asdict(progress)}), err=True)


def as_text(summary: Summary) -> str:
    """The end of a replay, for a person."""
    late, noise = summary.lateness, summary.noise_floor
    lines = [
        f"{summary.sent:,} of {summary.planned:,} requests sent in {summary.span_ns / 1e9:.3f} s, "
        f"{summary.answered:,} answered",
        f"rate      {summary.rate:,.1f}/s of {summary.planned_rate:,.1f}/s planned",
        "lateness  " + ", ".join(f"{name} {ns / 1e6:.3f} ms" for name, ns in late.items()),
    ]
    if noise:
        lines.append(
            f"          this machine's noise floor: p50 {noise['p50'] / 1e6:.3f} ms, "
            f"p99 {noise['p99'] / 1e6:.3f} ms"
        )
    if summary.fidelity is not None:
        found = summary.fidelity
        lines.append(f"fidelity  S {found['s']:.1f}, {found['verdict']}")
    lines.append("outcomes  " + _counts(summary.outcomes))
    lines.append("statuses  " + _counts(summary.statuses))
    lines.append(f"spare connections used {summary.spare:,} times")
    if summary.rewritten:
        lines.append("rewritten " + _counts(summary.rewritten))
    lines.append("")
    lines.append(f"{'endpoint':<40} {'requests':>9} {'recorded p50/p99 ms':>22} {'replayed':>18}")
    lines += [
        f"{row['endpoint'][:40]:<40} {row['requests']:>9,} "
        f"{_pair(row['recorded']):>22} {_pair(row['response']):>18}"
        for row in summary.endpoints[:20]
    ]
    if not summary.answered:
        lines.append("Warning: nothing was answered; look at the outcomes above and at the target.")
    lines += [f"Warning: {warning}" for warning in summary.warnings]
    return "\n".join([*lines, f"Run: {summary.run}"])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.lower()} {count:,}" for name, count in counts.items()) or "none"


def _pair(times: dict[str, int]) -> str:
    if not times["p99"]:  # nothing came back
        return "–"
    return f"{times['p50'] / 1e6:.2f} / {times['p99'] / 1e6:.2f}"
