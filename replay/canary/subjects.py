"""What may get worse, and by how much it did in one block, from −1 to 1.

Each request is held against its own recording first, so that it does not matter which users a side
happens to have: who always fails fails on either side, whose searches are heavy is slow on either.

    failures     share of requests that failed now and not in the recording
    statuses     share of answers below 500 of another class than recorded
    time of E    of all pairs of a candidate's and a baseline's request at the endpoint E, the share
                 in which the candidate took longer, less the share in which it took less
    slow at E    share of requests beyond the p95 of the baseline's before

Times are relative to the recorded ones; a candidate's counts as longer only by more than the margin
and the least difference that anybody minds. With nothing to tell between the sides each of these is
0 on average, whatever disturbs both alike, or one of them for less than a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from capture.exchange import NEVER, Outcome

from ..observe.glance import Part

Array = np.ndarray[Any, np.dtype[Any]]
SLOW = 0.95
FEWEST_BEFORE = 40  # requests of the baseline, for their p95 to mean something
REMEMBERED = 2000
UNKNOWN_NS = 10_000_000
_NOT_JUDGED = (Outcome.ABANDONED, Outcome.UNSENT, Outcome.NONE)


@dataclass(frozen=True)
class Requests:
    """What is known of some requests; `endpoint` are codes into the endpoints that are judged."""

    due_ns: Array
    endpoint: Array
    failed: Array
    changed: Array
    service_ns: Array  # NEVER where there is no whole answer, or a failure
    was_ns: Array

    def __len__(self) -> int:
        return len(self.due_ns)

    def those(self, chosen: Array) -> Requests:
        """The requests that a mask picks."""
        return Requests(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def with_more(self, other: Requests) -> Requests:
        """These and others."""
        names = self.__dataclass_fields__
        return Requests(
            *(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        )


def requests_of(
    part: Part, endpoints: Mapping[str, int], answers: bool = True
) -> tuple[Requests, Array]:
    """The requests of a part that can be judged, and the number of the target of each.

    An endpoint that is not among those to be judged has the code after theirs. Where the tape holds
    `answers`, a request that was recorded without one is not judged.
    """
    rest = len(endpoints)
    codes = np.array([endpoints.get(name, rest) for name in part.endpoints] or [rest], np.int64)
    status, was = part.status.astype(np.int64), part.was_status.astype(np.int64)
    failed = part.failed
    whole = (part.service_ns != NEVER) & ~failed
    changed = whole & (was > 0) & (was < 500) & (status // 100 != was // 100)
    told = Requests(
        part.due_ns, codes[part.endpoint], failed & (was < 500), changed,
        np.where(whole, part.service_ns, NEVER),
        np.where(part.recorded_ns > 0, part.recorded_ns, UNKNOWN_NS),
    )  # fmt: skip
    judged = ~np.isin(part.outcome, _NOT_JUDGED) & ((was > 0) | (not answers))
    return told.those(judged), part.target[judged]


def share_worse(baseline: Array, candidate: Array) -> float:
    """Difference of the shares of two masks."""
    return float(candidate.mean() - baseline.mean())


def longer(baseline: Array, candidate: Array) -> float:
    """Over all pairs: share in which the candidate's is larger less that in which it is smaller."""
    order = np.sort(baseline)
    below = np.searchsorted(order, candidate, "left")
    above = len(order) - np.searchsorted(order, candidate, "right")
    return float((below - above).mean() / len(order))


class Times:
    """The times of one endpoint: what waits for its block, and what the baseline took before."""

    def __init__(self, margin: float, least_ns: int) -> None:
        self._margin = margin
        self._least = least_ns
        self._before = np.empty(0)
        self._held: list[list[Array]] = [[], []]

    def add(self, side: int, requests: Requests) -> None:
        """Requests of the baseline (0) or of the candidate (1)."""
        took = requests.service_ns
        here = took != NEVER
        took, was = took[here], requests.was_ns[here]
        if side:
            took = np.maximum(0, took - self._least) / (1 + self._margin)
        if len(took):
            self._held[side].append(took / was)

    def differences(self) -> tuple[float | None, float | None]:
        """(time, slow) of what is held; None where one side has nothing yet, or no past."""
        if not self._held[0] or not self._held[1]:
            return None, None
        baseline, candidate = (np.concatenate(held) for held in self._held)
        self._held = [[], []]
        slow = None
        if len(self._before) >= FEWEST_BEFORE:
            limit = np.quantile(self._before, SLOW)
            slow = share_worse(baseline > limit, candidate > limit)
        self._before = np.concatenate([self._before, baseline])[-REMEMBERED:]
        return longer(baseline, candidate), slow
