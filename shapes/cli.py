"""The command `wiretape shapes`: describe, save, compare, fidelity. Thin; the work is elsewhere."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capture.options import DURATION
from capture.written import Written, apart, write_text

if TYPE_CHECKING:
    from .score import Fidelity


class _DescribeByDefault(click.Group):
    """A group whose first argument is a tape where it is no subcommand's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        asked_help = bool({"-h", "--help"} & set(args))
        if words and words[0] not in self.commands and not (asked_help and len(words) == 0):
            args = ["describe", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DescribeByDefault, context_settings={"help_option_names": ["-h", "--help"]})
def shapes() -> None:
    """Describe traffic: bursts over all timescales, sizes, mix, sessions, concurrency.

    \b
    Example:
      wiretape shapes shop.tape
      wiretape shapes shop.tape --json
      wiretape shapes shop.tape --html shape.html
    """


@shapes.command()
@click.argument("tape")
@click.argument("others", nargs=-1, metavar="")
@click.option("--json", "as_json", is_flag=True, help="Print the shape as JSON.")
@click.option(
    "--html", "page", metavar="FILE", type=Written(path_type=str),
    help="Write the pictures as one offline page.",
)  # fmt: skip
def describe(tape: str, others: tuple[str, ...], as_json: bool, page: str | None) -> None:
    """Describe a tape, a run or a saved shape (the default: its name may be left out).

    \b
    Example:
      wiretape shapes describe shop.tape --html shape.html
    """
    if others:
        raise click.UsageError(
            "One tape is described at a time: `wiretape shapes compare A B` says how two differ, "
            "and a directory of tapes is described as one."
        )
    apart({"--html": page}, [tape])
    shape = _load(tape)
    if page:
        from .cards import cards_of, facts_of
        from .plots import page as page_of

        text = page_of(f"The shape of {Path(tape).name}", cards_of(shape), facts_of(shape))
        write_text(page, text)
        click.echo(f"wrote {page}", err=True)
    if as_json:
        click.echo(json.dumps(shape))
    elif not page:
        from .screen import show

        show(tape, shape)


@shapes.command()
@click.argument("tape")
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=Written(path_type=str),
    help="Where to write the shape.",
)  # fmt: skip
def save(tape: str, output: str) -> None:
    """Save the shape of a tape: statistics only, no payload, safe to hand on.

    \b
    Example:
      wiretape shapes save shop.tape -o shop.shape
    """
    from .shape import save as write

    if not output.endswith(".shape"):
        raise click.BadParameter(f"{output!r} must end in .shape.", param_hint="-o")
    apart({"-o": output}, [tape])
    write(_load(tape), output)


@shapes.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def compare(a: str, b: str, as_json: bool) -> None:
    """Say how B differs from A (tapes, runs or saved shapes), the largest difference first.

    \b
    Example:
      wiretape shapes compare monday.shape friday.tape
    """
    from .compare import differences

    found = differences(_load(a), _load(b))
    if as_json:
        click.echo(json.dumps([d.as_dict() for d in found]))
        return
    if not found:
        click.echo("No statistic differs by more than 5 %.")
    for d in found:
        click.echo(f"{d.what:24} {d.a:>12.4g} -> {d.b:<12.4g} {d.meaning}")


@shapes.command()
@click.argument("shape")
@click.option(
    "-o", "--output", required=True, metavar="TAPE", type=Written(path_type=str),
    help="The tape to write.",
)  # fmt: skip
@click.option("--for", "span", type=DURATION, default="10m", show_default=True,
              help="How long it is to last.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 1 << 62), default=0, show_default=True,
              help="Another draw; the same seed makes the same requests.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def synth(shape: str, output: str, span: int, seed: int, as_json: bool) -> None:
    """Make a tape from a SHAPE alone: its bursts, users, mix and sizes, and no payload of anybody.

    \b
    Example:
      wiretape shapes save shop.tape -o shop.shape
      wiretape shapes synth shop.shape -o synthetic.tape --for 10m --seed 1
    """
    from dataclasses import asdict

    from .synth import synthesize

    if span <= 0:
        raise click.BadParameter("write a duration like 10m.", param_hint="--for")

    if Path(shape).resolve() == Path(output).resolve():
        raise click.BadParameter(f"{output} is what it is to be made from; name another tape.",
                                 param_hint="-o")  # fmt: skip

    def tell(made: int, of: int) -> None:
        if made % 100_000 == 0:
            click.echo(f"{made:,} of {of:,} requests", err=True)

    made = synthesize(_load(shape), output, span, seed, tell)
    if as_json:
        click.echo(json.dumps({"tape": output, **asdict(made)}))
    else:
        click.echo(f"{output}: {made.exchanges:,} requests of {made.users:,} users "
                   f"on {made.connections:,} connections")  # fmt: skip


@shapes.command()
@click.argument("run", required=False)
@click.option("--plan", metavar="TAPE", help="With --witness: the tape or run that was replayed.")
@click.option("--witness", metavar="TAPE", help="A tape captured at the target meanwhile.")
@click.option("--speed", type=float, default=1.0, show_default=True,
              help="With --witness: the speed at which the tape was replayed.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the fidelity as JSON.")
def fidelity(
    run: str | None, plan: str | None, witness: str | None, speed: float, as_json: bool
) -> None:
    """Say how close a run came to its plan, and who is to blame if it did not.

    Lateness measured by a witness is that beyond the fastest request: its clock is not ours.

    \b
    Example:
      wiretape shapes fidelity run.tape
      wiretape shapes fidelity --plan shop.tape --witness target.tape --speed 2
    """
    if not 0 < speed < math.inf:
        raise click.BadParameter(f"{speed} is not a positive number.", param_hint="--speed")
    if (run is None) != (plan is not None and witness is not None) or (run and (plan or witness)):
        raise click.UsageError("Give either a RUN, or both --plan and --witness.")
    found = _own(run) if run else _witnessed(str(plan), str(witness), speed)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    from .screen import verdict_lines

    for line in verdict_lines(found):
        click.echo(line)


def _own(run: str) -> Fidelity:
    from capture.errors import TapeError
    from capture.tape import Tape

    from .fidelity import fidelity_of

    with Tape.open(run) as tape:
        found = fidelity_of(tape)
    if found.planned == 0:
        raise TapeError(f"{run} is a recording, not a run: it has no due times to hold it to.")
    return found


def _witnessed(plan: str, witness: str, speed: float) -> Fidelity:
    from capture.tape import Tape

    from .witness import witnessed

    with Tape.open(plan) as planned, Tape.open(witness) as seen:
        return witnessed(planned, seen, speed)


def _load(path: str) -> dict[str, Any]:
    from .shape import load

    return load(path, lambda loss: click.echo(f"{path} is damaged: {loss}", err=True))
