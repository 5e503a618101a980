"""Soaks: do 1,000 seams differ from random places, and how fast is a soak of 72 hours planned?

For each seed a tape of two hours (sessions of a Cox process, as in bench_scaling, without flash
spikes), its laps, and 1,000 seams against 1,000 random places of the same soak: the requests within
a second of each, and the gap that each falls in, by the two-sided Kolmogorov-Smirnov test. Random
places against other random places stand beside it: what the test itself says of no difference.

    python -m tests.bench.bench_soak_seams [seeds]
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from capture.tape import Tape, TapeHeader, TapeWriter
from replay.options import PlanOptions
from replay.planning.laps import Laps
from replay.planning.plan import plan_chunks
from shapes.load import Load

from .bench_scaling import Ints, system

SEAMS, HOURS, RATE = 1000, 2, 1.0
WINDOW_NS = 10**9
_BEGIN = 1_700_000_000_000_000_000


def laps_of(plan: dict[str, Ints], seed: int, cut_anywhere: bool = True) -> Laps:
    """The laps of a simulated tape; or all cut at its two ends, as a plain loop is."""
    rows = {**plan, "open_ns": plan["due_ns"]}
    cuts = range(0, plan["due_ns"].size, 50_000)
    chunks = [{name: column[at : at + 50_000] for name, column in rows.items()} for at in cuts]
    laps = Laps(lambda: iter(chunks), Load(), PlanOptions(soak=1 << 60, seed=seed))
    if not cut_anywhere:
        laps.seams.join_end_to_end()
    return laps


def around(laps: Laps, seed: int) -> tuple[dict[str, Ints], dict[str, Ints], dict[str, Ints]]:
    """Counts and gaps at the seams, at random places, and at other random places."""
    random = np.random.default_rng([seed, 7])
    seams = np.array([laps.seams.offset(lap) for lap in range(1, SEAMS + 1)])
    places = [seams, *(np.sort(random.integers(seams[0], seams[-1], SEAMS)) for _ in range(2))]
    every = np.unique(np.concatenate(places))
    counts, gaps = _looked(laps, every)
    found = []
    for place in places:
        at = np.searchsorted(every, place)
        found.append({"counts": counts[at], "gaps": gaps[at]})
    return found[0], found[1], found[2]


def _looked(laps: Laps, places: Ints) -> tuple[Ints, Ints]:
    """For each place the requests within the window around it, and the gap that it falls in."""
    counts, gaps = np.zeros(places.size, np.int64), np.zeros(places.size, np.int64)
    tail = np.empty(0, np.int64)
    done = 0
    for chunk in laps.chunks():
        due = np.concatenate([tail, chunk["due_ns"]])
        safe = int(np.searchsorted(places, due[-1] - 10 * WINDOW_NS))
        at = places[done:safe]
        low, high = (np.searchsorted(due, at + by) for by in (-WINDOW_NS, WINDOW_NS))
        counts[done:safe] = high - low
        after = np.clip(np.searchsorted(due, at), 1, due.size - 1)
        gaps[done:safe] = due[after] - due[after - 1]
        done = safe
        tail = due[np.searchsorted(due, due[-1] - 30 * WINDOW_NS) :]
        if done == places.size:
            break
    return counts, gaps


def _same(a: dict[str, Ints], b: dict[str, Ints]) -> list[float]:
    from scipy.stats import ks_2samp  # not before memory was measured

    return [float(ks_2samp(a[name], b[name], method="asymp").pvalue) for name in ("counts", "gaps")]


def seams_table(seeds: int) -> None:
    """Print the share of seeds in which no difference shows."""
    rows: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        plan = system(seed, 1, 1, span_s=HOURS * 3600, rate_per_s=RATE, spikes=0)
        seams, some, others = around(laps_of(plan, seed), seed)
        rows.setdefault("seams", []).append(_same(seams, some))
        rows.setdefault("other random places", []).append(_same(others, some))
        seams, some, _ = around(laps_of(plan, seed, cut_anywhere=False), seed)
        rows.setdefault("seams end to end", []).append(_same(seams, some))
    print(f"{SEAMS:,} places against {SEAMS:,} random ones, {seeds} seeds: seeds with KS p > 0.05")
    print(f"{'':24}{'counts':>9}{'gaps':>9}{'median p':>12}")
    for name, found in rows.items():
        p = np.array(found)
        shares = (p > 0.05).mean(axis=0)
        print(f"{name:24}{shares[0]:9.0%}{shares[1]:9.0%}{np.median(p):12.2f}")


def planning(hours: int = 72) -> None:
    """Print how fast and in how much memory a soak of an hour's tape is planned."""
    with tempfile.TemporaryDirectory() as folder:
        for sessions_per_s in (10.0, 40.0):
            path = Path(folder) / "hour.tape"
            writer = multiprocessing.get_context("spawn").Process(
                target=_write, args=(path, sessions_per_s)
            )
            writer.start()
            writer.join()
            began, used, planned = time.perf_counter(), time.process_time(), 0
            with Tape.open(path) as tape:
                rows = tape.exchange_count
                for chunk in plan_chunks(tape, PlanOptions(soak=hours * 3600 * 10**9)):
                    planned += len(chunk["due_ns"])
            took, used = time.perf_counter() - began, time.process_time() - used
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{hours} h of laps of {rows:,} requests: {planned:,} due times in {took:.1f} s, "
                  f"{planned / took / 1e6:.2f} M/s, {planned / used / 1e6:.2f} M/s of CPU "
                  f"(limit 1), resident peak {peak:.0f} MB (limit 200)")  # fmt: skip


def _write(path: Path, sessions_per_s: float) -> None:
    plan = system(1, 1, 1, span_s=3600, rate_per_s=sessions_per_s)
    random = np.random.default_rng(1)
    names = [f"GET /path/{number}" for number in range(50)]
    size = plan["due_ns"].size
    with TapeWriter(path, TapeHeader()) as writer:
        for part in np.array_split(np.arange(size), size // 20_000 + 1):
            users = plan["session"][part] + np.uint64(1)
            codes = np.minimum(random.zipf(1.5, part.size) - 1, 49)
            rows: dict[str, Any] = {
                "connection": users.astype(np.int64), "session": users, "client": users,
                "endpoint": [names[code] for code in codes],
                "request_first_ns": _BEGIN + plan["due_ns"][part],
                "request_bytes": np.full(part.size, 100),
            }  # fmt: skip
            writer.append_rows(rows)


def main() -> None:
    """Print both."""
    planning()
    seams_table(int(sys.argv[1]) if len(sys.argv) > 1 else 20)


if __name__ == "__main__":
    main()
