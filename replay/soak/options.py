"""What a soak can be told beyond what a replay can, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import SPAN, Checked, option
from capture.rotation import LIMIT, Limit

from ..options import ReplayOptions
from .budget import read_budget
from .web import web_address

NS = 1_000_000_000
WEB = Checked("address", web_address)


@dataclass(frozen=True)
class SoakOptions(ReplayOptions):
    """Everything that decides what a soak sends, watches, keeps and tells."""

    soak: int = option(
        0, names=("--for",), help="Go on for so long: lap after lap, with other users each.",
        type=SPAN, metavar="DURATION",
    )  # fmt: skip
    length: int = option(0, help="Take only this much of the tape.", type=SPAN)
    scrape: tuple[str, ...] = option(
        (), help="Watch the target: its Prometheus metrics.", metavar="URL", type=WEB
    )
    pid: tuple[int, ...] = option(
        (), help="Watch a process: memory, descriptors, threads.", type=click.IntRange(1)
    )
    watch_command: tuple[str, ...] = option(
        (), help="Watch what a command prints: a line 'NAME VALUE' a metric.", metavar="COMMAND"
    )
    watch_every: int = option(
        5 * NS, help="Time between two samples.", type=SPAN, show_default="5s"
    )
    watch_only: tuple[str, ...] = option(
        (), help="Watch only metrics like this ('*memory*').", metavar="PATTERN"
    )
    budget: tuple[str, ...] = option(
        (), help="What growth is borne within --horizon: '20%', or '*rss*=500MB' for some metrics.",
        metavar="BUDGET", type=Checked("budget", read_budget),
    )  # fmt: skip
    horizon: int = option(
        24 * 3600 * NS, help="Time within which growth may not exceed its budget.", type=SPAN,
        show_default="24h",
    )  # fmt: skip
    segment: Limit = option(  # noqa: RUF009 - a field
        Limit(age_ns=600 * NS), help="Begin another run file at this age or size.", type=LIMIT,
        show_default="10m",
    )  # fmt: skip
    keep: Limit = option(  # noqa: RUF009 - a field
        Limit(size=2 << 30), help="Remove the oldest run files beyond this size or age.",
        type=LIMIT, show_default="2GB",
    )  # fmt: skip
    summary_every: int = option(
        3600 * NS, help="Time between two lines of summary.", type=SPAN, show_default="1h"
    )
    checkpoint_every: int = option(
        60 * NS, help="Time between two checkpoints.", type=SPAN, show_default="1m"
    )
    alert_webhook: tuple[str, ...] = option(
        (), help="POST each new finding here, as JSON.", metavar="URL", type=WEB
    )
    alert_command: tuple[str, ...] = option(
        (), help="Run this on each new finding, JSON on its stdin.", metavar="COMMAND"
    )
    stop_on_gate: bool = option(False, help="End the soak where a gate has failed.")
