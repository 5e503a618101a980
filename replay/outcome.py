"""What a run comes to: accumulators that take rows, merge, and render a summary.

Times are counted in histograms of the HDR kind: values in ns, three significant digits, so
percentiles of merged histograms are as exact as those of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from capture.exchange import FINE, NEVER, Lateness, Outcome, Reuse
from shapes.tallies import tally

_HALF = 1024
MAX_ENDPOINTS = 500


class Histogram:
    """Counts of values in ns to three significant digits. `add`, `merge`, `quantile`."""

    __slots__ = ("counts", "largest")

    def __init__(self) -> None:
        self.counts = np.zeros(_HALF * 2, np.int64)
        self.largest = 0

    def add(self, values: Any) -> None:
        """Count an array of values; negative ones count as 0."""
        if not len(values):
            return
        values = np.maximum(values, 0)
        self.largest = max(self.largest, int(values.max()))
        _, exponent = np.frexp((values | (2 * _HALF - 1)).astype(np.float64))
        bucket = exponent.astype(np.int64) - 11
        counts = np.bincount(bucket * _HALF + (values >> bucket))
        self._grow(len(counts))
        self.counts[: len(counts)] += counts

    def merge(self, other: Histogram) -> None:
        """Add another histogram's counts."""
        self._grow(len(other.counts))
        self.counts[: len(other.counts)] += other.counts
        self.largest = max(self.largest, other.largest)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> int:
        """The value (the top of its bucket) below which that share lies; 0 of nothing."""
        sums = np.cumsum(self.counts)
        if not sums[-1]:
            return 0
        place = int(np.searchsorted(sums, max(1, np.ceil(share * sums[-1]))))
        return min(_top(place), self.largest)

    def bars(self) -> Iterator[tuple[int, int]]:
        """(top of the bucket, count) of the buckets that hold something."""
        for place in np.flatnonzero(self.counts).tolist():
            yield min(_top(place), self.largest), int(self.counts[place])

    def _grow(self, size: int) -> None:
        if size > len(self.counts):
            self.counts = np.pad(self.counts, (0, size - len(self.counts)))


def _top(place: int) -> int:
    bucket = max(0, place // _HALF - 1)
    return ((place - bucket * _HALF + 1) << bucket) - 1


@dataclass
class EndpointTimes:
    """One endpoint: what was recorded beside what came back. Times in ns."""

    requests: int = 0
    failed: int = 0
    lateness: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    response: Histogram = field(default_factory=Histogram)
    recorded: Histogram = field(default_factory=Histogram)

    def add(self, rows: dict[str, Any], here: Any, answered: Any) -> None:
        """Count those rows of a run that a mask picks."""
        due, sent, last = (
            rows[name][here] for name in ("due_ns", "request_first_ns", "response_last_ns")
        )
        whole, gone = answered[here], sent != NEVER
        self.requests += len(due)
        failed = ~np.isin(rows["outcome"][here], FINE) | (rows["status"][here] >= 500)
        self.failed += int(failed.sum())
        self.lateness.add((sent - due)[gone])
        self.service.add((last - sent)[whole])
        self.response.add((last - due)[whole])
        recorded = rows["recorded_service_ns"][here]
        self.recorded.add(recorded[recorded != NEVER])


@dataclass(frozen=True)
class Summary:
    """What a run came to. Times in ns, rates in requests/s."""

    planned: int
    sent: int
    answered: int
    span_ns: int
    planned_rate: float
    rate: float
    lateness: dict[str, int]
    noise_floor: dict[str, int]
    outcomes: dict[str, int]
    statuses: dict[str, int]
    spare: int
    rewritten: dict[str, int]
    endpoints: list[dict[str, Any]]
    fidelity: dict[str, Any] | None
    warnings: list[str]
    late_by_cause: dict[str, dict[str, int]] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)  # where there are several
    run: str = ""
    aborted: str = ""  # by which condition, where one ended it
    interrupted: bool = False  # by a signal

    def carry_on(self) -> None:
        """KeyboardInterrupt where a person ended the run: nothing shall come after it."""
        if self.interrupted:
            raise KeyboardInterrupt

    @property
    def errors(self) -> int:
        """Requests that the target did not answer in full, or answered with 5xx."""
        return _failed(self.outcomes, self.statuses)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {**asdict(self), "errors": self.errors}


def _failed(outcomes: Mapping[str, int], statuses: Mapping[str, int]) -> int:
    failed = sum(count for name, count in outcomes.items() if Outcome[name] not in FINE)
    return failed + sum(n for status, n in statuses.items() if status.startswith("5"))


