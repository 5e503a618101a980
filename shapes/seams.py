"""Where laps of a tape are joined, so that a seam looks like any other place of the stream.

A lap is what sessions that begin in [a, b) of the tape do; those still in flight at b go on beside
the next lap. Were each lap cut at the same place, a long run would return to one and the same
neighbourhood every time. So each seam takes a place of the tape, another each time, then cuts b
near the end of the tape and the next a near its begin where the traffic around is like that of the
place taken: as many requests and session starts in a window. So both ends match each other, and
seams together have the rates that random places have.

Cuts stay clear of the very ends of the tape, where sessions stand that were under way when it
began, or that it ends before their last request: as far as makes the requests of the sessions that
begin between them as many as the requests there. Where sessions last as long as the tape there is
no such place, and the tape is joined end to end, which cuts them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .amplify import Starts
from .counts import Ints
from .tallies import mix

TABLE = 1024
_PLACES = 1024
_ALIKE = 3
_ZONE = 4  # the share of the tape in which an end is looked for is 1/4
_CLEAR = (32, 16, 8)  # so much of the tape at each end may be left out
_OFF = 0.05
_FEWEST_STARTS = 256
_WIDTH = 64  # the window holds so many requests on average


class Seams:
    """The cut of each lap, and when in the run it begins; any lap can be asked for directly."""

    def __init__(self, starts: Starts, times: Ints, span_ns: int, seed: int = 0) -> None:
        """`times` are those of requests, or of each so manieth."""
        self.span_ns = max(span_ns, 1)
        self._seed = seed
        self.join_end_to_end()
        clear = _clear_of(starts, times, self.span_ns)
        if clear is not None and starts.first.size >= _FEWEST_STARTS:
            random = np.random.default_rng([seed & 0x7FFFFFFF, 5])
            self._end, self._next = _table(np.sort(starts.first), times, clear, random)
        self._done, self._offset = 0, 0

    def join_end_to_end(self) -> None:
        """Make every lap the whole tape."""
        self._next, self._end = np.zeros(1, np.int64), np.full(1, self.span_ns, np.int64)

    def cut(self, lap: int) -> tuple[int, int]:
        """The part of the tape whose sessions begin in this lap."""
        begin = 0 if lap == 0 else int(self._next[self._drawn(np.array([lap - 1]))[0]])
        return begin, int(self._end[self._drawn(np.array([lap]))[0]])

    def offset(self, lap: int) -> int:
        """When in the run this lap begins, in ns: fast for laps asked for in rising order."""
        if lap < self._done:
            self._done, self._offset = 0, 0
        while self._done < lap:
            laps = np.arange(self._done, min(lap, self._done + 65_536))
            self._offset += int(self._lengths(laps).sum())
            self._done += laps.size
        return self._offset

    def lap_at(self, ns: int) -> int:
        """The last lap that begins no later than this time of the run."""
        lap, at = 0, 0
        while True:
            ends = at + np.cumsum(self._lengths(np.arange(lap, lap + 4096)))
            if ns < ends[-1]:
                return lap + int(np.searchsorted(ends, ns, "right"))
            lap, at = lap + 4096, int(ends[-1])

    def _lengths(self, laps: Ints) -> Ints:
        begins = np.where(laps == 0, 0, self._next[self._drawn(np.maximum(laps - 1, 0))])
        return np.asarray(self._end[self._drawn(laps)] - begins, np.int64)

    def _drawn(self, laps: Ints) -> Ints:
        """The row of the table for the seam after each lap: all of them, then all in new order."""
        size = self._end.size
        steps = mix(laps // size, np.full(laps.size, self._seed, np.int64)) | np.uint64(1)
        return (laps.view(np.uint64) * steps % np.uint64(size)).astype(np.int64)


def _clear_of(starts: Starts, times: Ints, span: int) -> tuple[int, int, int] | None:
    """(begin, end, room): cuts lie within `room` of these; None where no place is good."""
    for share in _CLEAR if times.size else ():
        begin, end = span // share, span - span // share
        inside = (starts.first >= begin) & (starts.first < end)
        low, high = np.searchsorted(times, (begin, end)).tolist()
        expected = (high - low) / times.size
        brought = float(starts.requests[inside].sum()) / float(starts.requests.sum())
        if expected and abs(brought / expected - 1) < _OFF:
            return begin, end, span // _ZONE
    return None


def _table(
    starts: Ints, times: Ints, clear: tuple[int, int, int], random: np.random.Generator
) -> tuple[Ints, Ints]:
    """For each of many seams the end of the lap before it and the begin of the one after it."""
    first, last, room = clear
    anywhere = _played(clear)
    tail = random.integers(last - room, last, _PLACES)
    head = random.integers(first, first + room, _PLACES)
    wanted, tails, heads = (
        _around(starts, times, first + last, at) for at in (anywhere, tail, head)
    )
    end = random.permutation(_alike(wanted, tails, random))
    begin = _alike(tails[end], heads, random)
    return tail[end], head[begin]


def _played(clear: tuple[int, int, int]) -> Ints:
    """Places all over the tape, as dense as laps play them: what lies at the ends is so seldom."""
    first, last, room = clear
    places = np.linspace(first, last, 16 * TABLE).astype(np.int64)
    often = np.minimum((places - first) / room, 1) * np.minimum((last - places) / room, 1)
    share = np.cumsum(often) / often.sum()
    return np.asarray(places[np.searchsorted(share, (np.arange(TABLE) + 0.5) / TABLE)], np.int64)


def _around(starts: Ints, requests: Ints, span: int, at: Ints) -> NDArray[np.float64]:
    """What the traffic around places is like: the counts in a window."""
    rows = []
    for times in (requests, starts):
        half = min(int(span * _WIDTH / max(times.size, 1) / 2) + 1, span // _CLEAR[0])
        low, high = np.searchsorted(times, at - half), np.searchsorted(times, at + half)
        rows.append(np.sqrt(high - low))  # the root has the same noise at every rate
    return np.stack(rows, axis=1)


def _alike(
    wanted: NDArray[np.float64], found: NDArray[np.float64], random: np.random.Generator
) -> Ints:
    """For each wanted place one of those found that are most like it."""
    far = (wanted * wanted).sum(1)[:, None] + (found * found).sum(1) - 2 * wanted @ found.T
    near = np.argpartition(far, _ALIKE, axis=1)[:, :_ALIKE]
    chosen = random.integers(0, _ALIKE, len(wanted))
    return np.asarray(near[np.arange(len(wanted)), chosen], np.int64)
