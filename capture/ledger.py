"""The ledger: what became of everything that was seen.

For each unit (packets, bytes, exchanges, connections …) `seen` is the sum of its fates (kept,
sampled out, filtered, dropped, truncated …). `imbalances` says where it is not, which is a bug.
Ledgers of workers and of tapes add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

SEEN: Final = "seen"

# The words that more than one file books or looks for; one of a single file stands there.
PACKETS: Final = "packets"
CAPTURED_BYTES: Final = "captured bytes"
CONNECTIONS: Final = "connections"
EXCHANGES: Final = "exchanges"
FRAGMENTS: Final = "fragments"
MISSING_BYTES: Final = "missing bytes"
INTERRUPTIONS: Final = "interruptions"
LET_GO: Final = "connections let go in their midst"

KEPT: Final = "kept"
DROPPED: Final = "dropped by the kernel"
SAMPLED_OUT: Final = "sampled out"
NEVER_COMPLETED: Final = "never completed"


class Ledger:
    """Counts by unit and fate. A fate is a short reason in plain words: `dropped by the kernel`."""

    __slots__ = ("_units",)

    def __init__(self) -> None:
        self._units: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def saw(self, unit: str, count: int = 1) -> None:
        """Book `count` things as seen; their fate is to be booked with `became`."""
        self._units[unit][SEEN] += count

    def became(self, unit: str, fate: str, count: int = 1) -> None:
        """Book the fate of `count` things that were seen."""
        self._units[unit][fate] += count

    def book(self, unit: str, fate: str, count: int = 1) -> None:
        """Book things as seen and their fate at once."""
        fates = self._units[unit]
        fates[SEEN] += count
        fates[fate] += count

    def count(self, unit: str, fate: str = SEEN) -> int:
        """How many of a unit met a fate (or were seen)."""
        return self._units[unit][fate] if unit in self._units else 0

    def units(self) -> list[str]:
        """The units that were seen, in the order they first were."""
        return list(self._units)

    def fates(self, unit: str) -> dict[str, int]:
        """The fates of a unit, without `seen`, commonest first."""
        fates = {fate: n for fate, n in self._units[unit].items() if fate != SEEN and n}
        return dict(sorted(fates.items(), key=lambda item: -item[1]))

    def imbalances(self) -> list[str]:
        """One sentence for each unit whose fates do not sum up to what was seen."""
        wrong = []
        for unit in self._units:
            total = sum(self.fates(unit).values())
            if total != self.count(unit):
                wrong.append(f"{self.count(unit)} {unit} seen but {total} accounted for")
        return wrong

    def add(self, other: Ledger) -> None:
        """Add another ledger's counts to this one's."""
        for unit, fates in other._units.items():
            for fate, n in fates.items():
                self._units[unit][fate] += n

    def as_dict(self) -> dict[str, dict[str, int]]:
        """`{unit: {"seen": n, fate: n, …}}`."""
        return {unit: {SEEN: self.count(unit), **self.fates(unit)} for unit in self._units}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Mapping[str, int]]) -> Ledger:
        """The ledger that `as_dict` described."""
        ledger = cls()
        for unit, fates in counts.items():
            for fate, n in fates.items():
                ledger._units[unit][fate] += n
        return ledger
