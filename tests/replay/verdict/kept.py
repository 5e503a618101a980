"""Runs on disk that kept their answers, for tests of drift and of differences between answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capture.columns import CONNECTIONS, EXCHANGES
from capture.tape import TapeHeader, TapeWriter
from capture.tape.writer import _as_rows  # type: ignore[attr-defined]
from tests.replay.runs import run_columns


def write_run(
    path: Path,
    answer: Callable[[int], tuple[bytes, bytes]] | None = None,
    requests: Sequence[bytes] = (),
    **columns: Any,
) -> Path:
    """A run of as many rows as asked; `answer` gives head and body of each."""
    rows = {**run_columns(**{k: v for k, v in columns.items() if k in ("count", "slow", "seed")})}
    rows |= {
        name: value for name, value in columns.items() if name not in ("count", "slow", "seed")
    }
    count = len(rows["endpoint"])
    heap, heads, sizes, places = bytearray(), [], [], []
    for number in range(count):
        head, body = answer(number) if answer else (b"", b"")
        heads.append(len(head))
        sizes.append(len(head) + len(body))
        places.append(len(heap))
        heap += head + body
    rows["request_at"], rows["request_kept"] = _requests(heap, requests, count)
    rows |= {"response_at": np.array(places), "response_kept": np.array(sizes),
             "response_head_bytes": np.array(heads)}  # fmt: skip
    writer = TapeWriter(path, TapeHeader(kind="run"))
    writer.write_block(_as_rows(EXCHANGES, rows), _as_rows(CONNECTIONS, {}), bytes(heap))
    writer.close()
    return path


def _requests(heap: bytearray, requests: Sequence[bytes], count: int) -> tuple[Any, Any]:
    at, kept = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for number, request in enumerate(requests):
        at[number], kept[number] = len(heap), len(request)
        heap += request
    return at, kept
