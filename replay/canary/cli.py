"""The command `wiretape canary`: a thin wrapper that prints."""

from __future__ import annotations

from pathlib import Path

import click

from capture.options import options_of
from capture.written import apart

from ..verdict.gating import FAILED, UNFAITHFUL
from .options import CanaryOptions
from .state import PROMOTED, ROLLED_BACK

CODES = {PROMOTED: 0, ROLLED_BACK: FAILED}


@click.command()
@click.argument("tape", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the state and its log as JSON.")
@options_of(CanaryOptions)
def canary(tape: Path, as_json: bool, options: CanaryOptions) -> int:
    """Move users from a baseline to a candidate step by step, as long as nothing gets worse.

    Exit 0 where the candidate was promoted, 3 where it was rolled back, 4 where the runs were not
    faithful enough to their plan to judge it.

    \b
    Example:
      wiretape canary theirs.tape --baseline http://127.0.0.1:8080 \\
        --candidate http://127.0.0.1:8081 --steps 1,5,25,50,100 --step-for 60s --state canary.json
    """
    import json

    from .canary import as_text
    from .canary import canary as carry_out

    _check(options)
    apart({"--state": options.state}, [tape])
    state = carry_out(tape, options, lambda line: click.echo(line, err=True))
    click.echo(json.dumps(state.as_dict()) if as_json else as_text(state))
    return CODES.get(state.word, UNFAITHFUL)


def _check(options: CanaryOptions) -> None:
    if not options.baseline or not options.candidate:
        raise click.UsageError("Say between which: --baseline URL --candidate URL.")
    if options.at_max:
        raise click.UsageError("A canary needs a clock to keep to: leave out --speed max.")
    if options.duration or options.length or options.soak or options.loop > 1:
        raise click.UsageError(
            "--step-for says how long to send: leave out --duration, --for, --loop and --soak."
        )
    if options.step_for < 20 * options.block:
        raise click.UsageError("A step holds at least 20 blocks: a longer --step-for, or --block.")
