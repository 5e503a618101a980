"""How fast a big tape is described: a tape of N exchanges in a temporary folder, one core.

Beside it what numpy takes to read the same columns and sort those of sessions, clients and ends.

python tests/bench/bench_shapes.py [exchanges]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from capture.tape import Tape, TapeHeader, TapeWriter
from shapes.shape import COLUMNS, describe

BLOCK = 100_000


def make(path: Path, exchanges: int) -> None:
    """Write a tape of bursty arrivals, a million of them in twenty minutes."""
    random = np.random.default_rng(1)
    names = [f"GET /path/{i}" for i in range(50)]
    now = 1_700_000_000_000_000_000
    writer = TapeWriter(path, TapeHeader())
    for _ in range(exchanges // BLOCK):
        gaps = random.exponential(1.2e6, BLOCK) * np.where(random.random(BLOCK) < 0.1, 5, 0.55)
        asked = now + np.cumsum(gaps).astype(np.int64)
        now = int(asked[-1])
        ends = asked + random.lognormal(15, 1, BLOCK).astype(np.int64)
        codes = np.minimum(random.zipf(1.5, BLOCK) - 1, 49)
        users = random.integers(1, exchanges // 20 + 2, BLOCK).astype(np.uint64)
        writer.append_rows({
            "connection": (users // 2).astype(np.int64), "session": users, "client": users // 3,
            "endpoint": [names[code] for code in codes], "key": codes.astype(np.uint64),
            "request_first_ns": asked, "response_last_ns": ends,
            "request_bytes": random.integers(100, 900, BLOCK),
            "response_bytes": random.lognormal(8, 1.5, BLOCK).astype(np.int64),
            "status": np.where(random.random(BLOCK) < 0.99, 200, 500).astype(np.uint16),
        })  # fmt: skip
    writer.close()


def sorting(path: Path) -> float:
    """The CPU time in which numpy reads the columns and sorts by session, client and end."""
    began = time.process_time()
    with Tape.open(str(path)) as tape:
        first, last = tape.span_ns
        names = ("session", "client", "request_first_ns", "response_last_ns")
        held: dict[str, list[Any]] = {name: [] for name in names}
        for block in tape.in_order(COLUMNS, first, last + 1):
            for name in names:
                held[name].append(block[name])
    whole = {name: np.concatenate(parts) for name, parts in held.items()}
    np.lexsort((whole["request_first_ns"], whole["session"]))
    np.sort(whole["client"])
    np.sort(whole["response_last_ns"])
    return time.process_time() - began


def main() -> None:
    """Print the time and memory of describing."""
    exchanges = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.tape"
        make(path, exchanges)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, used = time.perf_counter(), time.process_time()
        shape = describe(Tape.open(str(path)))
        took, used = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peer = sorting(path)
    print(f"{shape['arrivals']['exchanges']:,} exchanges described in {took:.2f} s, "
          f"{used:.2f} s of CPU (limit 10 s for 10 million), resident peak {peak:.0f} MB "
          f"({before:.0f} MB before; limit 600 MB); numpy reads and sorts the same in {peer:.2f} s "
          f"of CPU, a ratio of {used / peer:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
