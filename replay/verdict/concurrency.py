"""Concurrency and saturation of a run: Little's law, in flight against throughput.

In flight = throughput × time. Where bins of time with far more in flight are answered at no higher
rate, whatever more is sent only waits: that rate is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from capture.exchange import NEVER

from .queueing import FEWEST, MS, most_in_flight
from .rows import Array, Rows

FEWEST_BINS = 20
LEAST = 4.0  # in flight, below which nothing is full
MORE = 1.8
NO_MORE = 1.05


@dataclass(frozen=True)
class Concurrency:
    """Concurrency: how many were in flight, recorded and replayed, and where it stopped helping."""

    mean: float
    most: int
    recorded_mean: float
    recorded_most: int
    rate: float  # answers/s over the whole run
    service_ms: float  # mean
    flat_from: int  # in flight; 0 where throughput still rose
    flat_rate: float  # answers/s from there on

    @property
    def sentence(self) -> str:
        """In words."""
        told = (
            f"{self.mean:,.1f} in flight on average (Little: {self.rate:,.0f}/s × "
            f"{self.service_ms:,.1f} ms), {self.most:,} at most"
        )
        if self.recorded_most:
            told += f"; recorded {self.recorded_mean:,.1f} and {self.recorded_most:,}"
        if self.flat_from:
            told += (
                f". From {self.flat_from:,} in flight on, {self.flat_rate:,.0f}/s is all there is"
            )
        return f"{told}."


def concurrency_of(rows: Rows, in_flight: Array) -> Concurrency | None:
    """The concurrency of a run or a recording; None where hardly anything was answered."""
    whole = rows.answered
    if whole.sum() < FEWEST:
        return None
    sent, ended = rows["request_first_ns"][whole], rows["response_last_ns"][whole]
    span_s = max(1, int(ended.max() - sent.min())) / 1e9
    service_ms = float((ended - sent).mean()) / MS
    rate = len(sent) / span_s
    known = whole & (rows["recorded_service_ns"] != NEVER) & (rows["due_ns"] != NEVER)
    due, took = rows["due_ns"][known], rows["recorded_service_ns"][known]
    flat_from, flat_rate = _flat(sent, ended, in_flight[whole])
    return Concurrency(
        rate * service_ms / 1000,
        int(in_flight.max()) + 1,
        float(took.sum()) / 1e9 / span_s,
        most_in_flight(due, due + took),
        rate,
        service_ms,
        flat_from,
        flat_rate,
    )


def _flat(sent: Array, ended: Array, in_flight: Array) -> tuple[int, float]:
    """From how many in flight on throughput rises no more though far more wait; else 0."""
    width = max(100 * MS, int(np.ptp(ended)) // 1000)
    served = np.bincount((ended - sent.min()) // width)
    place = (sent - sent.min()) // width
    waiting = np.bincount(place, in_flight, len(served))[: len(served)]
    arrived = np.bincount(place, minlength=len(served))[: len(served)]
    seen = (served > 0) & (arrived > 0)
    if seen.sum() < FEWEST_BINS:
        return 0, 0.0
    level, rate = (waiting / np.maximum(1, arrived))[seen], served[seen] * 1e9 / width
    order = np.argsort(level)
    groups = [(float(level[part].mean()), float(rate[part].mean()))
              for part in np.array_split(order, 4)]  # fmt: skip
    for (low, served_low), (high, served_high) in pairwise(groups):
        if low >= LEAST and high >= MORE * low and served_high <= NO_MORE * served_low:
            return round(low), max(served_low, served_high)
    return 0, 0.0
