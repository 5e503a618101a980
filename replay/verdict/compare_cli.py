"""`wiretape compare`: two tapes or runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from .gating import Gates, gates_against_baseline


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Print the comparison as JSON.")
@gates_against_baseline
def compare(a: Path, b: Path, as_json_: bool, gates: Gates) -> None:
    """Compare two tapes or runs, B against A. Gates are checked on B; `baseline` in them is A.

    \b
    Example:
      wiretape compare yesterday.tape today.tape --fail-if 'p99(*) > 1.2 * baseline'
    """
    import json

    from .compare import as_text
    from .compare import compare as side_by_side
    from .rows import read_rows

    before, after = read_rows(a), read_rows(b)
    told = side_by_side(before, after)
    click.echo(json.dumps(told.as_dict()) if as_json_ else as_text(told))
    if gates and (code := gates.end_run(b, a, before)):
        raise click.exceptions.Exit(code)
