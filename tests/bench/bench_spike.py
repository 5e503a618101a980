"""A spike: ten thousand users connect within one second and send a request each.

The target accepts and answers on the other core, in a process that does nothing else.
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from pathlib import Path

from tests.bench.bench_lateness import may_run_in_real_time
from tests.bench.common import SENDER_CORE, TARGET_CORE, Table, nginx, rss_mb, stay_on_core
from tests.bench.watching import Watching, children

USERS = 10_000
ROUNDS = 3


def make_tape(path: Path) -> None:
    """Each user on a connection of its own, opened when its request is sent."""
    from capture.exchange import Close, Connection, Exchange
    from capture.sanitize.sanitized import Sanitized
    from capture.tape import TapeHeader, TapeWriter
    from tests.replay.recorder import BASE_NS

    draw = random.Random(1).random
    instants = sorted(draw() for _ in range(USERS))
    with TapeWriter(path, TapeHeader()) as writer:
        for user, second in enumerate([0.0, *(1 + each for each in instants)]):
            exchange = Exchange(user)
            exchange.request = f"GET /users/{user} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode()
            exchange.request_bytes = exchange.head_bytes = len(exchange.request)
            at = BASE_NS + round(second * 1e9)
            exchange.opened_ns = exchange.request_first_ns = exchange.request_last_ns = at
            exchange.response_first_ns = exchange.response_last_ns = at + 1_000_000
            exchange.status = 200
            writer.append(Sanitized(exchange, user))
            connection = Connection(user, b"\0\0\0\0", 1, "203.0.113.7:80", at, True)
            connection.closed_ns, connection.close = at + 3_000_000_000, Close.FIN_CLIENT
            connection.exchanges = 1
            writer.append_connection(connection, user)


class Memory(Watching):
    """The most that this process and its children (but one) use together, ten times a second."""

    def __init__(self, left_out: int) -> None:
        super().__init__(0.1)
        self.most = 0.0
        self._left_out = left_out

    def look(self) -> None:
        """Take the memory of the family now."""
        family = [os.getpid()]
        for pid in family:
            if pid != self._left_out:
                family += children(pid)
        family.remove(self._left_out)
        self.most = max(self.most, sum(map(rss_mb, family)))


def main() -> None:
    from replay.options import ReplayOptions
    from replay.run import replay

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    realtime = may_run_in_real_time()
    how = ", --realtime" if realtime else ""
    table = Table(f"{USERS:,} new connections in one second, with a request each{how}", "figure")
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, nginx(core=TARGET_CORE) as server:
        stay_on_core(SENDER_CORE)
        tape = Path(name) / "x.tape"
        make_tape(tape)
        options = ReplayOptions(target=(server.url,), realtime=realtime)
        for _ in range(ROUNDS):
            with Memory(server.pid) as memory:
                summary = replay(tape, options, Path(name) / "r.tape")
            figures.setdefault("answered", []).append(summary.answered)
            figures.setdefault("lateness p50 ms", []).append(summary.lateness["p50"] / 1e6)
            figures.setdefault("lateness p99 ms", []).append(summary.lateness["p99"] / 1e6)
            figures.setdefault("noise floor p99 ms", []).append(summary.noise_floor["p99"] / 1e6)
            figures.setdefault("memory MB", []).append(memory.most)
            time.sleep(0.5)
    for what, values in figures.items():
        table.add(what, values)
    print(table)


if __name__ == "__main__":
    main()
