"""`capture live` on loopback beside wrk: exchanges kept, packets lost, processor time per exchange.

nginx (one worker) and wrk share one core, the recorder has the other; one load is held back by a
loop in wrk's script, the other is whatever that core gives. The same load runs without the recorder
before and after, to see what recording costs the server. It needs root, nginx and wrk, and touches
nothing but loopback. Every request that wrk counts has to be on the tape.

    python tests/bench/bench_live.py [seconds]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.common import ROOT, SENDER_CORE, TARGET_CORE, Load, nginx, on_core, wrk

_SECONDS = 10
# name, connections of wrk, turns of an idle loop before each request
_LOADS = (("held back", 8, 4_000), ("no limit", 64, 0))
_SCRIPT = """
function request()
  local sum = 0
  for turn = 1, {turns} do sum = sum + turn % 7 end
  return wrk.format(sum < 0 and "POST" or "GET", "/")
end
"""


@dataclass(frozen=True)
class Outcome:
    """What a recording said, and what it took."""

    ledger: dict[str, dict[str, int]]
    processor_s: float

    def count(self, unit: str, fate: str = "seen") -> int:
        return self.ledger.get(unit, {}).get(fate, 0)


def recorded(port: int, folder: Path, load: tuple[int, int, Path]) -> tuple[Outcome, Load]:
    """A load while it is recorded."""
    connections, seconds, script = load
    command = [sys.executable, "-m", "wiretape", "capture", "live", "-i", "lo", "--json",
               "--port", str(port), "-o", str(folder / "live.tape")]  # fmt: skip
    process = subprocess.Popen(
        on_core(SENDER_CORE, command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    if b"recording" not in (line := process.stderr.readline()):
        sys.exit(line.decode().strip())
    done = wrk(f"http://127.0.0.1:{port}", seconds, connections, TARGET_CORE, script)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(err.decode())
    return Outcome(json.loads(out)["ledger"], usage.ru_utime + usage.ru_stime), done


def main() -> None:
    """Print the table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    print("| load | wrk alone, requests/s | recorded | falls by | requests | on the tape "
          "| packets | dropped by the kernel | missing bytes | us per exchange |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, connections, turns in _LOADS:
        with nginx() as server, tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "load.lua"
            script.write_text(_SCRIPT.format(turns=turns))
            some = max(2, seconds // 2)
            before = wrk(server.url, some, connections, TARGET_CORE, script)
            load_of = (connections, seconds, script)
            outcome, load = recorded(server.port, Path(folder), load_of)
            after = wrk(server.url, some, connections, TARGET_CORE, script)
        alone = (before.rate + after.rate) / 2
        kept = outcome.count("exchanges", "kept")
        print(
            f"| {name} | {alone:,.0f} | {load.rate:,.0f} | {100 * (1 - load.rate / alone):.1f} % "
            f"| {load.requests:,} | {kept:,} "
            f"| {outcome.count('packets'):,} "
            f"| {outcome.count('packets', 'dropped by the kernel'):,} "
            f"| {outcome.count('missing bytes'):,} "
            f"| {1e6 * outcome.processor_s / max(kept, 1):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
