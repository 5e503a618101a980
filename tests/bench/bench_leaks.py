"""Is a leak of 1 KB a request found within five minutes at 200 requests/s, and none where none is?

First by simulation, 200 seeds each: memory with a warm-up, the sawtooth of a collector and noise,
with and without a leak. Then, with `--real`, at a copy of the shop that leaks 1 KB a request, and
at one that does not, each watched for five minutes of 200 requests/s.

`python -m tests.bench.bench_leaks [--real]`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capture.when import size
from replay.verdict.leaks import Growth, growth_of, read_samples
from samples.services import shop_process, wiretape
from tests.bench.bench_faults import sample_tape, watched
from tests.replay.runs import memory

RATE = 200
SEEDS = 200
SECONDS = 300


def simulated(leak: float, seconds: int, seeds: range) -> int:
    """In how many simulated watches a leak is told."""
    told = [growth_of("rss", *memory(seed, leak, seconds)) for seed in seeds]
    return sum(growth is not None and growth.leaks for growth in told)


def real(tape: Path, leak: int, folder: Path) -> Growth | None:
    """What is seen of a copy of the shop under a steady load."""
    log = folder / "memory.csv"
    # What only reads, without the search: 185 requests of the sample in 12.5 s, at 13.5 × the pace.
    load = ("--read-only", "--drop", "GET /search", "--speed", "13.5", "--loop", "325")
    with shop_process("--rows", "20000", "--leak", str(leak)) as (url, pid), watched(pid, log):
        wiretape("replay", tape, "--target", url, *load, "-o", folder / "run.tape")
    samples = read_samples(log)
    return growth_of("rss_bytes", samples["seconds"], samples["rss_bytes"])


def main() -> None:
    """Print the table."""
    print(f"{'watched':>9}{'1 KB a request':>18}{'no leak':>12}   (leaks told, of {SEEDS})")
    for seconds in (120, 180, 300, 600, 3600):
        found = simulated(RATE * 1024, seconds, range(SEEDS))
        false = simulated(0, seconds, range(1000, 1000 + SEEDS))
        print(f"{seconds:>7} s{found:>18}{false:>12}", flush=True)
    if "--real" not in sys.argv:
        return
    with tempfile.TemporaryDirectory() as name:
        tape = sample_tape(Path(name), "polite")
        for leak in (1024, 0):
            growth = real(tape, leak, Path(name))
            assert growth is not None
            told = "leak" if growth.leaks else "no leak"
            grown = f"{size(growth.slope / RATE)} a request, {size(growth.risen)} in all"
            print(f"shop, {leak:>5} bytes a request: {told}, {grown}", flush=True)


if __name__ == "__main__":
    main()
