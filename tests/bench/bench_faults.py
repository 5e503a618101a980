"""Each hidden fault of the sample shop, switched on alone: is it named, and nothing else?

The sample capture is replayed at copies of the shop. What a copy hides must be found, and nothing
else; a copy that hides nothing must pass. Each copy is asked what it reveals of itself (drift) and
its memory is watched (leak), so nothing tells the judgement which fault to look for. Before that
it is warmed by the same requests as fast as it takes them: what fills its caches is no leak.
A small pool needs load to show: it is replayed at 4×, as is a copy without a fault.

`python -m tests.bench.bench_faults [fault …]` prints the table; `others` is how much of the shop's
processor other programs took: where that is much, a copy without a fault is slow as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.services import ROOT, shop_process, wiretape
from tests.bench.common import rss_mb

MB = 1 << 20
EVERY_S = 0.05
WARMED = 1
SETTLED_S = 2.2
"""By then the shop has forgotten the orders that were paid while it was warmed."""


@dataclass(frozen=True)
class Fault:
    """One fault: its switches, the speed that shows it, what must be found and said."""

    name: str
    switches: tuple[str, ...]
    speed: float
    kinds: tuple[str, ...]
    said: str


FAULTS = (
    Fault("none", (), 1, (), ""),
    Fault("none", (), 4, (), ""),
    Fault("missing index", ("--no-index",), 1, ("slow",), "GET /search went from"),
    Fault("small pool", ("--pool", "2"), 4, ("pool",), "pool of about"),
    Fault("payment race", ("--race",), 1, ("duplicate",), "POST /payment charged twice"),
    Fault("leak", ("--leak", "60000"), 1, ("leak",), "rss_bytes grows by"),
    Fault("drifted version", ("--version", "2"), 1, ("drift",), "is set up differently"),
    Fault("slow third party", ("--slow-third-party", "400"), 1, ("slow",), "slow third party"),
    Fault(
        "all of staging", ("--no-index", "--pool", "4", "--race"), 1,
        ("duplicate", "slow", "pool"), "charged twice",
    ),
)  # fmt: skip


def sample_tape(folder: Path, name: str = "shop") -> Path:
    """The tape of a sample capture."""
    tape = folder / f"{name}.tape"
    wiretape("capture", "pcap", ROOT / "samples" / "pcaps" / f"{name}.pcap.gz", "-o", tape)
    return tape


@contextlib.contextmanager
def watched(pid: int, path: Path) -> Iterator[None]:
    """Write down the memory of a process while the block runs, as `--watched` reads it."""
    stop, lines = threading.Event(), ["seconds,rss_bytes"]
    began = time.monotonic()

    def watch() -> None:
        while not stop.wait(EVERY_S):
            lines.append(f"{time.monotonic() - began:.3f},{rss_mb(pid) * MB:.0f}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.write_text("\n".join(lines), encoding="utf-8")


class Crowd:
    """Who else used the processor that a shop has to itself: others make it slow without a fault.

    `share` is how much of that core went to other processes since; 0 where it cannot be told.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._since = (time.monotonic(), *self._seconds())

    def _seconds(self) -> tuple[float, float]:
        tick = os.sysconf("SC_CLK_TCK")
        try:
            core = min(os.sched_getaffinity(self._pid))
            lines = Path("/proc/stat").read_text().splitlines()
            numbers = next(line.split()[1:] for line in lines if line.startswith(f"cpu{core} "))
            own = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, AttributeError, StopIteration):
            return 0.0, 0.0
        user, nice, system, _, _, irq, softirq, steal = map(int, numbers[:8])
        busy = user + nice + system + irq + softirq + steal
        return busy / tick, (int(own[11]) + int(own[12])) / tick

    @property
    def share(self) -> float:
        began, busy, own = self._since
        now_busy, now_own = self._seconds()
        return ((now_busy - busy) - (now_own - own)) / (time.monotonic() - began)


def report_of(tape: Path, folder: Path, switches: tuple[str, ...], speed: float) -> dict[str, Any]:
    """The report of a replay at a copy of the shop with those switches; its page is beside it.

    `crowded` in it is how much of the shop's processor other programs took meanwhile.
    """
    folder.mkdir(exist_ok=True)
    run, drift, memory = folder / "run.tape", folder / "drift.json", folder / "memory.csv"
    with shop_process(*switches) as (url, pid):
        drift.write_text(wiretape("drift", tape, url, "--json"), encoding="utf-8")
        for _ in range(WARMED):
            wiretape("replay", tape, "--target", url, "--speed", "max", "--no-calibrate", "-o", run)
        time.sleep(SETTLED_S)
        crowd = Crowd(pid)
        with watched(pid, memory):
            wiretape("replay", tape, "--target", url, "--speed", str(speed), "-o", run)
        crowded = crowd.share
    told: dict[str, Any] = json.loads(
        wiretape("report", run, "--tape", tape, "--drift", drift, "--watched", memory,
                 "--html", folder / "report.html", "--json")
    )  # fmt: skip
    return {**told, "crowded": crowded}


def kinds(told: dict[str, Any]) -> list[str]:
    """What was found, the gravest first."""
    return [finding["kind"] for finding in told["findings"]]


def main() -> None:
    """Print the table."""
    wanted = set(sys.argv[1:])
    print(f"{'fault':<18}{'speed':>6}{'others':>8}  {'named':<6}{'said'}")
    with tempfile.TemporaryDirectory() as folder:
        tape = sample_tape(Path(folder))
        for fault in FAULTS:
            if wanted and fault.name not in wanted:
                continue
            told = report_of(tape, Path(folder) / "run", fault.switches, fault.speed)
            right = sorted(kinds(told)) == sorted(fault.kinds) and fault.said in told["sentence"]
            named = "yes" if right else "NO"
            said = f"{told['verdict']}: {told['sentence']}"
            crowd = f"{told['crowded']:>7.0%}"
            print(f"{fault.name:<18}{fault.speed:>5g}×{crowd}  {named:<6}{said}", flush=True)


if __name__ == "__main__":
    main()
