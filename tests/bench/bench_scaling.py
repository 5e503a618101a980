"""Ten times the load: each method against a true system of ten times the users, 6 seeds.

Sessions of a Cox process (a rate that wanders, with flash spikes), each of a few requests with
think times. 1.00 is right; medians over the seeds. The queue has one server with fixed service.

    python tests/bench/bench_scaling.py
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shapes.amplify import Starts, scaled
from shapes.counts import Counts
from shapes.load import Load

K, SPAN_S, RATE = 10, 1200, 5.0
Ints = NDArray[np.int64]


def system(
    seed: int, factor: int, draw: int, *, span_s: int = SPAN_S, rate_per_s: float = RATE,
    spikes: int = 6,
) -> dict[str, Ints]:  # fmt: skip
    """One draw of the system with so many times the users; the rate depends on the seed only."""
    world, random = np.random.default_rng(seed), np.random.default_rng([seed, draw])
    slow = np.exp(np.convolve(world.normal(0, 1, span_s * 10 + 600), np.ones(600) / 60, "valid"))
    rate = slow[: span_s * 10] / slow.mean()
    for at in world.integers(0, span_s * 10 - 30, spikes):
        rate[at : at + 30] *= 15
    starts = np.repeat(np.arange(rate.size), random.poisson(rate * rate_per_s * factor / 10))
    start = np.sort(starts * 10**8 + random.integers(0, 10**8, starts.size))
    each = random.geometric(0.2, start.size)
    session = np.repeat(np.arange(start.size), each)
    think = random.exponential(2e9, session.size)
    first = np.concatenate(([0], np.cumsum(each)[:-1]))
    think[first] = 0
    total = np.cumsum(think)
    due = (start[session] + total - total[first][session]).astype(np.int64)
    order = np.argsort(due, kind="stable")
    return {"due_ns": due[order], "session": session[order].astype(np.uint64),
            "clone": np.zeros(due.size, np.int32)}  # fmt: skip


def methods(plan: dict[str, Ints], seed: int) -> dict[str, Ints]:
    """Due times of each method."""
    random, due = np.random.default_rng([seed, 99]), plan["due_ns"]
    clones = {nearest: _cloned(plan, seed, nearest) for nearest in (16, 32)}
    span = int(due[-1]) + 1
    shifts = random.integers(0, span, K)
    return {
        "time compression": np.sort(due // K),
        "repeat each stamp": np.repeat(due, K),
        "random-shift overlay": np.sort(np.concatenate([(due + by) % span for by in shifts])),
        "clone sessions, K=16": clones[16],
        "clone sessions, K=32": clones[32],
    }


def _cloned(plan: dict[str, Ints], seed: int, nearest: int) -> Ints:
    starts = Starts([(plan["session"].astype(np.uint64), plan["due_ns"])], nearest)
    found = [chunk["due_ns"] for chunk in scaled([dict(plan)], starts, Load(scale=K), seed)]
    return np.concatenate(found)


def wait(due: Ints, service_ns: float) -> float:
    """p99.9 of the wait in a single-server queue (Lindley's recursion, by a running minimum)."""
    walk = np.arange(due.size) * service_ns - (due - due[0])
    return float(np.quantile(walk - np.minimum.accumulate(walk), 0.999)) + 1.0


def figures(due: Ints) -> list[float]:
    """IDC at 1 ms, 100 ms, 10 s, peak to mean at 1 s, p99.9 wait."""
    counts = Counts()
    counts.add(due)
    at = [counts.moments(tau).idc for tau in (10**6, 10**8, 10**10)]
    service = 0.6 * K * SPAN_S * 1e9 / (K * K * RATE * SPAN_S * 5)
    return [*at, counts.moments(10**9).peak_to_mean, wait(due, service)]


def main() -> None:
    """Print the table."""
    rows: dict[str, list[list[float]]] = {}
    for seed in range(6):
        truth = figures(system(seed, K, 1)["due_ns"])
        tried = {"another true draw": system(seed, K, 2)["due_ns"]}
        tried |= methods(system(seed, 1, 3), seed)
        for name, due in tried.items():
            ratios = [a / b for a, b in zip(figures(due), truth, strict=True)]
            rows.setdefault(name, []).append(ratios)
    print(f"{'method':24}{'IDC 1ms':>9}{'100ms':>9}{'10s':>9}{'peak 1s':>9}{'wait':>9}")
    for name, found in rows.items():
        print(f"{name:24}" + "".join(f"{v:9.2f}" for v in np.median(found, axis=0)))


if __name__ == "__main__":
    main()
