"""Tapes of known arrival times, and how far a synthetic one is from its source."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.shapes.shape_tapes import BEGIN, write

CORPUS = Path(os.environ.get("WIRETAPE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
AZURE = {name: CORPUS / "logs" / f"AzureLLMInferenceTrace_{name}.csv" for name in ("code", "conv")}


def azure(name: str) -> NDArray[np.int64]:
    """The arrival times of a trace, in ns since the epoch."""
    with open(AZURE[name], newline="") as file:
        rows = csv.reader(file)
        next(rows)
        stamps = [np.datetime64(row[0].strip().replace(" ", "T"), "ns") for row in rows]
    return np.sort(np.array(stamps)).astype(np.int64)


def tape_at(path: Path, times: NDArray[np.int64], seed: int = 1) -> Path:
    """A tape of requests at these times, by users who come back."""
    random = np.random.default_rng(seed)
    users = random.integers(1, max(times.size // 8, 2), times.size)
    which = random.integers(0, 3, times.size)
    rows: dict[str, Any] = {
        "connection": users, "session": users.astype(np.uint64),
        "client": (users // 3).astype(np.uint64),
        "endpoint": [("GET /", "GET /items/{id}", "POST /cart")[code] for code in which],
        "key": random.integers(0, 900, times.size).astype(np.uint64),
        "request_first_ns": times if times[0] > BEGIN // 2 else BEGIN + times,
        "request_bytes": random.integers(160, 900, times.size),
        "response_bytes": random.integers(80, 90_000, times.size),
        "status": np.where(random.random(times.size) < 0.95, 200, 500).astype(np.uint16),
    }  # fmt: skip
    rows["response_last_ns"] = rows["request_first_ns"] + random.integers(
        10**6, 9 * 10**7, users.size
    )
    return write(path, rows, blocks=4)


def furthest(source: dict[str, Any], made: dict[str, Any]) -> tuple[float, float]:
    """The largest |Δ ln IDC| from 10 ms to a thirtieth of the source's span, and at which τ."""
    theirs = {round(tau, 9): value for tau, value in made["arrivals"]["idc"]}
    most = source["arrivals"]["span_s"] / 30
    apart = [
        (abs(math.log(theirs[round(tau, 9)] / value)), tau)
        for tau, value in source["arrivals"]["idc"]
        if 0.0099 < tau <= most and round(tau, 9) in theirs
    ]
    return max(apart)
