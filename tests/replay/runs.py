"""Runs made in memory, by a little simulation of a target with a pool, for tests of judging."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

import numpy as np

from capture.exchange import NEVER
from replay.verdict.rows import NUMBERS, TEXTS, Rows

MS = 1_000_000
MB = 1 << 20
ENDPOINTS = ("GET /search", "GET /items/{id}", "GET /cart")
BASE_MS = (12.0, 8.0, 6.0)


def rows_of(columns: Mapping[str, Any]) -> Rows:
    """Rows from whole columns; text columns as lists of str, absent columns filled as missing."""
    count = len(next(iter(columns.values())))
    numbers = {}
    for name in NUMBERS:
        empty = NEVER if name.endswith("_ns") or name == "source" else 0
        given = columns.get(name)
        numbers[name] = np.full(count, empty, np.int64) if given is None else np.asarray(given)
    texts = {name: _coded(list(columns.get(name, [""] * count))) for name in TEXTS}
    return Rows(numbers, *texts["endpoint"], *texts["target"])


def _coded(values: list[str]) -> tuple[Any, tuple[str, ...]]:
    places: dict[str, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return np.asarray(codes, np.int32), tuple(places)


def run_columns(
    *, count: int = 2000, rate: float = 200.0, slow: float = 1.0, pool: int = 0, late_ms: float = 0,
    seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Columns of a run: `slow` multiplies GET /search, `pool` bounds what is served at once."""
    rng = np.random.default_rng(seed)
    due = (np.cumsum(rng.exponential(1e9 / rate, count)) + 1e18).astype(np.int64)
    which = rng.integers(0, len(ENDPOINTS), count)
    recorded = np.array(BASE_MS)[which] * rng.lognormal(0, 0.1, count) * MS
    service = recorded * np.where(which == 0, slow, 1.0)
    sent = due + 10_000 + rng.exponential(late_ms * MS, count).astype(np.int64)
    ended = _served(sent, service, pool)
    return {
        "endpoint": [ENDPOINTS[code] for code in which],
        "target": ["/x"] * count,
        "connection": np.arange(count),
        "session": rng.integers(1, 50, count),
        "key": np.arange(count),
        "due_ns": due,
        "request_first_ns": sent,
        "response_first_ns": ended,
        "response_last_ns": ended,
        "recorded_service_ns": recorded.astype(np.int64),
        "status": np.full(count, 200),
        "recorded_status": np.full(count, 200),
        "outcome": np.full(count, 1),
        "clone": np.zeros(count, np.int64),
        "source": np.arange(count),
    }


def _served(sent: Any, service: Any, pool: int) -> Any:
    if not pool:
        return (sent + service).astype(np.int64)
    free = [0.0] * pool
    ended = np.zeros(len(sent), np.int64)
    for place in np.argsort(sent):
        start = max(float(sent[place]), heapq.heappop(free))
        ended[place] = int(start + service[place])
        heapq.heappush(free, start + service[place])
    return ended


def run(**options: Any) -> Rows:
    """The rows of such a run."""
    return rows_of(run_columns(**options))


def memory(seed: int, leak: float = 0.0, seconds: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """RSS once a second: 200 MB, a warm-up, a sawtooth of up to 40 MB, noise; `leak` bytes/s."""
    rng = np.random.default_rng(seed)
    at = np.arange(seconds, dtype=float)
    period, height = rng.uniform(4, 15), rng.uniform(5, 40) * MB
    warm_up = 50 * MB * (1 - np.exp(-at / 5))
    noise = rng.normal(0, 0.3 * MB, seconds)
    return at, 200 * MB + warm_up + height * (at / period % 1) + noise + leak * at
