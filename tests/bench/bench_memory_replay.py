"""Memory of a replay: a large upload, a large tape, a long run; and how soon a large one starts.

`WIRETAPE_BENCH_GB` is the size of the large tape (5), `WIRETAPE_BENCH_SECONDS` the length of the
long run (600). Memory is the proportional set size of one worker, its feeder and its sender
together: what they share with each other, or with who started them, is counted once.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from tests.bench.bench_lateness import make_tape as make_bursty
from tests.bench.common import SENDER_CORE, TARGET_CORE, Table, nginx, stay_on_core
from tests.bench.watching import Watching, children

UPLOAD = 2 << 30
GIGABYTES = float(os.environ.get("WIRETAPE_BENCH_GB", "5"))
SECONDS = float(os.environ.get("WIRETAPE_BENCH_SECONDS", "600"))
BODY = 256 << 10


def sink(pipe: Connection) -> None:
    """Takes one upload and answers when it is whole; tells how much came."""
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    sock, _ = listener.accept()
    buffer, came, wanted = bytearray(1 << 20), 0, -1
    while came != wanted:
        size = sock.recv_into(buffer)
        if not size:
            break
        if wanted < 0:
            head = bytes(buffer[:size])
            wanted = head.index(b"\r\n\r\n") + 4 + int(head.split(b"Length: ")[1].split()[0])
        came += size
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    sock.recv(1)
    pipe.send(came)


def pss_mb(pid: int) -> float:
    """The proportional set size of a process now; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


class Worker(Watching):
    """The memory of the worker of a replay, by the seconds since it began."""

    def __init__(self, *others: int) -> None:
        super().__init__(0.2)
        self.seen: list[tuple[float, float]] = []
        self._began = time.monotonic()
        self._others = others

    def look(self) -> None:
        """Take the memory of the worker now."""
        family = [pid for pid in children(os.getpid()) if pid not in self._others]
        for pid in family:
            family += children(pid)
        if family:
            self.seen.append((time.monotonic() - self._began, sum(map(pss_mb, family))))

    @property
    def most(self) -> float:
        return max((size for _, size in self.seen), default=0.0)

    def between(self, low: float, high: float) -> float:
        """The most in a part of the time, given as shares of it."""
        last = self.seen[-1][0]
        return max(size for at, size in self.seen if low * last <= at <= high * last)


def large_tape(path: Path) -> None:
    """Uploads of a quarter of a megabyte that do not compress, 400 a second."""
    from capture.exchange import Exchange
    from capture.sanitize.sanitized import Sanitized
    from capture.tape import TapeHeader, TapeWriter
    from tests.replay.recorder import BASE_NS

    body = os.urandom(BODY)
    head = f"POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: {BODY}\r\n\r\n".encode()
    with TapeWriter(path, TapeHeader()) as writer:
        number = 0
        while writer.bytes_written < GIGABYTES * 1e9:
            exchange = Exchange(number % 64, number // 64)
            turn = number % BODY
            exchange.request = head + body[turn:] + body[:turn]
            exchange.request_bytes = len(exchange.request)
            exchange.head_bytes = len(head)
            exchange.opened_ns = BASE_NS
            exchange.request_first_ns = exchange.request_last_ns = BASE_NS + number * 2_500_000
            exchange.response_first_ns = exchange.response_last_ns = (
                exchange.request_last_ns + 1_000_000
            )
            exchange.status = 200
            writer.append(Sanitized(exchange, 1))
            number += 1


@contextmanager
def sinking() -> Iterator[tuple[int, int, Connection]]:
    """A sink's port, its process, and the pipe on which it tells what came."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=sink, args=(theirs,))
    process.start()
    try:
        yield ours.recv(), process.pid or 0, ours
    finally:
        process.join(5)


def upload(folder: Path) -> tuple[float, float]:
    """Memory (MB) and seconds of an upload of 2 GB of which the capture kept a kilobyte."""
    from capture.exchange import Flag
    from replay.options import ReplayOptions
    from replay.run import replay
    from tests.replay.taping import Request, tape_of

    head = b"POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % UPLOAD
    cut = Request(1, 0, head + b"a" * 1000, Flag.CUT_BY_CAPTURE, length=len(head) + UPLOAD)
    tape = tape_of(folder / "upload.tape", [cut])
    with sinking() as (port, pid, pipe), Worker(pid) as worker:
        options = ReplayOptions(target=(f"http://127.0.0.1:{port}",), host="keep")
        options = replace(options, timeout=300_000_000_000, no_calibrate=True)
        began = time.perf_counter()
        summary = replay(tape, options, folder / "run.tape")
        took = time.perf_counter() - began
        assert summary.answered == 1, summary.outcomes
        assert pipe.recv() == len(head) + UPLOAD
    return worker.most, took


def main() -> None:
    from capture.tape import Tape
    from replay.options import ReplayOptions
    from replay.run import replay

    table = Table("Memory of one worker", "MB or s")
    with tempfile.TemporaryDirectory() as name, nginx(core=TARGET_CORE) as server:
        folder = Path(name)
        most, took = upload(folder)
        table.add("upload of 2 GB, MB", [most], f"{took:.1f} s")
        stay_on_core(SENDER_CORE)
        large_tape(folder / "large.tape")
        options = ReplayOptions(target=(server.url,), duration=6_000_000_000)
        size = (folder / "large.tape").stat().st_size / 1e9
        began = time.time_ns()
        with Worker(server.pid) as worker:
            summary = replay(folder / "large.tape", options, folder / "run.tape")
        with Tape.open(folder / "run.tape") as run:
            started = (run.span_ns[0] - began) / 1e9
        (folder / "large.tape").unlink()
        table.add(f"tape of {size:.1f} GB, MB", [worker.most], f"{summary.answered:,} answered")
        table.add("its first byte, s after the call", [started], "noise floor measured first")
        make_bursty(folder / "long.tape", 20_000, 512)
        options = ReplayOptions(target=(server.url,), loop=1000, duration=round(SECONDS * 1e9))
        with Worker(server.pid) as worker:
            summary = replay(folder / "long.tape", options, folder / "run.tape")
        for part, low in (("first", 0.05), ("second", 0.35), ("last", 0.68)):
            most = worker.between(low, low + 0.3)
            table.add(f"{SECONDS:.0f} s at 20,000/s, {part} third, MB", [most])
        print(f"{summary.answered:,} of {summary.planned:,} answered in the long run")
    print(table)


if __name__ == "__main__":
    main()
