"""What a trial can be told, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import SHARE, option
from capture.written import FOLDER, Written

from ..option_types import TARGET
from ..options import ReplayOptions, SendOptions


@dataclass(frozen=True)
class TrialOptions(SendOptions):
    """What a trial can be told: everything of a replay but its target."""

    baseline: str = option("", help="The target as it was.", metavar="URL", type=TARGET)
    candidate: str = option("", help="The target as it shall be.", metavar="URL", type=TARGET)
    pairs: int = option(
        6, help="Pairs of runs; fewer than 5 only make suspect.", type=click.IntRange(1)
    )
    extra: int = option(3, help="Pairs more to make up for those left out.", type=click.IntRange(0))
    margin: float = option(0.04, help="How much slower is still the same.", type=SHARE)
    budget: float = option(0.005, help="How many more may fail, of all.", type=SHARE)
    keep: str = option(
        "", help="Keep the runs in this folder.", metavar="DIR", type=Written(FOLDER, str)
    )

    def side(self, side: str) -> ReplayOptions:
        """What a run against the baseline, or the candidate, is told."""
        return self.toward(getattr(self, side), among=(self.baseline, self.candidate))
