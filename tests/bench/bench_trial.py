"""Trials of real copies of the sample shop: one like the other, and one with a fault.

A trial of equals must never FAIL; one of a copy with a fault must, and name the endpoint: nothing
else fails, or it is what is told as the cause. Both
copies share this machine with the generator: pairs that were not sent on time are left out.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from replay.verdict.trial import trial
from replay.verdict.trial_options import TrialOptions
from samples.services import ROOT, shop, wiretape

CASES = (
    # candidate, switches, an endpoint that must fail
    ("the same", (), ""),
    ("missing index", ("--no-index",), "GET /search"),
    ("slow third party", ("--slow-third-party", "60"), "POST /payment"),
)
ROWS = ("--rows", "20000")


def main() -> None:
    """Print the table."""
    print(f"{'candidate':<18}{'pairs':>6}{'left out':>9}{'took':>7}  {'as it should':<13}said")
    with tempfile.TemporaryDirectory() as folder:
        tape = Path(folder) / "polite.tape"
        wiretape("capture", "pcap", ROOT / "samples" / "pcaps" / "polite.pcap.gz", "-o", tape)
        for name, switches, wanted in CASES:
            began = time.monotonic()
            with shop(*ROWS) as old, shop(*ROWS, *switches) as new:
                options = TrialOptions(
                    baseline=old, candidate=new, pairs=8, speed=4.0, scale=2.0,
                    realtime=os.geteuid() == 0,
                )  # fmt: skip
                told = trial(tape, options, lambda _: None)
            failed = [each.subject for each in told.decisions if each.word == "FAIL"]
            alone = all(wanted in subject for subject in failed)
            named = bool(failed) and (alone or wanted in "".join(told.causes))
            right = named if wanted else not failed
            took = time.monotonic() - began
            print(
                f"{name:<18}{told.pairs:>6}{len(told.left_out):>9}{took:>5.0f} s"
                f"  {'yes' if right else 'NO':<13}{told.word} {', '.join(failed[:2])}; "
                f"{'; '.join(told.causes)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
