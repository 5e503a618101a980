"""The search for the largest scale that holds: which scale to probe next, whatever probes cost.

First a bracket: twice as much while it holds, half as much while it breaks. Then the geometric
middle of the bracket, until its ends are as near as is wanted. Then both ends are confirmed: the
majority of 1 + `confirm` probes decides, and where that turns an end over the search goes on. A
probe that was invalid is made again; a scale that was invalid three times is beyond our own reach,
which bounds the answer without being the target's limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HOLDS, BREAKS, INVALID = "holds", "breaks", "invalid"
TARGET, GENERATOR, HIGHEST = "target", "generator", "highest"
MOST_INVALID = 3


@dataclass
class _Tally:
    """What the probes of one scale came to."""

    holds: int = 0
    breaks: int = 0
    invalid: int = 0

    @property
    def word(self) -> str:
        """What this scale is taken to be."""
        if self.holds + self.breaks == 0:
            return INVALID
        return HOLDS if self.holds > self.breaks else BREAKS


@dataclass
class Search:
    """Call `next()` for a scale to probe, `told(scale, word)` what came of it, until it is None."""

    start: float = 1.0
    lowest: float = 0.01
    highest: float = 1000.0
    precision: float = 0.05
    confirm: int = 2
    most: int = 40  # probes
    _tallies: dict[float, _Tally] = field(default_factory=dict)
    _probes: int = 0

    def next(self) -> float | None:
        """The next scale to probe; None where nothing is left to find out."""
        if self._probes >= self.most:
            return None
        for scale, tally in self._tallies.items():
            if tally.word == INVALID and 0 < tally.invalid < MOST_INVALID:
                return scale
        low, high = self.bracket
        if not low and not math.isfinite(high):
            return min(self.highest, max(self.lowest, self.start))
        if not low:
            return max(self.lowest, high / 2) if high > self.lowest else self._unsure(high)
        if not math.isfinite(high):
            return min(self.highest, low * 2) if low < self.highest else self._unsure(low)
        if high / low > 1 + self.precision:
            return math.sqrt(low * high)
        return self._unsure(low) or self._unsure(high)

    def told(self, scale: float, word: str) -> None:
        """What came of a probe."""
        tally = self._tallies.setdefault(scale, _Tally())
        setattr(tally, word, getattr(tally, word) + 1)
        self._probes += 1

    @property
    def bracket(self) -> tuple[float, float]:
        """The largest scale that holds below all that do not, and the smallest that does not."""
        bad = [scale for scale, tally in self._tallies.items() if tally.word != HOLDS]
        high = min(bad, default=math.inf)
        good = [
            scale for scale, tally in self._tallies.items() if tally.word == HOLDS and scale < high
        ]
        return max(good, default=0.0), high

    @property
    def bound_by(self) -> str:
        """Whose limit the upper end is."""
        _, high = self.bracket
        if not math.isfinite(high):
            return HIGHEST
        return TARGET if self._tallies[high].word == BREAKS else GENERATOR

    @property
    def confirmed(self) -> bool:
        """Whether the scale that holds has been probed as often as was wanted."""
        low, _ = self.bracket
        return bool(low) and self._unsure(low) is None

    def _unsure(self, scale: float) -> float | None:
        """The scale, where too few probes have decided what it is."""
        tally = self._tallies[scale]
        if tally.word == INVALID:
            return None
        needed = 1 + self.confirm
        if tally.holds + tally.breaks >= needed or 2 * tally.breaks > needed:
            return None
        return scale
