"""The judgement of one run: a finding is one thing that broke, by how much, with its evidence.

A slow endpoint and a full pool look alike in a quantile. What tells them apart is how many
requests were in flight: a missing index or a slow third party is slow with nobody else waiting, a
pool only when it is full. So each endpoint is measured twice, when the target was idle (the
quarter of its requests with the fewest others in flight) and when it was busy.

Little's law gives the pool: in flight = throughput × service time. Where throughput stops growing
while requests pile up, throughput × the service time of an idle target is how many are served at
once. A duplicated effect is a request that the recording answered 2xx once and the run more often.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from capture.exchange import NEVER
from shapes.fidelity import Fidelity

from .fidelity import BLAMED, fidelity_of_rows
from .rows import Array, Rows

MS = 1_000_000
SLOWER = 2.0  # a ratio below this is left to `trial`, which can tell it from noise
FLOOR_NS = 5 * MS  # nobody notices less than this
FEWEST = 8  # requests of an endpoint below which nothing is said of its latency
EFFECTS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Finding:
    """One thing that broke. `weight` orders findings; `rows` are examples, numbers in the run."""

    kind: str  # slow, pool, duplicate, errors, status, leak, drift
    subject: str
    sentence: str
    weight: float
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint, recorded against replayed. Times in ms, nan where there were none."""

    endpoint: str
    count: int
    recorded: tuple[float, float, float]  # p50, p90, p99
    replayed: tuple[float, float, float]
    idle_ms: float
    failed: int
    recorded_failed: int
    changed: int  # answered with another status than recorded

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

    @property
    def word(self) -> str:
        """FAIL, PASS, or INVALID where the run was not faithful enough to say."""
        if self.fidelity is not None and not self.fidelity.valid:
            return "INVALID"
        return "FAIL" if self.findings else "PASS"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.fidelity is not None and not self.fidelity.valid:
            why = "; ".join(self.fidelity.reasons[:2])
            who = BLAMED[self.fidelity.blame or "generator"]
            return f"Not judged: the run did not follow its plan ({why}), and {who}."
        if not self.findings:
            return "Nothing that was recorded got slower, failed or had another effect."
        return "; ".join(finding.sentence for finding in self.findings[:3]) + "."

    @property
    def worst(self) -> tuple[EndpointRow, ...]:
        """The three endpoints that lost most."""
        ranked = sorted(self.endpoints, key=_loss, reverse=True)
        return tuple(ranked[:3])


def _loss(row: EndpointRow) -> float:
    slower = row.ratio if np.isfinite(row.ratio) else 1.0
    failures = max(0, row.failed - row.recorded_failed)
    return slower + 100 * failures / max(1, row.count)


def judge(rows: Rows, evidence: tuple[Finding, ...] = ()) -> Verdict:
    """The verdict of a run; `evidence` is what other instruments found (leaks, drift)."""
    in_flight = in_flight_at_send(rows)
    table = tuple(_endpoint(rows, code, in_flight) for code in range(len(rows.endpoints)))
    findings = [*evidence]
    if rows.is_run:
        pool = _pool(rows, in_flight)
        findings += [*_slow(rows, table), *([pool] if pool else [])]
        findings += [*_duplicates(rows), *_errors(rows, table), *_statuses(rows)]
    findings.sort(key=lambda finding: -finding.weight)
    ranked = tuple(sorted(table, key=_loss, reverse=True))
    return Verdict(fidelity_of_rows(rows), tuple(findings), ranked, in_flight)


def in_flight_at_send(rows: Rows) -> Array:
    """For each row, how many others were unanswered when it was sent (0 where it never was)."""
    sent, ended = rows["request_first_ns"], rows["response_last_ns"]
    whole = rows.answered
    starts, ends = np.sort(sent[whole]), np.sort(ended[whole])
    began = np.searchsorted(starts, sent, side="left")
    done = np.searchsorted(ends, sent, side="right")
    return np.where(sent == NEVER, 0, np.maximum(0, began - done))


def recorded_ns(rows: Rows) -> Array:
    """Service times to compare with: those of the tape for a run, its own for a recording."""
    return rows["recorded_service_ns"] if rows.is_run else rows.service_ns


def quantiles_ms(times: Array) -> tuple[float, float, float]:
    """p50, p90 and p99 in ms."""
    if not len(times):
        return (float("nan"),) * 3
    p50, p90, p99 = np.quantile(times, (0.5, 0.9, 0.99)) / MS
    return float(p50), float(p90), float(p99)


def _endpoint(rows: Rows, code: int, in_flight: Array) -> EndpointRow:
    mask = rows.endpoint == code
    service, before = rows.service_ns[mask], recorded_ns(rows)[mask]
    took = service != NEVER
    status, was = rows["status"][mask], rows["recorded_status"][mask]
    return EndpointRow(
        rows.endpoints[code],
        int(mask.sum()),
        quantiles_ms(before[before != NEVER]),
        quantiles_ms(service[took]),
        _idle(service[took], in_flight[mask][took]),
        int(rows.failed[mask].sum()),
        int((was >= 500).sum()),
        int(((status != was) & (was != 0) & (status != 0)).sum()),
    )


