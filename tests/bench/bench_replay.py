"""Replay at full speed beside wrk and hey: 64 recorded keep-alive connections, nginx elsewhere.

Once with all of wiretape on one core, once with its sender alone on that core and feeder and writer
wherever the system puts them (which may be nginx's core).
"""

from __future__ import annotations

import math
import os
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.common import SENDER_CORE, Load, Table, alternate, hey, nginx, wrk
from tests.bench.watching import Watching, children

REQUESTS = 200_000
CONNECTIONS = 64
ONE, PINNED = "wiretape, all on one core", "wiretape, the sender alone on it"


def make_tape(path: Path, requests: int = REQUESTS) -> None:
    """Requests of about 400 bytes on 64 connections."""
    from tests.replay.recorder import write_tape

    filler = "a" * 300
    write_tape(
        path,
        [
            (n % CONNECTIONS, n // 20,
             f"GET /items/{n % 97} HTTP/1.1\r\nHost: shop.test\r\nX-Trace: {filler}\r\n"
             "Accept: */*\r\n\r\n".encode())
            for n in range(requests)
        ],
    )  # fmt: skip


class Sender(Watching):
    """Finds the sender of a replay that runs in this process, pins it, notes its CPU time (ns)."""

    def __init__(self, core: int | None, *others: int) -> None:
        super().__init__(0.01)
        self.cpu = 0
        self._core, self._others = core, others

    def look(self) -> None:
        """Pin it where it is there, and take its time."""
        for feeder in children(os.getpid()):
            for pid in children(feeder) if feeder not in self._others else ():
                try:
                    if self._core is not None:
                        os.sched_setaffinity(pid, {self._core})
                    self.cpu = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
                except OSError:
                    pass


def main() -> None:
    from replay.options import ReplayOptions
    from replay.run import replay

    cpu: dict[str, list[float]] = {}

    def with_cpu(name: str, work: Callable[[], tuple[int, float]]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        mine = time.process_time()
        requests, rate = work()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.process_time() - mine
        spent += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cpu.setdefault(name, []).append(1e6 * spent / requests)
        return rate

    with tempfile.TemporaryDirectory() as name, nginx() as server:
        tape, run = Path(name) / "x.tape", Path(name) / "run.tape"
        make_tape(tape)
        everywhere = os.sched_getaffinity(0)
        options = ReplayOptions(target=(server.url,), speed=math.inf, no_calibrate=True)

        def ours(name: str, alone: bool) -> tuple[int, float]:
            os.sched_setaffinity(0, everywhere if alone else {SENDER_CORE})
            with Sender(SENDER_CORE if alone else None, server.pid) as sender:
                summary = replay(tape, options, run)
            os.sched_setaffinity(0, everywhere)
            assert summary.answered == REQUESTS, summary.outcomes
            cpu.setdefault(f"{name}: sender", []).append(sender.cpu / 1e3 / REQUESTS)
            return REQUESTS, summary.rate

        def peer(load: Load) -> tuple[int, float]:
            return load.requests, load.rate

        script = Path(name) / "same.lua"
        script.write_text(
            f'wrk.path = "/items/7"\nwrk.headers["X-Trace"] = "{"a" * 300}"\n'
            'wrk.headers["Accept"] = "*/*"\n'
        )
        work: dict[str, Callable[[], tuple[int, float]]] = {
            "wrk": lambda: peer(wrk(server.url, 3, script=script)),
            "hey": lambda: peer(hey(server.url, 3)),
            ONE: lambda: ours(ONE, alone=False),
            PINNED: lambda: ours(PINNED, alone=True),
        }
        turns: dict[str, Callable[[], float]] = {
            name: partial(with_cpu, name, each) for name, each in work.items()
        }
        figures = alternate(turns)
    table = Table("Replay at full speed, full accounting, nginx on the other core", "requests/s")
    for sender, rates in figures.items():
        table.add(sender, rates)
    print(table)
    table = Table("CPU time, which other work on the machine changes least", "µs a request")
    for sender, spent in cpu.items():
        table.add(sender, spent)
    print(table)


if __name__ == "__main__":
    main()
