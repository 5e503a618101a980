"""`wiretape compare`: two tapes or runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from capture.options import option, options_of
from capture.written import apart

from .gating import UNFAITHFUL, Gates, gates_against_baseline


@dataclass(frozen=True)
class CompareOptions:
    """How two files are compared."""

    noise: tuple[str, ...] = option(
        (), metavar="RUN", help="Another run of A's target: what differs between them is noise."
    )
    ignore: tuple[str, ...] = option(
        (), metavar="PATH", help="Do not look at this part of answers: '$.timestamp', '$..id'."
    )
    json: bool = option(False, help="Print the comparison as JSON.")


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@gates_against_baseline
@options_of(CompareOptions)
def compare(a: Path, b: Path, options: CompareOptions, gates: Gates) -> None:
    """Compare two tapes or runs, B against A. Gates are checked on B; `baseline` in them is A.

    Exit 3 where a gate failed, 4 where the two cannot be compared: the comparison is INVALID.

    \b
    Example:
      wiretape compare yesterday.tape today.tape --fail-if 'p99(*) > 1.2 * baseline'
      wiretape compare a.tape b.tape --noise a-again.tape --ignore '$.timestamp'
    """
    import json
    from dataclasses import replace

    from .answers import answers
    from .compare import as_text
    from .compare import compare as side_by_side
    from .responses import unreadable
    from .rows import read_rows

    apart(gates.outputs, [a, b, *options.noise])
    for why in filter(None, map(unreadable, options.ignore)):
        raise click.BadParameter(why, param_hint="--ignore")
    rows = read_rows(a), read_rows(b)
    for path, each in zip((a, b), rows, strict=True):
        if not each.ended:
            click.echo(f"Note: {path} has no end: what its writer had is not in it.", err=True)
    noise = tuple(Path(each) for each in options.noise)
    said = answers(a, b, rows, noise, options.ignore)
    told = replace(side_by_side(*rows), responses=said)
    click.echo(json.dumps(told.as_dict()) if options.json else as_text(told))
    if gates and (code := gates.end_run(b, a, rows[0])):
        raise click.exceptions.Exit(code)
    if told.refused:
        raise click.exceptions.Exit(UNFAITHFUL)
