"""Runs every fuzz target, one after another, each in a process of its own: `make fuzz`.

    python -m tests.fuzz                  every target, half an hour each
    python -m tests.fuzz flows -t 60      one target, a minute

A target is a script `fuzz_*.py`; an input that breaks its invariant is left in build/fuzz/NAME.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
HALF_AN_HOUR = 1800
_GRACE = 120


def fuzz(name: str, seconds: int) -> int:
    """Run one target for so long; its exit code."""
    findings = ROOT / "build" / "fuzz" / name
    corpus = findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.from_source", name, f"-max_total_time={seconds}",
               f"-artifact_prefix={findings}/", "-timeout=10", "-print_final_stats=1",
               # What atheris itself holds grows with the runs; what an input may take does not.
               "-rss_limit_mb=4096", "-malloc_limit_mb=512", str(corpus)]  # fmt: skip
    try:
        return subprocess.run(command, cwd=ROOT, timeout=seconds + _GRACE, check=False).returncode
    except subprocess.TimeoutExpired:
        return 124


def main() -> int:
    """Run the chosen targets (all of them without any); how many failed."""
    there = sorted(path.stem.removeprefix("fuzz_") for path in FOLDER.glob("fuzz_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers.")
    parser.add_argument("target", nargs="*", help=f"of: {', '.join(there)}")
    parser.add_argument("-t", "--seconds", type=int, default=HALF_AN_HOUR, help="for each")
    asked = parser.parse_args()
    if unknown := set(asked.target) - set(there):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    failed = 0
    for name in asked.target or there:
        print(f"\n=== {name} ===", flush=True)
        code = fuzz(name, asked.seconds)
        print(f"--- {name}: exit {code}", flush=True)
        failed += code != 0
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
