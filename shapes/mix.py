"""What is in the stream: endpoints, statuses, sizes, latencies, defects, repeated requests.

Each endpoint is a row of the sketches of request bytes, response bytes and recorded service time.
Past `MOST` endpoints the rest share one row. Key reuse is the share of requests equal to an earlier
one, measured on the keys whose hash falls in a slice that narrows as they become many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sketch import Sketch, named
from .tallies import tally

MOST = 1000
OTHER = "(other endpoints)"
_KEYS = 500_000
_QS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


class Mix:
    """Accumulates what exchanges are, in any order."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._exchanges = self._malformed = 0
        self._request, self._response, self._service = Sketch(), Sketch(), Sketch()
        self._statuses: dict[tuple[int, int], int] = {}
        self._types: dict[str, int] = {}
        self._defects = np.zeros(64, np.int64)
        self._keys: dict[int, int] = {}
        self._slice = 0

    def add(self, rows: dict[str, Any]) -> NDArray[np.int16]:
        """Add rows of a tape; the number of each row's endpoint."""
        endpoint = rows["endpoint"]
        to_row = np.array([self._row(name) for name in endpoint.values] or [0], np.int64)
        row = to_row[np.asarray(endpoint.codes)]
        self._exchanges += row.size
        self._malformed += int(np.count_nonzero(rows["kind"] == 1))
        self._request.add(rows["request_bytes"], row)
        self._response.add(rows["response_bytes"], row)
        answered = (rows["response_last_ns"] >= 0) & (rows["request_first_ns"] >= 0)
        service = rows["response_last_ns"][answered] - rows["request_first_ns"][answered]
        self._service.add(service, row[answered])
        for code, n in tally(row * 1000 + rows["status"]):
            place = (code // 1000, code % 1000)
            self._statuses[place] = self._statuses.get(place, 0) + n
        kinds = rows["content_type"]
        for code, n in tally(np.asarray(kinds.codes)):
            self._types[kinds.values[code]] = self._types.get(kinds.values[code], 0) + n
        faulty = rows["defects"][rows["defects"] != 0]
        for bit in range(64) if faulty.size else ():
            self._defects[bit] += np.count_nonzero(faulty >> np.uint64(bit) & np.uint64(1))
        self._add_keys(rows["key"])
        return np.asarray(row, np.int16)

    def merge(self, other: Mix) -> list[int]:
        """Add what another accumulator saw; the number here of each of its endpoints."""
        places = [self._row(name) for name in other._names] or [0]
        for mine, theirs in ((self._request, other._request), (self._response, other._response),
                             (self._service, other._service)):  # fmt: skip
            for their_row, row in enumerate(places[: theirs.counts.shape[0]]):
                mine.grow(row + 1)
                mine.counts[row] += theirs.counts[their_row]
        self._exchanges += other._exchanges
        self._malformed += other._malformed
        for (row, status), n in other._statuses.items():
            place = (places[row], status)
            self._statuses[place] = self._statuses.get(place, 0) + n
        for name, n in other._types.items():
            self._types[name] = self._types.get(name, 0) + n
        self._defects += other._defects
        self._slice = max(self._slice, other._slice)
        for key, n in other._keys.items():
            self._keys[key] = self._keys.get(key, 0) + n
        self._narrow()
        return places

    @property
    def names(self) -> list[str]:
        """The endpoints, by number."""
        return list(self._names)

    def render(self) -> dict[str, Any]:
        """The mix as plain values; endpoints by how often they were asked."""
        rows = sorted(self._names.values(), key=lambda row: -self._request.total(row))
        names = {row: name for name, row in self._names.items()}
        return {
            "endpoints": [self._endpoint(names[row], row) for row in rows],
            "request_bytes": self._quantiles(self._request),
            "response_bytes": self._quantiles(self._response),
            "service_s": self._quantiles(self._service, 1e-9),
            "statuses": self._by_status(None),
            "content_types": dict(sorted(self._types.items(), key=lambda kv: -kv[1])[:50]),
            "malformed_share": self._malformed / self._exchanges if self._exchanges else 0.0,
            "defects": {str(bit): int(n) for bit, n in enumerate(self._defects) if n},
            "key_reuse": self._reuse(),
        }

    def _endpoint(self, name: str, row: int) -> dict[str, Any]:
        n = self._request.total(row)
        return {
            "endpoint": name,
            "exchanges": n,
            "share": n / self._exchanges,
            "statuses": self._by_status(row),
            "request_bytes": self._request.named(_QS, row=row),
            "response_bytes": self._response.named(_QS, row=row),
            "service_s": named(_QS, self._service_of(row), 1e-9),
        }

    def _service_of(self, row: int) -> list[float]:
        known = row < self._service.counts.shape[0]
        return self._service.quantiles(_QS, row) if known else [0.0 for _ in _QS]

    def _quantiles(self, sketch: Sketch, unit: float = 1.0) -> dict[str, float]:
        whole = Sketch()
        whole.counts[0] = sketch.counts.sum(axis=0)
        return whole.named(_QS, unit)

    def _by_status(self, row: int | None) -> dict[str, int]:
        found: dict[str, int] = {}
        for (at, status), n in sorted(self._statuses.items()):
            if row is None or at == row:
                found[str(status)] = found.get(str(status), 0) + n
        return found

    def _row(self, name: str) -> int:
        if name not in self._names and len(self._names) >= MOST:
            name = OTHER
        return self._names.setdefault(name, len(self._names))

    def _add_keys(self, keys: NDArray[np.uint64]) -> None:
        mask = np.uint64((1 << self._slice) - 1)
        for key, n in tally(keys[(keys & mask) == 0]):
            self._keys[key] = self._keys.get(key, 0) + n
        self._narrow()

    def _narrow(self) -> None:
        while len(self._keys) > _KEYS:
            self._slice += 1
            # A key that falls outside a narrowed slice is forgotten with its count.
            mask = (1 << self._slice) - 1
            self._keys = {key: n for key, n in self._keys.items() if key & mask == 0}

    def _reuse(self) -> float:
        seen = sum(self._keys.values())
        return 1 - len(self._keys) / seen if seen else 0.0
