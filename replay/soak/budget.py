"""Budgets of growth: `20%` of what was used at the beginning, or `*rss*=500MB` for some metrics.

The last budget whose pattern fits a metric counts; without any it is a tenth. Amounts take the
units of sizes (KB, MB, GB); a bare number is in the metric's own unit.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from capture.errors import ReplayError

_UNITS = {"": 1.0, "%": 0.01, "kb": 2.0**10, "mb": 2.0**20, "gb": 2.0**30}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|kb|mb|gb)?", re.I)
DEFAULT = 0.1


@dataclass(frozen=True)
class Budget:
    """How much metrics like `pattern` may grow: an amount, or a share of their beginning."""

    pattern: str
    amount: float
    relative: bool

    def of(self, begin: float) -> float:
        """The budget of a metric that began there."""
        return self.amount * max(begin, 1.0) if self.relative else self.amount


def read_budget(text: str) -> Budget:
    """The budget that a text says."""
    pattern, equals, told = text.rpartition("=")
    found = _AMOUNT.fullmatch(told.strip())
    if found is None or (equals and not pattern.strip()):
        raise ReplayError(f"{text!r} is no budget; write it like 20% or '*rss*=500MB'.")
    unit = (found[2] or "").lower()
    return Budget(pattern.strip() or "*", float(found[1]) * _UNITS[unit], unit == "%")


def budget_of(metric: str, budgets: list[Budget]) -> Budget:
    """The budget that counts for a metric."""
    fitting = [each for each in budgets if fnmatch.fnmatchcase(metric, each.pattern)]
    return fitting[-1] if fitting else Budget("*", DEFAULT, True)
