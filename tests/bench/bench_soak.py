"""A soak for real: a leak of 1 KB a request at 200 requests/s is found, and our memory stays flat.

1. The sample shop with its leak switched on, and the same shop without, each soaked for five
   minutes: when the first leak is told, and how much of anything else.
2. Our own memory, accelerated: a tape of one second at 3,000 requests/s, lap after lap against
   nginx, segments of five seconds of which 4 MB are kept. What each of our processes holds is read
   from outside at the beginning (a sixth of the time) and at the end.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from samples.services import started
from tests.bench.common import ROOT, median, nginx, rss_mb

LEAK_S = 300
FLAT_S = 180
PATHS = ("/", "/products", "/products/17", "/search?q=lamp", "/products/42")


def make_tape(path: Path, rate: float, seconds: float, paths: tuple[str, ...]) -> None:
    """Poisson arrivals on forty connections."""
    from tests.replay.recorder import get, write_tape

    random_ = random.Random(7)
    now, requests = 0.0, []
    while (now := now + random_.expovariate(rate)) < seconds:
        raw = get(random_.choice(paths))
        requests.append((random_.randrange(40), now * 1000, raw))
    write_tape(path, requests)


def soak_shop(tape: Path, folder: Path, leak: int) -> dict[str, Any]:
    """Soak a copy of the shop; its report."""
    with started("samples.shop", "--port", "0", "--rows", "2000", "--leak", str(leak)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        subprocess.run(
            [sys.executable, "-m", "wiretape", "soak", str(tape), "--target", url, "--for",
             f"{LEAK_S}s", "-o", str(folder), "--pid", str(process.pid), "--watch-every", "1s",
             "--segment", "60s"],
            cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def tree(pid: int) -> dict[str, float]:
    """What a process and its children hold, in MB, by what they are."""
    names = ["command", "feeder", "sender"]
    found: dict[str, float] = {}
    for name in names:
        found[name] = rss_mb(pid)
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            break
        forked = [int(child) for child in children if "spawn" not in _command(int(child))]
        if not forked:
            break
        pid = forked[0]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return "spawn"


def flat(folder: Path) -> None:
    """Our own memory and disk while laps go by."""
    make_tape(folder / "quick.tape", 3_000, 1.0, ("/",))
    with nginx() as server:
        command = [
            sys.executable, "-m", "wiretape", "soak", str(folder / "quick.tape"), "--target",
            server.url, "--for", f"{FLAT_S}s", "-o", str(folder / "flat"), "--segment", "5s",
            "--keep", "4MB", "--checkpoint-every", "2s", "--summary-every", "10s",
            "--pid", str(server.pid), "--watch-every", "200ms",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        samples: list[tuple[float, dict[str, float], float]] = []
        began = time.monotonic()
        while process.poll() is None:
            disk = sum(path.stat().st_size for path in (folder / "flat").glob("segment-*")) / 1e6
            samples.append((time.monotonic() - began, tree(process.pid), disk))
            time.sleep(1)
    report = json.loads((folder / "flat" / "report.json").read_text())
    print(f"\n{report['totals']['sent']:,} requests in {FLAT_S} s, {FLAT_S} laps\n")
    print("| process | MB in the second sixth | MB in the last sixth | most |\n|---|---|---|---|")
    for name in ("command", "feeder", "sender"):
        held = [(at, each.get(name, 0.0)) for at, each, _ in samples if at < FLAT_S]
        early = [mb for at, mb in held if FLAT_S / 6 < at < FLAT_S / 3]
        late = [mb for at, mb in held if at > FLAT_S * 5 / 6]
        most = max(mb for _, mb in held)
        print(f"| {name} | {median(early):.1f} | {median(late):.1f} | {most:.1f} |")
    print(f"\nsegments on disk: at most {max(disk for *_, disk in samples):.1f} MB, "
          f"{report['removed_segments']} removed")  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flat(folder)
        make_tape(folder / "t.tape", 200, 20.0, PATHS)
        for leak in (1024, 0):
            found = soak_shop(folder / "t.tape", folder / f"soak{leak}", leak)
            told = [
                f"{f['sentence']} (told after {f['first_s']:,.0f} s)" for f in found["findings"]
            ]
            print(f"\nshop with a leak of {leak} bytes a request: {'; '.join(told) or 'nothing'}")


if __name__ == "__main__":
    main()
