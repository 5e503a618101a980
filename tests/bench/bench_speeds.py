"""One tape at five speeds: how long each run took beside what the speed makes of the tape."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tests.bench import bench_lateness
from tests.bench.bench_lateness import make_tape, may_run_in_real_time, recorder
from tests.bench.common import SENDER_CORE, stay_on_core

SPEEDS = (0.25, 0.5, 1.0, 3.7, 20.0)
SECONDS = 8.0
RATE = 500


def main() -> None:
    from capture.tape import Tape
    from replay.options import ReplayOptions
    from replay.run import replay

    realtime = may_run_in_real_time()
    print(f"## A tape of {SECONDS:g} s at {RATE}/s{', --realtime' if realtime else ''}\n")
    print("| speed | should take s | took s | off by % | lateness p99 µs |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        stay_on_core(SENDER_CORE)
        tape, path = Path(name) / "x.tape", Path(name) / "run.tape"
        bench_lateness.SECONDS = SECONDS
        make_tape(tape, RATE)
        for speed in SPEEDS:
            with recorder() as (url, pipe):
                options = ReplayOptions(
                    target=(url,), speed=speed, realtime=realtime, no_calibrate=True
                )
                summary = replay(tape, options, path)
                pipe.send(None)
                pipe.recv()
            with Tape.open(path) as run:
                blocks = list(run.columns(["due_ns", "request_first_ns"]))
            due = np.concatenate([np.asarray(block["due_ns"]) for block in blocks])
            sent = np.concatenate([np.asarray(block["request_first_ns"]) for block in blocks])
            planned, took = np.ptp(due) / 1e9, np.ptp(sent) / 1e9
            off = 100 * (took / planned - 1)
            late = summary.lateness["p99"] / 1e3
            print(f"| {speed:g} | {planned:.4f} | {took:.4f} | {off:+.4f} | {late:.0f} |")


if __name__ == "__main__":
    main()
