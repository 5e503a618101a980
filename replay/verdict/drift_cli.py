"""`wiretape drift`: what two environments reveal of themselves, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from capture.options import options_of

from ..rules import shown_url
from .enquiry_options import EnquiryOptions

if TYPE_CHECKING:
    from .portrait import Portrait


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; `report --drift` reads it.")
@options_of(EnquiryOptions)
def drift(a: str, b: str, as_json: bool, options: EnquiryOptions) -> None:
    """Tell in what environment B differs from A: each a tape, a run, or a live target's URL.

    A live target is asked politely: GET and OPTIONS only, one after another, a bounded number.
    Beside a tape it is asked for what the tape holds.

    \b
    Example:
      wiretape drift theirs.tape http://127.0.0.1:8080
      wiretape drift https://production.example https://staging.example --path /health
    """
    import json
    from pathlib import Path

    from .drift import as_text
    from .drift import drift as side_by_side
    from .enquiry import portrait_of_url, safe_places
    from .portrait import portrait_of

    places = tuple(each for side in (a, b) if not _is_url(side) for each in safe_places(Path(side)))

    def portrait(side: str) -> Portrait:
        if not _is_url(side):
            return portrait_of(side)
        click.echo(f"asking {shown_url(side)}", err=True)
        return portrait_of_url(side, options, places)

    told = side_by_side(portrait(a), portrait(b))
    click.echo(json.dumps(told.as_dict()) if as_json else as_text(told))


def _is_url(side: str) -> bool:
    """Whether a side is a live target."""
    return side.startswith(("http://", "https://"))
