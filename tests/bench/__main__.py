"""Runs every benchmark, one after another, each in a process of its own: `make bench`.

A benchmark is a script `bench_*.py` with a `main` that prints a table with its peers, measured in
the same run. Names on the command line choose some: `python -m tests.bench capture replay`. Without
any, those that take longer than a few minutes are left out and named; `--all` runs them, too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
MOST_SECONDS = 7200
LONG = {
    "canary", "capacity", "dashboard", "faults", "kills", "leaks", "memory", "memory_replay",
    "report", "soak", "soak_leaks", "trial",
}  # fmt: skip


def main(chosen: list[str]) -> int:
    """Run the chosen benchmarks (without any, those that take minutes); how many failed."""
    failed = 0
    everything = "--all" in chosen
    chosen = [name for name in chosen if name != "--all"]
    if not chosen and not everything:
        print("Left out, since they take long (`make bench-all`):", ", ".join(sorted(LONG)))
    for script in sorted(FOLDER.glob("bench_*.py")):
        name = script.stem.removeprefix("bench_")
        if (chosen and name not in chosen) or (not chosen and name in LONG and not everything):
            continue
        print(f"\n=== {name} ===", flush=True)
        started = time.monotonic()
        try:
            code = subprocess.run(
                [sys.executable, "-m", f"tests.bench.{script.stem}"],
                cwd=FOLDER.parents[1], timeout=MOST_SECONDS, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = 124
        print(f"--- {name}: exit {code} after {time.monotonic() - started:.0f} s", flush=True)
        failed += code != 0
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