class Tally:
    """Accumulates the rows of a run."""

    def __init__(self) -> None:
        self.planned = 0
        self.sent = 0
        self.spare = 0
        self.outcomes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.lateness = Histogram()
        self.by_cause: dict[str, Histogram] = {}
        self.endpoints: dict[str, EndpointTimes] = {}
        self.targets: list[tuple[str, EndpointTimes]] = []  # where there are several
        self.rewritten: Counter[str] = Counter()
        self._due = (1 << 62, 0)
        self._sent = (1 << 62, 0)

    def add(self, rows: dict[str, Any]) -> None:
        """Add columns of the run."""
        sent_at = rows["request_first_ns"]
        gone = sent_at != NEVER
        self.planned += len(sent_at)
        self.sent += int(gone.sum())
        self.spare += int((rows["reuse"][gone] == Reuse.SPARE).sum())
        self.outcomes.update(_counted(rows["outcome"], lambda code: Outcome(code).name))
        answered = rows["outcome"] == Outcome.ANSWERED
        self.statuses.update(_counted(rows["status"][answered], str))
        late = sent_at - rows["due_ns"]
        self.lateness.add(late[gone])
        self._add_causes(late, np.where(gone, rows["late_cause"], Lateness.NONE))
        self._due = _wider(self._due, rows["due_ns"])
        self._sent = _wider(self._sent, sent_at[gone])
        self._add_endpoints(rows, answered)

    @property
    def lasted_ns(self) -> int:
        """From the first request sent to the last."""
        return max(0, self._sent[1] - self._sent[0])

    @property
    def failed(self) -> int:
        """Requests that the target did not answer in full, or answered with 5xx."""
        return _failed(self.outcomes, self.statuses)

    def _add_causes(self, late: Any, causes: Any) -> None:
        for cause in np.unique(causes[causes != Lateness.NONE]).tolist():
            histogram = self.by_cause.setdefault(Lateness(cause).name, Histogram())
            histogram.add(late[causes == cause])

    def _add_endpoints(self, rows: dict[str, Any], answered: Any) -> None:
        column = rows["endpoint"]
        for code in np.unique(column.codes).tolist():
            name = column.values[code]
            if name not in self.endpoints and len(self.endpoints) >= MAX_ENDPOINTS:
                name = "(other)"
            times = self.endpoints.setdefault(name, EndpointTimes())
            times.add(rows, column.codes == code, answered)
        for number, (_, times) in enumerate(self.targets):
            times.add(rows, rows["target_index"] == number, answered)

    def summary(self, **more: Any) -> Summary:
        """The figures so far."""
        due, sent = self._due[1] - self._due[0], self._sent[1] - self._sent[0]
        return Summary(
            planned=self.planned,
            sent=self.sent,
            answered=self.outcomes[Outcome.ANSWERED.name],
            span_ns=max(0, sent),
            planned_rate=self.planned / (due / 1e9) if due > 0 else 0.0,
            rate=self.sent / (sent / 1e9) if sent > 0 else 0.0,
            lateness=_quantiles(self.lateness),
            outcomes=dict(self.outcomes.most_common()),
            statuses=dict(self.statuses.most_common()),
            spare=self.spare,
            rewritten=dict(self.rewritten),
            endpoints=[_row(name, times) for name, times in self._busiest()],
            targets=[_row(name, times, "target") for name, times in self.targets],
            late_by_cause={
                name: {"requests": found.total, **_quantiles(found)}
                for name, found in sorted(self.by_cause.items())
            },
            **more,
        )

    def _busiest(self) -> list[tuple[str, EndpointTimes]]:
        return sorted(self.endpoints.items(), key=lambda item: -item[1].requests)


def _quantiles(histogram: Histogram) -> dict[str, int]:
    """The usual quantiles in ns."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: histogram.quantile(share) for name, share in shares.items()}


def _row(name: str, times: EndpointTimes, of: str = "endpoint") -> dict[str, Any]:
    return {
        of: name,
        "requests": times.requests,
        "failed": times.failed,
        "recorded": _quantiles(times.recorded),
        "service": _quantiles(times.service),
        "response": _quantiles(times.response),
    }


def _counted(codes: Any, name: Any) -> dict[str, int]:
    return {name(value): n for value, n in tally(codes)}


def _wider(span: tuple[int, int], values: Any) -> tuple[int, int]:
    if not len(values):
        return span
    return min(span[0], int(values.min())), max(span[1], int(values.max()))
