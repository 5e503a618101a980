"""What a search for capacity can be told, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import DURATION, SHARE, SPAN, Factor, option

from ..options import ReplayOptions

SCALE = Factor(most=100_000)


@dataclass(frozen=True)
class CapacityOptions(ReplayOptions):
    """What a search for capacity can be told: everything of a replay; --scale is its beginning."""

    slo: str = option(
        "", help="What must hold: 'p99 < 300ms and errors < 1%'.", metavar="EXPR"
    )  # fmt: skip
    precision: float = option(
        0.05, help="How near the answer shall come.", type=SHARE, show_default="5%"
    )
    confirm: int = option(
        2, help="How often the answer is probed again.", type=click.IntRange(0, 20)
    )
    lowest: float = option(0.01, help="The smallest scale to probe.", type=SCALE)
    highest: float = option(1000.0, help="The largest scale to probe.", type=SCALE)
    probes: int = option(40, help="At most so many runs.", type=click.IntRange(1))
    rest: int = option(
        2_000_000_000, help="Let the target rest so long between two runs.", type=DURATION,
        show_default="2s",
    )  # fmt: skip
    require: float = option(0.0, help="Exit 3 where the answer is below this.", metavar="SCALE")
    keep: str = option("", help="Keep the runs in this folder.", metavar="DIR")
    timeout: int = option(
        10_000_000_000, help="Give up an answer after this.", type=SPAN, show_default="10s"
    )
