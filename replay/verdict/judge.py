"""The judgement of one run: a finding is one thing that broke, by how much, with its evidence.

A cause is told from its consequences. An endpoint that is slow alone (queueing.py) is a cause; one
that is quick alone and slow in company waits for something: for a pool that is too small, which is
a cause as well, or behind a slow endpoint, which is its consequence and is told with it. So are
failures while others wait. An effect is duplicated where the recording refused what the run took.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from capture.exchange import NEVER
from shapes.fidelity import Fidelity

from .fidelity import fidelity_of_rows, why_unlike
from .queueing import Queue, alone_ns, find_queue, in_flight_at_send, same_wait_ns
from .rows import Array, Rows
from .silence import silence

MS = 1_000_000
SLOWER = 2.0  # a ratio below this is left to `trial`, which can tell it from noise
FLOOR_NS = 5 * MS  # nobody notices less than this
FEWEST = 8  # requests of an endpoint below which nothing is said of its latency
EFFECTS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Finding:
    """One thing that broke: in a few words, and with what is known of it.

    `weight` orders findings; `rows` are examples, numbers in the run.
    """

    kind: str  # slow, pool, duplicate, errors, status, leak, drift
    subject: str
    sentence: str
    weight: float
    rows: tuple[int, ...] = ()
    more: str = ""  # what follows the sentence where there is room

    @property
    def full(self) -> str:
        """The sentence and what is known beside it."""
        return f"{self.sentence}{self.more}"


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint, recorded against replayed. Times in ms, nan where there were none."""

    endpoint: str
    count: int
    recorded: tuple[float, float, float]  # p50, p90, p99
    replayed: tuple[float, float, float]
    alone_ms: float  # with the fewest others in flight
    company: float  # how many others those were
    failed: int
    recorded_failed: int
    changed: int  # answered with another status than recorded

    @property
    def telling(self) -> tuple[str, int]:
        """The quantile that shows best what changed, and its place: p50, unless the tail is it."""
        p50 = self.replayed[0] / self.recorded[0] if self.recorded[0] else float("nan")
        return ("p99", 2) if self.ratio > 2 * p50 else ("p50", 0)

    @property
    def ratio(self) -> float:
        """Replayed p99 over recorded p99; nan where either is missing."""
        return self.replayed[2] / self.recorded[2] if self.recorded[2] else float("nan")


