"""Replay at full speed beside wrk: 64 recorded keep-alive connections, nginx on the other core."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from tests.bench.common import Table, alternate, nginx, stay_on_core, wrk

REQUESTS = 200_000
CONNECTIONS = 64


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


def main() -> None:
    from replay.options import ReplayOptions
    from replay.run import replay

    with tempfile.TemporaryDirectory() as name, nginx() as server:
        tape, run = Path(name) / "x.tape", Path(name) / "run.tape"
        make_tape(tape)
        stay_on_core(1)
        options = ReplayOptions(target=(server.url,), speed=math.inf, no_calibrate=True)

        def peer() -> float:
            return wrk(server.url, 3, script=script).rate

        def ours() -> float:
            summary = replay(tape, options, run)
            assert summary.answered == REQUESTS, summary.outcomes
            return summary.rate

        script = Path(name) / "same.lua"
        script.write_text(
            f'wrk.path = "/items/7"\nwrk.headers["X-Trace"] = "{"a" * 300}"\n'
            'wrk.headers["Accept"] = "*/*"\n'
        )
        figures = alternate({"wrk": peer, "wiretape": ours})
    table = Table("Replay at full speed, one core, full accounting", "requests/s")
    for sender, rates in figures.items():
        table.add(sender, rates)
    print(table)


if __name__ == "__main__":
    main()
