"""Each hidden fault of the sample shop, switched on alone: is it named, and nothing else?

The sample capture is replayed at copies of the shop. What a copy hides must be found, and nothing
else; a copy that hides nothing must pass. A small pool needs load to show: it is replayed at 4×, as
is a copy without a fault.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from replay.options import ReplayOptions
from replay.run import replay
from replay.verdict.judge import Verdict, judge
from replay.verdict.rows import read_rows
from samples.services import ROOT, shop, wiretape

CASES = (
    # fault, switches, speed, the findings that must be there
    ("none", (), 1.0, ()),
    ("none", (), 4.0, ()),
    ("missing index", ("--no-index",), 1.0, ("slow",)),
    ("small pool", ("--pool", "4"), 4.0, ("pool",)),
    ("payment race", ("--race",), 1.0, ("duplicate",)),
    ("slow third party", ("--slow-third-party", "400"), 1.0, ("slow",)),
    ("all of staging", ("--no-index", "--pool", "4", "--race"), 1.0, ("duplicate", "slow", "pool")),
)


def sample_tape(folder: Path) -> Path:
    """The tape of the sample capture."""
    tape = folder / "shop.tape"
    wiretape("capture", "pcap", ROOT / "samples" / "pcaps" / "shop.pcap.gz", "-o", tape)
    return tape


def verdict_of(tape: Path, switches: tuple[str, ...], speed: float) -> Verdict:
    """The verdict on a copy of the shop with those switches."""
    run = tape.with_name("run.tape")
    with shop(*switches) as url:
        replay(tape, ReplayOptions(target=(url,), speed=speed), run)
    return judge(read_rows(run))


def main() -> None:
    """Print the table."""
    print(f"{'fault':<18}{'speed':>6}  {'named':<6}{'said'}")
    with tempfile.TemporaryDirectory() as folder:
        tape = sample_tape(Path(folder))
        for fault, switches, speed, wanted in CASES:
            told = verdict_of(tape, switches, speed)
            found = {finding.kind for finding in told.findings}
            named = "yes" if found == set(wanted) else "NO"
            print(f"{fault:<18}{speed:>5g}×  {named:<6}{told.word}: {told.sentence}", flush=True)


if __name__ == "__main__":
    main()
