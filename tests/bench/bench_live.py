"""`capture live` on loopback beside wrk: what is kept, what is lost, and what it costs the server.

nginx (one worker) and wrk share one core, the recorder has the other. One load is held back by a
loop in wrk's script, the others are whatever that core gives, with several limits of the recorder.
Every request that wrk counts has to be on the tape, or of a connection that was sampled out.

By how much the server's throughput falls is measured in turns of a twentieth of a second
(`turns.py`), once the recording has settled: what a socket costs that lets nothing through, and
what comes on top of that with the recorder's own filter. It needs root, nginx and wrk, and touches
nothing but loopback.

    python -m tests.bench.bench_live [seconds]
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capture.tape import Tape
from tests.bench.common import (
    SENDER_CORE,
    TARGET_CORE,
    Load,
    Server,
    need,
    nginx,
    on_core,
    running,
    wrk,
)
from tests.bench.turns import Filter, Hook, Slowing, slowing

_SECONDS = 10
_SETTLE_S = 8.0  # until the guard has found the rate
_MOST_FALL = 0.05
# name, connections of wrk, turns of an idle loop before each request, options of the recorder
_ROWS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("held back", 8, 4_000, ()),
    ("full", 64, 0, ()),
    ("full", 64, 0, ("--max-cpu", "50%")),
    ("full", 64, 0, ("--max-cpu", "25%")),
)
# Measured once on a machine of two cores; not in this run.
_RIVALS = (
    ("GoReplay 2.0 sends from a file, best settings", 2_600),
    ("tshark 4.0 reads from a file", 17_500),
    ("a ring that is emptied and not read, beside wrk", 107_000),
)
_SCRIPT = """
function request()
  local sum = 0
  for turn = 1, {turns} do sum = sum + turn % 7 end
  return wrk.format(sum < 0 and "POST" or "GET", "/")
end
"""


@dataclass(frozen=True)
class Plan:
    """A load, and how it is recorded."""

    connections: int
    turns: int
    options: tuple[str, ...]
    seconds: int

    def script(self, folder: Path) -> Path:
        """What holds wrk back."""
        path = folder / "load.lua"
        path.write_text(_SCRIPT.format(turns=self.turns))
        return path

    def load(self, server: Server, seconds: int, folder: Path) -> Load:
        """Run it."""
        return wrk(server.url, seconds, self.connections, TARGET_CORE, self.script(folder))

    @contextlib.contextmanager
    def endless(self, server: Server, folder: Path) -> Iterator[None]:
        """Run it until the block ends."""
        command = [need("wrk"), "-t1", f"-c{self.connections}", "-d600s", "-s",
                   str(self.script(folder)), server.url]  # fmt: skip
        with running(on_core(TARGET_CORE, command), stdout=subprocess.DEVNULL):
            time.sleep(0.5)
            yield


@dataclass(frozen=True)
class Recording:
    """What a recording said, and what it took while the load ran."""

    ledger: dict[str, dict[str, int]]
    processor_s: float
    share: float  # of the connections, that the tape says was kept
    load: Load

    def count(self, unit: str, fate: str = "seen") -> int:
        return self.ledger.get(unit, {}).get(fate, 0)


@contextlib.contextmanager
def recorder(port: int, tape: Path, options: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """A recorder that listens."""
    command = [sys.executable, "-m", "wiretape", "capture", "live", "-i", "lo", "--json",
               "--port", str(port), "-o", str(tape), *options]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(on_core(SENDER_CORE, command), **pipes) as process:
        assert process.stderr is not None
        if b"recording" not in (line := process.stderr.readline()):
            sys.exit(line.decode().strip())
        yield process


def recorded(plan: Plan, server: Server, folder: Path) -> Recording:
    """A load while it is recorded."""
    tape = folder / "live.tape"
    with recorder(server.port, tape, plan.options) as process:
        before = _processor_ns(process.pid)
        load = plan.load(server, plan.seconds, folder)
        took_s = (_processor_ns(process.pid) - before) / 1e9
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    if process.returncode:
        sys.exit(err.decode())
    with Tape.open(tape) as kept:
        return Recording(json.loads(out)["ledger"], took_s, kept.sample_rate, load)


def _processor_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def cost(plan: Plan, server: Server, folder: Path) -> Slowing:
    """By how much a load slows that is recorded, beside a socket that lets nothing through."""
    tape = folder / "cost.tape"
    with plan.endless(server, folder), recorder(server.port, tape, plan.options) as process:
        time.sleep(_SETTLE_S)
        switch = Filter(process.pid)
        try:
            return slowing(switch.on, switch.off, plan.seconds)
        finally:
            switch.close()


def row(name: str, plan: Plan) -> Slowing:
    """Measure and print one row; by how much the server's throughput falls."""
    with nginx() as server, tempfile.TemporaryDirectory() as at:
        folder = Path(at)
        alone = plan.load(server, max(2, plan.seconds // 3), folder)
        told = recorded(plan, server, folder)
        fall = cost(plan, server, folder)
    kept = told.count("exchanges", "kept")
    print(
        f"| {name} | {' '.join(plan.options) or 'none'} "
        f"| {alone.rate:,.0f} | {told.load.rate:,.0f} | {fall} "
        f"| {kept / plan.seconds:,.0f} | {100 * kept / max(told.load.requests, 1):.1f} % "
        f"| {100 * told.share:.1f} % | {told.count('packets', 'dropped by the kernel'):,} "
        f"| {told.count('missing bytes'):,} | {100 * told.processor_s / plan.seconds:.0f} % "
        f"| {1e6 * told.processor_s / max(kept, 1):.1f} |",
        flush=True,
    )
    return fall


def listening(seconds: int) -> Slowing:
    """By how much a full load slows by a socket that lets nothing through."""
    plan, hook = Plan(64, 0, (), seconds), Hook()
    with nginx() as server, tempfile.TemporaryDirectory() as at, plan.endless(server, Path(at)):
        return slowing(hook.on, hook.off, seconds)


def main() -> None:
    """Print the table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    idle = listening(seconds)
    print(f"A socket that lets nothing through slows the server by {idle}; on top of that:\n")
    print("| load | limit | wrk alone, requests/s | recorded | falls by | kept/s | of the requests "
          "| of the connections, says the tape | packets dropped by the kernel | missing bytes "
          "| of a core | us per exchange |")  # fmt: skip
    print("|" + "---|" * 12)
    good = []
    for name, connections, turns, options in _ROWS:
        fall = row(name, Plan(connections, turns, options, seconds))
        if not turns and max(0.0, idle.share) + fall.share <= _MOST_FALL:
            good.append(" ".join(options) or "no limit")
    print(f"\nA full server's throughput falls by {_MOST_FALL:.0%} at most, both together, with: "
          f"{', '.join(good) or 'none of these'}")  # fmt: skip
    print("\nBeside (measured once on a machine of two cores, not in this run), requests/s:")
    for name, rate in _RIVALS:
        print(f"- {name}: {rate:,}")


if __name__ == "__main__":
    main()
