"""Replay at full speed beside its peers: 64 recorded keep-alive connections, nginx elsewhere.

Once with all of wiretape on one core, once with its sender alone on that core and feeder and writer
wherever the system puts them (which may be nginx's core). The ratio is to wrk with the requests of
the tape in turn; wrk with one of them is what it can do where it need not choose.
"""

from __future__ import annotations

import math
import os
import resource
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import senders
from tests.bench.common import SENDER_CORE, Load, Table, alternate, nginx, wrk
from tests.bench.watching import Watching, children

REQUESTS = 200_000
CONNECTIONS = senders.CONNECTIONS
SECONDS = 3
ONE, PINNED = "wiretape, all on one core", "wiretape, the sender alone on it"
LOCUST = "Locust, FastHttpUser"


def make_tape(path: Path, requests: int = REQUESTS) -> None:
    """Requests of about 400 bytes on 64 connections."""
    from tests.replay.recorder import write_tape

    all_of_them = [senders.request(target) for target in senders.TARGETS]
    write_tape(
        path,
        [
            (n % CONNECTIONS, n // 20, all_of_them[n % len(all_of_them)])
            for n in range(requests)
        ],
    )  # fmt: skip


def ran_ns(pid: int) -> int:
    """The CPU time that a process has had."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


class Parts(Watching):
    """Finds feeder and sender of a replay that runs in this process; notes their CPU time (ns)."""

    def __init__(self, core: int | None, *others: int) -> None:
        super().__init__(0.01)
        self.sender = self.feeder = 0
        self._core, self._others = core, others

    def look(self) -> None:
        """Pin the sender where it is there, and take the times."""
        for feeder in set(children(os.getpid())) - set(self._others):
            try:
                for pid in children(feeder):
                    if self._core is not None:
                        os.sched_setaffinity(pid, {self._core})
                    self.sender = ran_ns(pid)
                self.feeder = ran_ns(feeder)
            except OSError:
                pass


def spent() -> tuple[float, float]:
    """CPU time (s) of this process and of its children that ended: all of it, the kernel's."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    system = sum(each.ru_stime for each in both)
    return system + sum(each.ru_utime for each in both), system


def main() -> None:
    from replay.options import ReplayOptions
    from replay.run import replay

    cpu: defaultdict[str, list[float]] = defaultdict(list)

    def with_cpu(name: str, server: int, work: Callable[[], tuple[int, float]]) -> float:
        total = cpu[name]
        before, answering = spent(), ran_ns(server)
        requests, rate = work()
        after = spent()
        total.append(1e6 * (after[0] - before[0]) / requests)
        cpu[f"– of it, in the kernel ({name})"].append(1e6 * (after[1] - before[1]) / requests)
        cpu[f"– nginx meanwhile ({name})"].append((ran_ns(server) - answering) / 1e3 / requests)
        return rate

    with tempfile.TemporaryDirectory() as name, nginx() as server:
        folder = Path(name)
        tape, run = folder / "x.tape", folder / "run.tape"
        make_tape(tape)
        everywhere = os.sched_getaffinity(0)
        options = ReplayOptions(target=(server.url,), speed=math.inf, no_calibrate=True)

        def ours(name: str, alone: bool) -> tuple[int, float]:
            os.sched_setaffinity(0, everywhere if alone else {SENDER_CORE})
            with Parts(SENDER_CORE if alone else None, server.pid) as parts:
                summary = replay(tape, options, run)
            os.sched_setaffinity(0, everywhere)
            assert summary.answered == REQUESTS, summary.outcomes
            cpu[f"– its sender ({name})"].append(parts.sender / 1e3 / REQUESTS)
            cpu[f"– its feeder ({name})"].append(parts.feeder / 1e3 / REQUESTS)
            return REQUESTS, summary.rate

        def peer(load: Load) -> tuple[int, float]:
            return load.requests, load.rate

        url = server.url
        same, one = senders.same_for_wrk(folder, url.split("//")[1]), senders.one_for_wrk(folder)
        missing = senders.install_locust(folder)
        work: dict[str, Callable[[], tuple[int, float]]] = {
            "wrk, the same requests": lambda: peer(wrk(url, SECONDS, script=same)),
            "wrk, one of them": lambda: peer(wrk(url, SECONDS, script=one)),
            ONE: lambda: ours(ONE, alone=False),
            PINNED: lambda: ours(PINNED, alone=True),
            "h2load --h1": lambda: peer(senders.h2load(url, REQUESTS, folder)),
            "hey": lambda: peer(senders.hey(url, SECONDS)),
            "aiohttp, a client": lambda: peer(senders.aiohttp_client(url, SECONDS)),
        }
        if not missing:
            work[LOCUST] = lambda: peer(senders.locust(folder, url, SECONDS))
        (worker,) = children(server.pid)
        turns: dict[str, Callable[[], float]] = {
            name: partial(with_cpu, name, worker, each) for name, each in work.items()
        }
        figures = alternate(turns)
    table = Table("Replay at full speed, full accounting, nginx on the other core", "requests/s")
    for sender, rates in figures.items():
        table.add(sender, rates)
    if missing:
        table.add(LOCUST, [], missing)
    print(table)
    table = Table("CPU time, which other work on the machine changes least", "µs a request")
    for what, times in cpu.items():
        table.add(what, times)
    print(table)


if __name__ == "__main__":
    main()
