"""How a live target is asked, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import DURATION, option


@dataclass(frozen=True)
class EnquiryOptions:
    """How a live target is asked."""

    path: tuple[str, ...] = option((), help="Ask for this path beside /.", metavar="PATH")
    requests: int = option(60, help="Send at most this many to each.", type=click.IntRange(1))
    pause: int = option(
        20_000_000, help="Wait between two requests.", type=DURATION, show_default="20ms"
    )
    connections: int = option(
        16, help="Open at most this many connections at once.", type=click.IntRange(1)
    )
    idle: int = option(0, help="See whether an idle connection is kept for so long.", type=DURATION)
    timeout: int = option(
        5_000_000_000, help="Give up an answer after this.", type=DURATION, show_default="5s"
    )
