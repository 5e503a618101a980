"""How near `wiretape capacity` comes to the capacity of targets whose capacity is known.

A pool of N workers that each take a fixed time serves N / time requests a second (Little's law).
Beside it stands what the same search finds when a simulated pool of that kind is asked instead, on
the same arrivals: with bursts the objective breaks a little before the pool is full, and in a short
run an overload shows a little late.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from capture.tape import Tape
from replay.capacity.capacity import Capacity, capacity
from replay.capacity.options import CapacityOptions
from replay.capacity.search import BREAKS, HOLDS, Search
from replay.options import ReplayOptions
from replay.planning.plan import plan_chunks
from replay.verdict.gate import parse
from tests.replay.capacity.pool import arrivals_tape, pool, waits_s

SECONDS, RATE = 8.0, 40.0
LIMIT_MS = 300
AS_ROOT = os.geteuid() == 0  # then pool and sender go before whatever else runs here
CASES = ((4, 0.020), (8, 0.040), (2, 0.010))


def in_theory(tape: Path, workers: int, service_s: float) -> float:
    """Requests/s that the same search finds at a simulated pool."""
    search = Search(1.0, precision=0.05)
    rates: dict[float, list[float]] = {}
    number = 0
    with Tape.open(tape) as source:
        while (scale := search.next()) is not None:
            number += 1
            options = ReplayOptions(scale=scale, seed=number)
            due = np.concatenate([chunk["due_ns"] for chunk in plan_chunks(source, options)]) / 1e9
            p99 = float(np.quantile(waits_s(due, workers, service_s), 0.99)) * 1000
            search.told(scale, HOLDS if p99 < LIMIT_MS else BREAKS)
            rates.setdefault(scale, []).append(len(due) / float(np.ptp(due)))
    return float(np.mean(rates[search.bracket[0]]))


def measured(tape: Path, workers: int, service_s: float) -> Capacity:
    """The search at a real pool."""
    objective = parse(f"p99 < {LIMIT_MS}ms and errors < 1%")
    with pool(workers, service_s, AS_ROOT) as url:
        options = CapacityOptions(
            target=(url,), rest=500_000_000, scale=2.0, confirm=1, realtime=AS_ROOT
        )
        return capacity(tape, options, objective, lambda line: print(line, file=sys.stderr))


def main() -> None:
    """Print the table."""
    print(f"p99 < {LIMIT_MS} ms, a tape of {SECONDS:g} s at {RATE:g} requests/s, precision 5 %")
    print(f"{'pool':<16}{'N / time':>10}{'simulated':>11}{'found':>9}{'of N/time':>11}{'runs':>6}"
          f"{'invalid':>9}{'took':>8}  bound by")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        tape = arrivals_tape(Path(folder) / "x.tape", SECONDS, RATE)
        for workers, service_s in CASES:
            began = time.monotonic()
            told = measured(tape, workers, service_s)
            truth = workers / service_s
            invalid = sum(probe.word == "invalid" for probe in told.probes)
            print(
                f"{workers} × {service_s * 1000:<10.0f}ms{truth:>9,.0f}/s"
                f"{in_theory(tape, workers, service_s):>9,.0f}/s{told.rate:>7,.0f}/s"
                f"{told.rate / truth:>10.0%}{len(told.probes):>6}{invalid:>9}"
                f"{time.monotonic() - began:>6.0f} s  {told.bound_by}",
                flush=True,
            )


if __name__ == "__main__":
    main()