@dataclass(frozen=True)
class Verdict:
    """Everything that is said of one run."""

    fidelity: Fidelity | None
    findings: tuple[Finding, ...]
    endpoints: tuple[EndpointRow, ...]
    in_flight: Array = field(repr=False)
    lost: tuple[str, ...] = ()  # what of the run cannot be read

    @property
    def refused(self) -> bool:
        """Whether the run is damaged or too unlike its plan to be judged, not by the target."""
        kept = self.fidelity
        return bool(self.lost) or (kept is not None and not kept.valid and kept.blame != "target")

    @property
    def word(self) -> str:
        """FAIL, PASS, or INVALID where the run was not faithful enough to say."""
        if self.refused:
            return "INVALID"
        return "FAIL" if self.findings else "PASS"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, and what an invalid run showed all the same."""
        seen = "; ".join(finding.sentence for finding in self.findings[:3])
        if len(self.findings) > 3:
            seen += f"; and {len(self.findings) - 3} more"
        if self.refused:
            told = f"Not judged: {self._why_refused()}."
            return f"{told} Seen all the same: {seen}." if seen else told
        if seen.partition(" ")[0].isalpha():  # not the name of a metric
            seen = seen[0].upper() + seen[1:]
        return f"{seen}." if seen else "Nothing got slower, failed or had another effect."

    def _why_refused(self) -> str:
        if self.lost:
            more = f" and {len(self.lost) - 1:,} more" if len(self.lost) > 1 else ""
            return f"the run is damaged ({self.lost[0]}{more})"
        return why_unlike(self.fidelity)

    @property
    def worst(self) -> tuple[EndpointRow, ...]:
        """The three endpoints to look at: those that findings name, then those that lost most."""
        named = {name for finding in self.findings for name in finding.subject.split(", ")}
        ranked = sorted(self.endpoints, key=lambda row: (row.endpoint in named, _loss(row)))
        return tuple(ranked[:-4:-1])


def _loss(row: EndpointRow) -> float:
    slower = row.ratio if np.isfinite(row.ratio) else 1.0
    failures = max(0, row.failed - row.recorded_failed)
    return slower + 100 * failures / max(1, row.count)


def judge(rows: Rows, evidence: tuple[Finding, ...] = ()) -> Verdict:
    """The verdict of a run; `evidence` is what other instruments found (leaks, drift)."""
    in_flight = in_flight_at_send(rows)
    table = tuple(_endpoint(rows, code, in_flight) for code in range(len(rows.endpoints)))
    findings = [*evidence]
    if silent := silence(rows):
        findings.append(Finding("errors", "the target", silent, 100, (0,)))
    elif rows.is_run:
        twice = _duplicates(rows)
        told = {finding.subject for finding in twice}
        findings += _causes(rows, table, in_flight) + twice + _statuses(rows, told)
    findings.sort(key=lambda finding: -finding.weight)
    ranked = tuple(sorted(table, key=_loss, reverse=True))
    return Verdict(fidelity_of_rows(rows), tuple(findings), ranked, in_flight, rows.lost)


def _causes(rows: Rows, table: tuple[EndpointRow, ...], in_flight: Array) -> list[Finding]:
    """Slow endpoints, a full pool, failures; what follows from another is told with it."""
    alone = np.array([row.alone_ms for row in table]) * MS
    queue = find_queue(rows, alone, recorded_ns(rows))
    if queue is not None:
        table = tuple(_put_right(row, code, queue) for code, row in enumerate(table))
    least = max(FLOOR_NS, rows.blur_ns)
    slow = [code for code, row in enumerate(table) if _is_slow(row, least)]
    found = [_slow(rows, table[code], in_flight) for code in slow]
    explained = np.zeros(len(rows), bool)
    if queue is not None:
        quick = set(queue.endpoints) - set(slow)
        if len(quick) > 1 and (queue.small or not slow):
            found.append(_pool(rows, queue, slow))
        waited = queue.waiting | (in_flight >= queue.at_once)
        explained = rows.failed & waited & np.isin(rows.endpoint, [*queue.endpoints, *slow])
        found[0] = _with_consequences(found[0], rows, queue, slow, explained)
    return found + _errors(rows, table, explained)


def _put_right(row: EndpointRow, code: int, queue: Queue) -> EndpointRow:
    """The row with its time alone put right where it never was alone."""
    if code not in queue.own_ns or row.company < queue.at_once:
        return row
    return replace(row, alone_ms=min(row.alone_ms, queue.own_ns[code] / MS))


def _with_consequences(
    cause: Finding, rows: Rows, queue: Queue, slow: list[int], explained: Array
) -> Finding:
    behind = [rows.endpoints[code] for code in queue.endpoints if code not in slow]
    more = cause.more
    if cause.kind == "slow" and behind:
        others = f" and {len(behind) - 1} more wait" if len(behind) > 1 else " waits"
        more += f"; {behind[0]}{others} behind it"
    if explained.any():
        failed = int(explained.sum())
        more += f"; {failed:,} request{'s' if failed > 1 else ''} failed meanwhile"
    return replace(cause, more=more)


def recorded_ns(rows: Rows) -> Array:
    """Service times to compare with: those of the tape for a run, its own for a recording."""
    return rows["recorded_service_ns"] if rows.is_run else rows.service_ns


def _quantiles_ms(times: Array) -> tuple[float, float, float]:
    """p50, p90 and p99 in ms."""
    if not len(times):
        return (float("nan"),) * 3
    p50, p90, p99 = np.quantile(times, (0.5, 0.9, 0.99)) / MS
    return float(p50), float(p90), float(p99)


def _endpoint(rows: Rows, code: int, in_flight: Array) -> EndpointRow:
    mask = rows.by_endpoint[code]
    service, before = rows.service_ns[mask], recorded_ns(rows)[mask]
    took = service != NEVER
    alone, company = alone_ns(service[took], in_flight[mask][took])
    status, was = rows["status"][mask], rows["recorded_status"][mask]
    return EndpointRow(
        rows.endpoints[code],
        len(mask),
        _quantiles_ms(before[before != NEVER]),
        _quantiles_ms(service[took]),
        alone / MS,
        company,
        int(rows.failed[mask].sum()),
        int((was >= 500).sum()),
        int(((status != was) & (was != 0) & (status != 0)).sum()),
    )


def _is_slow(row: EndpointRow, least_ns: float) -> bool:
    """Whether an endpoint takes much longer than recorded with nobody else waiting."""
    before = row.recorded[0]
    if row.count < FEWEST or not np.isfinite(row.alone_ms) or not before > 0:
        return False
    return row.alone_ms >= SLOWER * before and (row.alone_ms - before) * MS >= least_ns


def _slow(rows: Rows, row: EndpointRow, in_flight: Array) -> Finding:
    before = row.recorded[0]
    times = row.alone_ms / before
    sentence = f"{row.endpoint} went from {human(before)} to {human(row.replayed[0])}"
    waited = same_wait_ns(rows, rows.of(row.endpoint), recorded_ns(rows), in_flight)
    if np.isfinite(waited):
        sentence += f", each by the same {human(waited / MS)}, as behind a slow third party"
    more = f", {times:,.0f}× as slow even with nobody else waiting"
    return Finding("slow", row.endpoint, sentence, 50 + min(times, 38), _slowest(rows, row), more)


def _slowest(rows: Rows, row: EndpointRow) -> tuple[int, ...]:
    places = np.flatnonzero(rows.of(row.endpoint))
    order = np.argsort(rows.service_ns[places])[::-1]
    return tuple(int(place) for place in places[order[:3]])


def _pool(rows: Rows, queue: Queue, slow: list[int]) -> Finding:
    """Endpoints that are quick alone wait for something that serves only so many at once."""
    whole = np.flatnonzero(queue.waiting)
    waited = float(np.quantile(rows.service_ns[whole], 0.95) / MS)
    quick = [code for code in queue.endpoints if code not in slow]
    names = ", ".join(rows.endpoints[code] for code in quick[:3])
    sentence = f"a pool of about {queue.at_once} saturates at {queue.throughput:,.0f} requests/s"
    more = (
        f": {names} are quick alone but wait {human(waited)} when {queue.in_flight:,} are in "
        f"flight; as quick as recorded, this load would have had {queue.needed:,} in flight"
    )
    examples = whole[np.argsort(rows.service_ns[whole])[::-1][:3]]
    return Finding("pool", names, sentence, 40, tuple(int(place) for place in examples), more)


def _duplicates(rows: Rows) -> list[Finding]:
    """Requests with an effect that succeeded more often than in the recording."""
    twice = _taken(rows)
    if not twice.any():
        return []
    found = []
    for code in np.unique(rows.endpoint[twice]):
        places = np.flatnonzero(twice & (rows.endpoint == code))
        again = [int(place) for place in places if _had_succeeded(rows, int(place))]
        if not again:
            continue
        name = rows.endpoints[code]
        what = "charged twice" if "pay" in name.lower() else "took effect twice"
        cases = "1 case" if len(again) == 1 else f"{len(again):,} cases"
        sentence = f"{name} {what} in {cases} that the recording refused"
        found.append(Finding("duplicate", name, sentence, 90, tuple(again[:3])))
    return found


def _taken(rows: Rows) -> Array:
    """Mask of the requests with an effect that the recording refused and the run took."""
    effect = np.array([name.startswith(EFFECTS) for name in rows.endpoints], dtype=bool)
    if not effect.any():
        return np.zeros(len(rows), bool)
    status, was = rows["status"], rows["recorded_status"]
    taken = (status // 100 == 2) & (was // 100 == 4) & effect[rows.endpoint]
    return np.asarray(taken & ~np.isin(was, (401, 403, 404, 429)))


def _had_succeeded(rows: Rows, place: int) -> bool:
    """Whether another request of the same session, clone and key was answered 2xx as well."""
    same = (rows["session"] == rows["session"][place]) & (rows["key"] == rows["key"][place])
    same &= (rows["clone"] == rows["clone"][place]) & (rows["status"] // 100 == 2)
    return bool(same.sum() > 1)


def _errors(rows: Rows, table: tuple[EndpointRow, ...], explained: Array) -> list[Finding]:
    """Endpoints that failed more often than recorded, but for what another finding explains."""
    failed = rows.failed & ~explained
    counts = np.bincount(rows.endpoint[failed], minlength=len(table))
    found = []
    for code, row in enumerate(table):
        more = int(counts[code]) - row.recorded_failed
        if more < 3 or more < 0.005 * row.count:
            continue
        places = np.flatnonzero((rows.endpoint == code) & failed)[:3]
        sentence = f"{row.endpoint} failed {more:,} of {row.count:,} times more than recorded"
        share = 60 + 25 * more / row.count
        found.append(Finding("errors", row.endpoint, sentence, share, tuple(map(int, places))))
    return found


def _statuses(rows: Rows, twice: set[str]) -> list[Finding]:
    """Answers of another class below 500, by endpoint: 404→200, 200→404.

    Not where an effect that happened twice is told, nor where a conflict (409) met another of the
    requests that were in each other's way: that hangs on their order.
    """
    status, was = rows["status"], rows["recorded_status"]
    changed = (status // 100 != was // 100) & (status > 0) & (was > 0) & (status < 500)
    named = np.array([name in twice for name in rows.endpoints], dtype=bool)
    changed &= (was < 500) & ~(_taken(rows) & ((was == 409) | named[rows.endpoint]))
    found = []
    for code in np.unique(rows.endpoint[changed]):
        here = rows.endpoint == code
        places = np.flatnonzero(changed & here)
        conflicts = status[places] == 409
        if conflicts.sum() <= ((was == 409) & (status // 100 == 2) & here).sum():
            places = places[~conflicts]
        if len(places) < 3 or len(places) < 0.01 * here.sum():
            continue
        first = int(places[0])
        sentence = (
            f"{rows.endpoints[code]} answered {status[first]} where {was[first]} was recorded, "
            f"{len(places):,} times"
        )
        examples = tuple(map(int, places[:3]))
        found.append(Finding("status", rows.endpoints[code], sentence, 30, examples))
    return found


def human(ms: float) -> str:
    """A duration as people say it: `0.4 ms`, `12 ms`, `4.1 s`."""
    if not np.isfinite(ms):
        return "–"
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"
