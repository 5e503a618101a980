"""Memory of `capture pcap -` with very many connections open at once, whatever the input's length.

A generator writes captures into a pipe, so that no disk limits them; the peak of resident memory
is what the kernel tells of the process when it has ended. Every exchange that was generated has to
be on the tape. The first rows differ in length alone: memory that grew with it would show there.

    python -m tests.bench.bench_memory            all rows: some 20 minutes
    python -m tests.bench.bench_memory 1 4        inputs of these lengths only
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from samples.packets import Conversations
from tests.bench.common import ROOT

_OPEN = 100_000
_SHORT_BYTES = 1_300  # an answer of one segment
_LENGTHS = (1, 4, 16)
_LIMIT_MB = 256


@dataclass(frozen=True)
class Row:
    """What a recording of a generated capture took."""

    gigabytes: float
    packets: int
    exchanges: int
    peak_mb: float
    seconds: float


def recorded(what: Conversations, folder: Path) -> Row:
    """Record a capture that is made while it is read."""
    named = ("connections", "exchanges", "open_at_once", "response_bytes")
    options = [f"--{name.replace('_', '-')}={getattr(what, name)}" for name in named]
    making = [sys.executable, "-m", "samples.packets", "-o", "/dev/stdout", *options]
    taking = [sys.executable, "-m", "wiretape", "capture", "pcap", "-", "--json",
              "-o", str(folder / "memory.tape")]  # fmt: skip
    began = time.monotonic()
    generator = subprocess.Popen(making, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    recorder = subprocess.Popen(taking, cwd=ROOT, stdin=generator.stdout, stdout=subprocess.PIPE)
    assert generator.stdout is not None
    assert recorder.stdout is not None
    generator.stdout.close()
    said = recorder.stdout.read()
    _, status, usage = os.wait4(recorder.pid, 0)
    recorder.returncode = os.waitstatus_to_exitcode(status)
    generator.wait()
    if recorder.returncode or not said:
        sys.exit(f"capture pcap failed with {recorder.returncode}")
    ledger = json.loads(said)["ledger"]
    wanted = what.connections * what.exchanges
    if ledger["exchanges"].get("kept", 0) != wanted:
        sys.exit(f"{wanted} exchanges were generated, on the tape are {ledger['exchanges']}")
    return Row(
        ledger["captured bytes"]["seen"] / 1e9,
        ledger["packets"]["seen"],
        wanted,
        usage.ru_maxrss / 1024,
        time.monotonic() - began,
    )


def main() -> None:
    """Print the table."""
    chosen = tuple(int(one) for one in sys.argv[1:])
    print(f"| {_OPEN:,} connections open at once | GB | packets | exchanges | peak MB | s |")
    print("|---|---|---|---|---|---|")
    wanted = [
        (f"input of {times}×", Conversations(_OPEN, times, _OPEN, _SHORT_BYTES))
        for times in chosen or _LENGTHS
    ]
    if not chosen:
        wanted.append(("large answers", Conversations(_OPEN, 7, _OPEN, 14_000)))
    for name, what in wanted:
        with tempfile.TemporaryDirectory() as folder:
            row = recorded(what, Path(folder))
        over = " (over the limit)" if row.peak_mb > _LIMIT_MB else ""
        print(
            f"| {name} | {row.gigabytes:.1f} | {row.packets:,} | {row.exchanges:,} "
            f"| {row.peak_mb:.0f}{over} | {row.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
