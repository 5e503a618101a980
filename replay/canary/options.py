"""What a canary can be told, declared once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import click

from capture.options import SHARE, SPAN, ParamType, option
from capture.written import KEPT, Written

from ..option_types import TARGET
from ..options import SendOptions


class _Steps(ParamType):
    """Growing shares of the users in %: `1,5,25,50,100`."""

    name = "steps"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            steps = tuple(float(part.strip().rstrip("%")) for part in str(value).split(","))
        except ValueError:
            steps = ()
        grows = all(a < b for a, b in itertools.pairwise(steps))
        if not steps or not grows or steps[0] <= 0 or steps[-1] > 100:
            self.fail(f"{value!r} are no growing shares in %; write 1,5,25,50,100.", param, ctx)
        return steps


@dataclass(frozen=True)
class CanaryOptions(SendOptions):
    """What a canary can be told: everything of a replay but what its steps decide."""

    baseline: str = option(
        "", help="The target that has the users now.", metavar="URL", type=TARGET
    )
    candidate: str = option("", help="The target that shall have them.", metavar="URL", type=TARGET)
    steps: tuple[float, ...] = option(
        (1.0, 5.0, 25.0, 50.0, 100.0), help="Shares of the users for the candidate, in %.",
        type=_Steps(), multiple=False, metavar="A,B,…", show_default="1,5,25,50,100",
    )  # fmt: skip
    step_for: int = option(
        60_000_000_000, help="How long each step lasts.", type=SPAN, show_default="60s"
    )
    holds: int = option(
        3, help="How often a step may be repeated that says nothing clear.", type=click.IntRange(0)
    )
    alpha: float = option(
        0.05, help="Chance of a false alarm, of all steps together.", type=SHARE,
        show_default="5%",
    )  # fmt: skip
    block: int = option(
        500_000_000, help="What disturbs one side for less than this is no evidence.",
        type=SPAN, show_default="500ms",
    )  # fmt: skip
    margin: float = option(
        0.10, help="How much slower is still the same.", type=SHARE, show_default="10%"
    )
    least: int = option(
        1_000_000, help="How much slower nobody minds.", type=SPAN, show_default="1ms"
    )
    budget: float = option(
        0.01, help="How many more may fail, of all.", type=SHARE, show_default="1%"
    )
    state: str = option(
        "", help="File of the state and the log; what it began is gone on with.", metavar="FILE",
        type=Written(KEPT, str),
    )  # fmt: skip
    keep: str = option("", help="Keep the runs in this folder.", metavar="DIR")
    timeout: int = option(
        5_000_000_000, help="Give up an answer after this.", type=SPAN, show_default="5s"
    )
