"""The commands of `wiretape tape`: look into tapes, check, cut, merge and filter them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import TapeError
from ..options import DURATION, Checked

if TYPE_CHECKING:
    from .reader import Tape

_TAPE = click.argument("tape", type=click.Path(path_type=Path))
_OUT = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The tape to write."
)
_FROM = click.option("--from", "start", help="From then on: 02:00, an ISO time, or 30s (in).")
_TO = click.option("--to", "end", help="Up to then, likewise.")
_SEAL = click.option(
    "--encrypt-to", "recipients", multiple=True, metavar="AGE1…",
    help="Encrypt the new tape to this age public key; may be repeated.",
)  # fmt: skip
_MOST_S = 86_400.0 * 36_525  # a century: a clock that is further off is a slip of the hand
_STRICT = click.option("--strict", is_flag=True, help="Fail where a part of it is damaged.")


@click.group()
def tape() -> None:
    """Look into tapes, check, cut, merge and filter them.

    \b
    Example:
      wiretape tape info night.tape
    """


@tape.command()
@_TAPE
@_STRICT
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def info(tape: Path, strict: bool, as_json: bool) -> None:
    """Show what is in a tape: span, counts, ledger, mix, sizes.

    \b
    Example:
      wiretape tape info night.tape
      wiretape tape info --json night.tape | jq .endpoints
    """
    from .info import facts, show
    from .reader import Tape

    with Tape.open(tape, strict=strict) as opened:
        found = facts(opened)
        for loss in opened.verify() if strict else ():
            raise TapeError(f"{tape}: {loss}; without --strict the rest is shown.")
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        show(found)


@tape.command()
@_TAPE
@_STRICT
@_FROM
@_TO
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "http"]), default="jsonl", show_default=True,
    help="One JSON object an exchange, or the bytes of its request and kept response.",
)  # fmt: skip
def cat(tape: Path, strict: bool, start: str | None, end: str | None, form: str) -> None:
    """Print the exchanges of a tape in order of time.

    \b
    Example:
      wiretape tape cat night.tape | jq 'select(.status >= 500)'
      wiretape tape cat --format http --from 30s --to 31s night.tape
    """
    from ..when import range_ns
    from . import text
    from .reader import Tape

    with Tape.open(tape, strict=strict) as opened:
        low, high = range_ns(start, end, opened.span_ns)
        if form == "http":
            for part in text.http(opened, low, high):
                sys.stdout.buffer.write(part)
        else:
            for thing in text.objects(opened, low, high):
                sys.stdout.write(text.json_line(thing) + "\n")
        sys.stdout.flush()
        _lost([opened])


@tape.command()
@_TAPE
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def verify(tape: Path, as_json: bool) -> None:
    """Read every block of a tape and check every checksum; exit 1 where something is lost.

    \b
    Example:
      wiretape tape verify night.tape
    """
    from .reader import Tape

    with Tape.open(tape) as opened:
        losses = opened.verify()
        wrong = opened.ledger.imbalances()
        found = {
            "whole": opened.whole,
            "blocks": len(opened.blocks),
            "exchanges": opened.exchange_count,
            "exchanges_lost": sum(loss.exchanges or 0 for loss in losses),
            "exchanges_lost_is_least": any(loss.exchanges is None for loss in losses),
            "losses": [str(loss) for loss in losses],
            "ledger_imbalances": wrong,
        }
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in (*found["losses"], *wrong):  # type: ignore[misc]
            click.echo(f"lost: {line}", err=True)
        ended = "" if found["whole"] else " It has no end: its writer was stopped, or it was cut."
        lost = f"{found['exchanges_lost']:,} cannot be read"
        if found["exchanges_lost_is_least"]:
            lost += ", and nobody can tell how many more"
        verdict = "damaged" if losses or wrong else "sound"
        click.echo(
            f"{tape}: {verdict}: {found['exchanges']:,} exchanges in {found['blocks']} blocks, "
            f"{lost}.{ended}"
        )
    if losses or wrong:
        raise click.exceptions.Exit(1)


@tape.command()
@_TAPE
@_FROM
@_TO
@_OUT
@_SEAL
def cut(
    tape: Path, start: str | None, end: str | None, output: Path, recipients: tuple[str, ...]
) -> None:
    """Take the exchanges that began between two times into a tape of their own.

    \b
    Example:
      wiretape tape cut recorder/ --from 02:00 --to 02:10 -o incident.tape
    """
    from ..when import range_ns
    from . import edit
    from .reader import Tape

    with Tape.open(tape) as opened:
        low, high = range_ns(start, end, opened.span_ns)
        written = edit.cut(opened, output, low, high, recipients)
        _say(output, written.exchanges, [opened])


def _statuses(text: str) -> object:
    from .edit import statuses

    return statuses(text)


@tape.command("filter")
@_TAPE
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="'POST /pay*', /pay or POST; repeatable."
)
@click.option("--status", type=Checked("status", _statuses), help="503, 5xx, or several.")
@click.option("--min-latency", type=DURATION, help="Service time of at least this (1s, 250ms).")
@_OUT
@_SEAL
def filter_command(
    tape: Path,
    only: tuple[str, ...],
    status: str | None,
    min_latency: int | None,
    output: Path,
    recipients: tuple[str, ...],
) -> None:
    """Take the exchanges that match into a tape of their own.

    \b
    Example:
      wiretape tape filter night.tape --only 'POST /pay*' --status 5xx -o failed.tape
    """
    from . import edit
    from .reader import Tape

    with Tape.open(tape) as opened:
        written = edit.filter_tape(opened, output, only, status, min_latency, recipients)
        _say(output, written.exchanges, [opened])


@tape.command()
@click.argument("tapes", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--offset", "offsets", multiple=True, metavar="SECONDS",
    type=float, help="Added to the clock of the first, second … tape.",
)  # fmt: skip
@click.option("--apart", is_flag=True, help="Keep equal clients and sessions of two tapes apart.")
@_OUT
@_SEAL
def merge(
    tapes: tuple[Path, ...],
    offsets: tuple[float, ...],
    apart: bool,
    output: Path,
    recipients: tuple[str, ...],
) -> None:
    """Put several tapes into one, in order of time.

    \b
    Example:
      wiretape tape merge host-a.tape host-b.tape --offset 0 --offset -0.35 -o both.tape
    """
    from . import edit
    from .reader import Tape

    _refuse_twice(tapes)
    if len(offsets) > len(tapes):
        raise click.UsageError("There are more --offset than tapes; give one a tape, in order.")
    for each in offsets:
        if not abs(each) <= _MOST_S:  # not a number is not either
            told = f"{each} is not a number of seconds within a century."
            raise click.BadParameter(told, param_hint="--offset")
    opened = [Tape.open(each) for each in tapes]
    clocks = [round(each * 1e9) for each in (*offsets, *(0.0,) * (len(tapes) - len(offsets)))]
    written = edit.merge(opened, output, clocks, apart, recipients)
    _say(output, written.exchanges, opened)
    for one in opened:
        one.close()


def _refuse_twice(tapes: Sequence[Path]) -> None:
    """The same tape twice is a slip: its users would come twice, at the same moments."""
    seen: set[Path] = set()
    for each in tapes:
        if each.resolve() in seen:
            raise click.UsageError(f"{each} is given twice; give each tape once.")
        seen.add(each.resolve())


def _say(output: Path, written: int, tapes: Sequence[Tape]) -> None:
    of = sum(each.exchange_count for each in tapes)
    click.echo(f"{output}: {written:,} of {of:,} exchanges.")
    if of and not written:
        click.echo("wiretape: nothing is as asked for, so the new tape is empty.", err=True)
    _lost(tapes)


def _lost(tapes: Sequence[Tape]) -> None:
    """Tell what of the tapes could not be read."""
    for each in tapes:
        for loss in each.losses:
            click.echo(f"wiretape: lost: {loss}", err=True)
