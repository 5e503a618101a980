"""How often the leak test of a soak is wrong: leak-free targets with a sawtooth, and true leaks.

A day is simulated as a soak sees it: a sample each five seconds, the test asked whenever a soak
asks it. Free of leaks: a collector's sawtooth of any period up to 200 s and of any height, a
warm-up, noise, load that swings, now and then a cache that fills. Leaking: the same, and 200 KB/s
(1 KB a request at 200 requests/s) on top. A single false alarm anywhere in a run counts.
"""

from __future__ import annotations

import math
import random

import numpy as np

from replay.soak.budget import read_budget
from replay.soak.series import Watched
from tests.bench.common import median

RUNS = 50
HOURS = 12
EVERY_S = 5.0
MB = 1 << 20


def shop_like(seed: int, leak: float) -> float:
    """When a target of little memory and short teeth, as the sample shop, is told to leak; in s."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    at = np.arange(0.0, 600.0, EVERY_S) + noise.uniform(0, 0.8 * EVERY_S, 120)
    base = rng.uniform(40, 250) * MB
    tooth = (at / rng.uniform(0.5, 30)) % 1.0 * rng.uniform(0.01, 0.15) * base
    return told_at(at, base + tooth + leak * at)


def target(seed: int, seconds: float, leak: float) -> tuple[np.ndarray, np.ndarray]:
    """Resident memory of one simulated target, bytes."""
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    # Samples are taken at random moments: evenly spaced ones turn a quick tooth into a slow one.
    at = np.arange(0.0, seconds, EVERY_S)
    at = at + noise.uniform(0, 0.8 * EVERY_S, len(at))
    base = rng.uniform(60, 2000) * MB
    period = math.exp(rng.uniform(math.log(0.5), math.log(200)))
    tooth = rng.uniform(0.05, 1.5) * base
    minor = (at / period * rng.uniform(0.9, 1.1) + rng.random()) % 1.0 * tooth
    warm = base * rng.uniform(0, 0.5) * (1 - np.exp(-at / rng.uniform(5, 120)))
    load = 1 + 0.3 * np.sin(at / rng.uniform(300, 20_000) * 2 * math.pi + rng.random() * 6)
    jitter = noise.normal(0, 0.01 * base, len(at))
    return at, base + warm + minor * load + jitter + leak * at


def first_alarm(seed: int, seconds: float, leak: float) -> float:
    """When the test first says leak, in s; inf where it never does."""
    return told_at(*target(seed, seconds, leak))


def told_at(at: np.ndarray, values: np.ndarray) -> float:
    """When the test first says that these values leak, in s; inf where it never does."""
    watched = Watched("rss_bytes", read_budget("10%"), 86_400.0)
    now: float
    for now, value in zip(at.tolist(), values.tolist(), strict=True):
        watched.add(now, value)
        watched.look(now, 3)
        if watched.leaks:
            return now
    return math.inf


def main() -> None:
    false = [first_alarm(seed, HOURS * 3600.0, 0.0) for seed in range(RUNS)]
    wrong = [f"run {n} after {s:,.0f} s" for n, s in enumerate(false) if s < math.inf]
    print(f"free of leaks: {len(wrong)} of {RUNS} runs of {HOURS} h told a leak {wrong}")
    quick = [shop_like(seed, 200_000.0) for seed in range(RUNS)]
    in_time = sum(s <= 300 for s in quick)
    told = sum(shop_like(seed, 0.0) < math.inf for seed in range(RUNS))
    print(
        f"as the shop, leaking 200 KB/s: {in_time} of {RUNS} found within 300 s, median "
        f"{median(quick):,.0f} s; not leaking: {told} told"
    )
    for per_s in (200_000.0, 20_000.0):
        found = [first_alarm(1000 + seed, 3600.0 * 4, per_s) for seed in range(RUNS)]
        in_time = sum(s <= 300 for s in found)
        known = [s for s in found if s < math.inf]
        print(
            f"leaking {per_s / 1000:,.0f} KB/s: {len(known)} of {RUNS} found in 4 h, "
            f"median {median(known):,.0f} s, {in_time} within 300 s"
        )


if __name__ == "__main__":
    main()