def _idle(service: Array, in_flight: Array) -> float:
    """Median service time in ms of the quarter with the fewest others in flight."""
    if not len(service):
        return float("nan")
    fewest = np.argsort(in_flight, kind="stable")[: max(3, len(service) // 4)]
    return float(np.median(service[fewest]) / MS)


def _slow(rows: Rows, table: tuple[EndpointRow, ...]) -> list[Finding]:
    found = []
    for row in table:
        before = row.recorded[0]
        if row.count < FEWEST or not np.isfinite(row.idle_ms) or not before > 0:
            continue
        times = row.idle_ms / before
        if times < SLOWER or (row.idle_ms - before) * MS < FLOOR_NS:
            continue
        sentence = (
            f"{row.endpoint} went from {human(before)} to {human(row.replayed[0])} "
            f"({times:.0f}× as slow even with nobody else waiting)"
        )
        found.append(Finding("slow", row.endpoint, sentence, 50 + times, _slowest(rows, row)))
    return found


def _slowest(rows: Rows, row: EndpointRow) -> tuple[int, ...]:
    places = np.flatnonzero(rows.of(row.endpoint))
    order = np.argsort(rows.service_ns[places])[::-1]
    return tuple(int(place) for place in places[order[:3]])


def _pool(rows: Rows, in_flight: Array) -> Finding | None:
    """Queueing on something shared: endpoints fast when idle, slow when busy, throughput flat."""
    service, before, whole = rows.service_ns, recorded_ns(rows), rows.answered
    idle = {
        code: _idle(service[mask], in_flight[mask]) * MS
        for code in range(len(rows.endpoints))
        if (mask := whole & (rows.endpoint == code)).sum() >= FEWEST
    }
    queued = []
    for code, base in idle.items():
        mask = whole & (rows.endpoint == code) & (before > 0)
        if not mask.any():
            continue
        p95, was = np.quantile(service[mask], 0.95), np.quantile(before[mask], 0.95)
        steady = base < SLOWER * max(float(np.median(before[mask])), MS)
        if steady and p95 > 3 * max(base, was) and p95 - was > 4 * FLOOR_NS:
            queued.append(code)
    if len(queued) < 2:
        return None
    mask = whole & np.isin(rows.endpoint, queued)
    size, throughput = pool_size(rows, mask, float(np.median([idle[code] for code in queued])))
    waited = float(np.quantile(service[mask], 0.95) / MS)
    names = ", ".join(rows.endpoints[code] for code in queued[:3])
    sentence = (
        f"a pool of about {size} saturates at {throughput:,.0f} requests/s: {names} are quick "
        f"alone but wait {human(waited)} when {int(in_flight[mask].max())} are in flight"
    )
    examples = np.flatnonzero(mask)[np.argsort(service[mask])[::-1][:3]]
    return Finding("pool", names, sentence, 40, tuple(int(place) for place in examples))


def pool_size(rows: Rows, mask: Array, idle_ns: float) -> tuple[int, float]:
    """How many are served at once, and at what throughput, while requests pile up."""
    ended = np.sort(rows["response_last_ns"][mask])
    width = max(100 * MS, int(np.ptp(ended)) // 200)
    served = np.bincount((ended - ended[0]) // width)
    throughput = float(np.quantile(served, 0.9)) / (width / 1e9)
    return max(1, round(throughput * idle_ns / 1e9)), throughput


def _duplicates(rows: Rows) -> list[Finding]:
    """Requests with an effect that succeeded more often than in the recording."""
    effect = np.array([name.startswith(EFFECTS) for name in rows.endpoints], dtype=bool)
    if not effect.any():
        return []
    status, was = rows["status"], rows["recorded_status"]
    twice = (status // 100 == 2) & (was >= 400) & (was < 500) & effect[rows.endpoint]
    twice &= ~np.isin(was, (401, 403, 404, 429))
    found = []
    for code in np.unique(rows.endpoint[twice]):
        places = np.flatnonzero(twice & (rows.endpoint == code))
        again = [int(place) for place in places if _had_succeeded(rows, int(place))]
        if not again:
            continue
        name = rows.endpoints[code]
        what = "charged twice" if "pay" in name.lower() else "took effect twice"
        sentence = f"{name} {what} in {len(again):,} cases that the recording refused"
        found.append(Finding("duplicate", name, sentence, 90, tuple(again[:3])))
    return found


def _had_succeeded(rows: Rows, place: int) -> bool:
    """Whether another request of the same session, clone and key was answered 2xx as well."""
    same = (rows["session"] == rows["session"][place]) & (rows["key"] == rows["key"][place])
    same &= (rows["clone"] == rows["clone"][place]) & (rows["status"] // 100 == 2)
    return bool(same.sum() > 1)


def _errors(rows: Rows, table: tuple[EndpointRow, ...]) -> list[Finding]:
    found = []
    for row in table:
        more = row.failed - row.recorded_failed
        if more < 3 or more < 0.005 * row.count:
            continue
        places = np.flatnonzero(rows.of(row.endpoint) & rows.failed)[:3]
        sentence = f"{row.endpoint} failed {more:,} of {row.count:,} times more than recorded"
        share = 60 + 40 * more / row.count
        found.append(Finding("errors", row.endpoint, sentence, share, tuple(map(int, places))))
    return found


def _statuses(rows: Rows) -> list[Finding]:
    """Answers of another class below 500, by endpoint: 404→200, 200→404."""
    status, was = rows["status"], rows["recorded_status"]
    changed = (status // 100 != was // 100) & (status > 0) & (was > 0) & (status < 500)
    changed &= (was < 500) & ~((was >= 400) & (status < 300))
    found = []
    for code in np.unique(rows.endpoint[changed]):
        places = np.flatnonzero(changed & (rows.endpoint == code))
        if len(places) < 3 or len(places) < 0.01 * (rows.endpoint == code).sum():
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
