"""What a soak has found: each thing once, with when it began, when it was last seen, and how often.

A finding is known by its kind and subject, a full pool by its kind. It is news when it is seen
first, and again when it is withdrawn (a leak that turned out to be the tooth of a slow sawtooth).
Seen again, it counts on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

STANDING, WITHDRAWN = "standing", "withdrawn"
MOST = 500
SLOW_NEWS = ("watch",)  # told, but no fault of the target's


@dataclass
class Found:
    """One thing that was found. Times are seconds of the soak."""

    kind: str  # as in a verdict; and leak, ended, watch, gate, fidelity
    subject: str
    sentence: str
    first_s: float
    last_s: float
    times: int = 1
    state: str = STANDING
    segment: str = ""  # the run file that shows it

    @property
    def fails(self) -> bool:
        """Whether the soak has failed by it."""
        return self.state == STANDING and self.kind not in SLOW_NEWS


News = Callable[[Found], None]


def _key(kind: str, subject: str) -> tuple[str, str]:
    """By what a finding is known: who waits for a full pool differs from segment to segment."""
    return kind, "" if kind == "pool" else subject


class Findings:
    """All of them, in the order they were found. `news` is called for each that is new."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._known: dict[tuple[str, str], Found] = {}
        self.untold = 0  # beyond the number that is kept

    def __iter__(self) -> Any:
        return iter(list(self._known.values()))

    @property
    def standing(self) -> list[Found]:
        """Those by which the soak fails."""
        return [found for found in self if found.fails]

    def see(self, kind: str, subject: str, sentence: str, at_s: float, segment: str = "") -> None:
        """Something was seen, for the first time or again."""
        found = self._known.get(_key(kind, subject))
        if found is None and len(self._known) >= MOST:
            self.untold += 1
        elif found is None:
            found = Found(kind, subject, sentence, at_s, at_s, segment=segment)
            self._known[_key(kind, subject)] = found
            self._news(found)
        else:
            found.last_s, found.times, found.sentence = at_s, found.times + 1, sentence
            found.state = STANDING

    def withdraw(self, kind: str, subject: str, sentence: str, at_s: float) -> None:
        """What was told does not hold."""
        found = self._known.get(_key(kind, subject))
        if found is not None and found.state == STANDING:
            found.state, found.last_s, found.sentence = WITHDRAWN, at_s, sentence
            self._news(found)

    def as_list(self) -> list[dict[str, Any]]:
        """As plain values."""
        return [asdict(found) for found in self]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """What was found before a restart; it is no news."""
        for values in saved:
            found = Found(**values)
            self._known[_key(found.kind, found.subject)] = found
