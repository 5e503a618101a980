"""Odd and simulated tapes for the tests of shapes, written with the real writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from capture.exchange import Kind, Outcome
from capture.tape import TapeHeader, TapeWriter

BEGIN = 1_700_000_000_000_000_000


def write(path: Path, rows: dict[str, Any], blocks: int = 1, **header: Any) -> Path:
    """A tape of these rows, in so many blocks."""
    writer = TapeWriter(path, TapeHeader(**header))
    size = len(rows["request_first_ns"]) if rows else 0
    for part in np.array_split(np.arange(size), blocks) if size else ():
        writer.append_rows({name: _some(column, part) for name, column in rows.items()})
    writer.close()
    return path


def recorded(count: int, seed: int = 1, gap_ns: float = 2e6) -> dict[str, Any]:
    """The rows of a recording: bursts of requests of a few users to three endpoints."""
    random = np.random.default_rng(seed)
    scale = np.where(random.random(count) < 0.2, 6 * gap_ns, 0.3 * gap_ns)
    asked = BEGIN + np.cumsum(random.exponential(scale)).astype(np.int64)
    which = random.integers(0, 3, count)
    users = random.integers(1, max(count // 8, 2), count)
    return {
        "connection": users.astype(np.int64),
        "session": users.astype(np.uint64),
        "client": (users // 2).astype(np.uint64),
        "endpoint": [("GET /", "GET /items/{id}", "POST /cart")[code] for code in which],
        "key": random.integers(0, 50, count).astype(np.uint64),
        "request_first_ns": asked,
        "response_last_ns": asked + random.exponential(5e6, count).astype(np.int64),
        "request_bytes": random.integers(80, 900, count),
        "response_bytes": random.integers(80, 90_000, count),
        "status": np.where(random.random(count) < 0.95, 200, 500).astype(np.uint16),
    }


def ran(count: int, seed: int = 1, gap_ns: float = 2e6) -> dict[str, Any]:
    """The rows of a run that followed its plan: each was sent 20 µs after it was due."""
    rows = recorded(count, seed, gap_ns)
    due = rows["request_first_ns"]
    return {
        **rows,
        "due_ns": due,
        "request_first_ns": due + 20_000,
        "source": np.arange(count),
        "clone": np.zeros(count, np.int32),
        "outcome": np.full(count, Outcome.ANSWERED, np.uint8),
    }


def odd(folder: Path) -> dict[str, Path]:
    """One tape of every odd kind, by name."""
    never = np.full(40, -1, np.int64)
    run = ran(40)
    unsent = {"request_first_ns": never, "response_last_ns": never,
              "outcome": np.full(40, Outcome.UNSENT, np.uint8)}  # fmt: skip
    one_moment = {"request_first_ns": np.full(40, BEGIN, np.int64)}
    kinds = {
        "empty": {},
        "one": recorded(1),
        "two": recorded(2),
        "one run": ran(1),
        "unanswered": recorded(40) | {"response_last_ns": never},
        "malformed": recorded(40) | {"kind": np.full(40, Kind.MALFORMED, np.uint8)},
        "tcp": recorded(40) | {"kind": np.full(40, Kind.TCP, np.uint8), "endpoint": [""] * 40},
        "one moment": recorded(40) | one_moment,
        "run": run,
        "unsent": run | unsent,
        "never asked": recorded(40) | {"request_first_ns": never},
    }
    written = {name: write(folder / f"{name}.tape", rows) for name, rows in kinds.items()}
    written["empty run"] = write(folder / "empty run.tape", {}, kind="run")
    written["damaged"] = damaged(write(folder / "damaged.tape", recorded(4000), blocks=4))
    written["damaged run"] = damaged(write(folder / "torn.tape", ran(4000), blocks=4, kind="run"))
    return written


def damaged(path: Path) -> Path:
    """The tape with some bytes of its middle overwritten and its end cut off."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data[: len(data) - 20])
    return path


def _some(column: Any, part: Any) -> Any:
    return [column[row] for row in part] if isinstance(column, list) else column[part]
