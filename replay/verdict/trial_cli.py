"""`wiretape trial`: what pairs of runs come to."""

from __future__ import annotations

from pathlib import Path

import click

from capture.options import options_of
from capture.written import apart

from .gating import FAILED, UNFAITHFUL
from .trial_options import TrialOptions


@click.command()
@click.argument("tape", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@options_of(TrialOptions)
def trial(tape: Path, as_json: bool, options: TrialOptions) -> None:
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
    apart({"--keep": options.keep}, [tape])
    told = carry_out(tape, options, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(told.as_dict()) if as_json else as_text(told))
    if told.word == "FAIL":
        raise click.exceptions.Exit(FAILED)
    if not told.pairs:
        raise click.exceptions.Exit(UNFAITHFUL)
