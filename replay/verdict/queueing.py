"""What waits, and what it waits for: requests in flight, times alone, how many are served at once.

An endpoint *alone* is the twentieth of its requests that met the fewest others in flight: what it
costs before anybody queues. An endpoint *waits* where many of its requests take several times that.

How many are served at once is read from overtaking. Behind a pool of c that is handed out in order
of arrival, whatever was sent earlier and is still unanswered when a later one is answered must be
in the pool: so at most c − 1 are ever overtaken, however many wait (and that many are, where some
requests take several times as long as others; where all take alike, fewer). The pool is too small
where that is less than this load would have had in flight if each request took as long as recorded.

Where a target is full from its first second on, nothing is ever alone. But c tells when each
request had its turn: when all but c − 1 of those before it were gone. What it took from then on is
its own; so one that is slow is told from those that wait behind it.

Work takes longer in company and varies with what there is to do. What is added to each alike,
however many are in flight, is waited for elsewhere: at a third party, for a timer.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

import numpy as np

from capture.exchange import NEVER

from .rows import Array, Rows

MS = 1_000_000
ALONE_SHARE = 20
ALONE_FEWEST = 5
WAITS = 3.0  # times the time alone
WAITED_NS = 20 * MS  # where other endpoints do not wait
ALL_WAITED_NS = 50 * MS  # where all do: the processor may be what they wait for
WAITING_SHARE = 0.1  # of an endpoint's requests
ALIKE = 0.1  # how far apart what is added to requests may lie, of itself
FEWEST = 8
LOOKED_AT = 50_000
RARE = 0.1  # of as many as overtook fewer


@dataclass(frozen=True)
class Queue:
    """Something shared that requests wait for."""

    endpoints: tuple[int, ...]  # codes of those that wait
    waiting: Array  # mask of the rows that took several times their time alone
    at_once: int  # how many are served at the same time
    needed: int  # how many would have been in flight at the recorded service times
    in_flight: int  # how many were, at the worst: at least twice as many
    throughput: float  # answers/s while requests pile up
    own_ns: dict[int, float]  # by endpoint, what its quickest took from their turn on

    @property
    def small(self) -> bool:
        """Whether fewer are served at once than this load needs."""
        return self.at_once < self.needed


def in_flight_at_send(rows: Rows) -> Array:
    """For each row, how many others were unanswered when it was sent (0 where it never was)."""
    sent, ended = rows["request_first_ns"], rows["response_last_ns"]
    whole = rows.answered
    return _in_flight_of(sent[whole], ended[whole], sent)


def _in_flight_of(starts: Array, ends: Array, at: Array) -> Array:
    """How many of these spans hold each of these times (0 where a time is missing)."""
    began = np.searchsorted(np.sort(starts), at, side="left")
    done = np.searchsorted(np.sort(ends), at, side="right")
    return np.where(at == NEVER, 0, np.maximum(0, began - done))


def most_in_flight(starts: Array, ends: Array) -> int:
    """The most of these spans that were under way at once; those that begin together count all."""
    if not len(starts):
        return 0
    began = np.searchsorted(np.sort(starts), starts, side="right")
    return int((began - np.searchsorted(np.sort(ends), starts, side="right")).max())


def alone_ns(service: Array, in_flight: Array) -> tuple[float, float]:
    """Median service time of the few that met the fewest others, and how many those met."""
    if not len(service):
        return float("nan"), 0.0
    fewest = np.lexsort((service, in_flight))[: max(ALONE_FEWEST, len(service) // ALONE_SHARE)]
    return float(np.median(service[fewest])), float(np.median(in_flight[fewest]))


def same_wait_ns(rows: Rows, mask: Array, recorded: Array, in_flight: Array) -> float:
    """What is added to each of these requests alike; nan where it differs, or none had company."""
    same = mask & rows.answered & (recorded != NEVER) & (rows["status"] == rows["recorded_status"])
    same &= rows["status"] // 100 == 2  # who is refused did not get that far
    added = (rows.service_ns - recorded)[same]
    if len(added) < FEWEST or (in_flight[same] > 0).sum() * 4 < len(added):
        return float("nan")
    low, middle, high = np.quantile(added, (0.1, 0.5, 0.9))
    return float(middle) if high - low <= ALIKE * middle else float("nan")


def find_queue(rows: Rows, alone: Array, recorded: Array) -> Queue | None:
    """What two endpoints or more wait for, if they do. `alone` is by endpoint, in ns."""
    waits = _waiting(rows, alone, recorded, max(WAITED_NS, rows.blur_ns))
    queued, others = _waiting_endpoints(rows, waits)
    if not others:
        waits = _waiting(rows, alone, recorded, max(ALL_WAITED_NS, rows.blur_ns))
        queued, _ = _waiting_endpoints(rows, waits)
    queued = _not_alike(rows, queued, recorded)
    if len(queued) < 2:
        return None
    mask = _busiest(rows, rows.answered & np.isin(rows.endpoint, queued))
    sent, ended = rows["request_first_ns"][mask], rows["response_last_ns"][mask]
    served = rows["status"][mask] < 500
    overtaken = overtaking(sent[served], ended[served])
    at_once = served_at_once(overtaken)
    worst = int(_in_flight_of(sent, ended, sent).max()) + 1
    if worst < 2 * at_once:
        return None
    return Queue(
        queued,
        waits,
        at_once,
        _needed(rows, mask, recorded),
        worst,
        _throughput(ended[served] if served.any() else ended),
        _own_times(rows, mask, queued, at_once),
    )


def _not_alike(rows: Rows, codes: tuple[int, ...], recorded: Array) -> tuple[int, ...]:
    """Those of these endpoints whose requests do not all wait alike: a queue grows and shrinks."""
    if len(codes) < 2:
        return codes
    in_flight = in_flight_at_send(rows)
    waits = (same_wait_ns(rows, rows.endpoint == code, recorded, in_flight) for code in codes)
    return tuple(code for code, wait in zip(codes, waits, strict=True) if np.isnan(wait))


def _busiest(rows: Rows, mask: Array) -> Array:
    """Of very many requests those sent around the fullest moment: a pool shows where it is full."""
    places = np.flatnonzero(mask)
    if len(places) <= LOOKED_AT:
        return mask
    sent, ended = rows["request_first_ns"][places], rows["response_last_ns"][places]
    order = np.argsort(sent, kind="stable")
    fullest = int(np.argmax(_in_flight_of(sent, ended, sent[order])))
    first = min(max(0, fullest - LOOKED_AT // 2), len(places) - LOOKED_AT)
    chosen = np.zeros(len(rows), bool)
    chosen[places[order[first : first + LOOKED_AT]]] = True
    return chosen


def _waiting_endpoints(rows: Rows, waits: Array) -> tuple[tuple[int, ...], bool]:
    """The codes of the endpoints that wait, and whether there are others that hardly do."""
    count = len(rows.endpoints)
    answered = np.bincount(rows.endpoint[rows.answered], minlength=count)
    share = np.bincount(rows.endpoint[waits], minlength=count) / np.maximum(1, answered)
    known = answered >= FEWEST
    queued = np.flatnonzero((share > WAITING_SHARE) & known)
    return tuple(int(code) for code in queued), bool((known & (share < WAITING_SHARE / 5)).any())


def _waiting(rows: Rows, alone: Array, recorded: Array, longer_ns: int) -> Array:
    """Mask of the rows that took several times what was recorded or what they take alone.

    A request that was refused then and taken now is other work: its recorded time tells nothing.
    """
    other = rows["status"] // 100 != rows["recorded_status"] // 100
    base = np.where((recorded == NEVER) | other, np.nan_to_num(alone)[rows.endpoint], recorded)
    took = rows.service_ns
    return np.asarray(rows.answered & (took > WAITS * base) & (took > base + longer_ns))


def _own_times(rows: Rows, mask: Array, codes: tuple[int, ...], at_once: int) -> dict[int, float]:
    """By endpoint, what its quickest tenth took from its turn on."""
    places = np.flatnonzero(mask)
    sent, ended = rows["request_first_ns"][places], rows["response_last_ns"][places]
    own = ended - turns(sent, ended, at_once)
    served = rows["status"][places] < 500
    found = {}
    for code in codes:
        times = own[served & (rows.endpoint[places] == code)]
        if len(times):
            found[code] = float(np.quantile(times, 0.1))
    return found


def turns(sent: Array, ended: Array, at_once: int) -> Array:
    """When each request had its turn, if so many are served at once in order of arrival."""
    order = np.argsort(sent, kind="stable")
    gone: list[int] = []
    turn = sent.copy()
    for number, place in enumerate(order.tolist()):
        if number >= at_once:
            turn[place] = max(int(sent[place]), gone[number - at_once])
        insort(gone, int(ended[place]))
    return turn


def overtaking(sent: Array, ended: Array) -> Array:
    """For each request, how many sent before it were answered after it."""
    order = np.argsort(sent, kind="stable")
    ends: list[int] = []
    found = []
    for end in ended[order].tolist():
        found.append(len(ends) - bisect_right(ends, end))
        insort(ends, end)
    return np.array(found, np.int64)


def served_at_once(overtaken: Array) -> int:
    """The size of the pool behind which requests overtook so many: where their counts end.

    Some requests never take a place and overtake whoever waits, so the largest says nothing, and
    a quantile misses large pools. But those few are spread out, and up to c − 1 there are many of
    each: the first numbers that hardly any request has are beyond the pool.
    """
    counts = np.bincount(overtaken, minlength=1)
    usual = np.cumsum(counts) / np.arange(1, len(counts) + 1)
    for size in range(1, len(counts)):
        if counts[size : size + 1 + size // 4].sum() < RARE * usual[size - 1]:
            return size
    return len(counts)


def _needed(rows: Rows, mask: Array, recorded: Array) -> int:
    """The peak of what would be in flight if each took as long as was recorded."""
    known = mask & (recorded != NEVER)
    start = rows["due_ns"][known]
    return most_in_flight(start, start + recorded[known])


def _throughput(ended: Array) -> float:
    width = max(100 * MS, int(np.ptp(ended)) // 200)
    served = np.bincount((ended - ended.min()) // width)
    return float(np.quantile(served, 0.9)) / (width / 1e9)
