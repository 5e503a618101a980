"""The command `wiretape capacity`: a thin wrapper that prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capture.options import options_of
from capture.written import Written, apart, write_text

from ..verdict.gating import FAILED, UNFAITHFUL
from .options import CapacityOptions

if TYPE_CHECKING:
    from ..verdict.gate import Gate

NOT_MEASURED = ("leaks", "drift")


@click.command()
@click.argument("tape", type=click.Path(exists=True, path_type=Path))
@click.option("--html", type=Written(), metavar="FILE", help="Write the offline page here.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer and all probes as JSON.")
@options_of(CapacityOptions)
def capacity(tape: Path, html: Path | None, as_json: bool, options: CapacityOptions) -> int:
    """Find the largest scale of TAPE at which a target still does what it shall.

    Exit 3 where that is below --require, or no scale holds; 4 where this generator could not go as
    far as the target could.

    \b
    Example:
      wiretape capacity theirs.tape --target http://127.0.0.1:8080 \\
        --slo 'p99 < 300ms and errors < 1%' --html capacity.html
    """
    import json

    from .capacity import as_text
    from .capacity import capacity as search
    from .page import as_html
    from .search import GENERATOR

    apart({"--html": html}, [tape])
    objective = _objective(tape, options)
    told = search(tape, options, objective, lambda line: click.echo(line, err=True))
    if html:
        write_text(html, as_html(tape.name, told))
        click.echo(f"wrote {html}", err=True)
    click.echo(json.dumps(told.as_dict()) if as_json else as_text(told))
    enough = bool(told.scale) and told.scale >= options.require
    if told.bound_by == GENERATOR and not (enough and options.require):
        return UNFAITHFUL
    return 0 if enough else FAILED


def _objective(tape: Path, options: CapacityOptions) -> Gate:
    from capture.selector import named

    from ..verdict.gate import PLAIN, GateError, parse, patterns

    if len(options.target) != 1:
        raise click.UsageError("Say whose capacity: --target http://HOST:PORT, once.")
    if not options.slo:
        raise click.UsageError("Say what must hold: --slo 'p99 < 300ms and errors < 1%'.")
    if options.at_max or options.start_at or options.resume:
        raise click.UsageError(
            "A search makes many runs by the clock: leave out --speed max, --start-at and --resume."
        )
    if not options.lowest <= options.scale <= options.highest:
        raise click.UsageError("--scale lies between --lowest and --highest.")
    try:
        objective = parse(options.slo, [each for each in PLAIN if each not in NOT_MEASURED])
    except GateError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--slo") from wrong
    names = _endpoints(tape)
    for pattern in patterns(objective):
        if not any(named(each, pattern) for each in names):
            raise click.BadParameter(
                f"{tape} has no endpoint {pattern!r}: what is never measured never holds.",
                param_hint="--slo",
            )
    return objective


def _endpoints(tape: Path) -> set[str]:
    from capture.tape import Tape

    names: set[str] = set()
    with Tape.open(tape) as read:
        for block in read.columns(("endpoint",)):
            endpoint: Any = block["endpoint"]
            names.update(endpoint.values)
    return names
