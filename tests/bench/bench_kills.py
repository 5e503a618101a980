"""Recorders killed with SIGKILL at random moments: what was lost, and whether the tape is readable.

Half of them record a pipe, half the loopback interface (that needs root). Exchanges are numbered,
so the tape tells which of those that were over a second before the kill are missing: none may be.
Some are killed while they start, when a pipe may be full of what was never read: of these only that
what they leave is readable.

    python -m tests.bench.bench_kills            200 kills
    python -m tests.bench.bench_kills 20         so many
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from capture.errors import TapeError
from capture.tape import Tape
from samples.packets import ACK, PSH, Conversations, Packet, frame_of, pcap_head, pcap_record
from tests.bench.common import ROOT

_PROMISED_S = 1.0
_PAUSE_S = 0.004  # between exchanges
_AT_ONCE = 2
_STARTING = 10  # of so many, the first two are killed while they start
_HEADER_BYTES = 1024  # a tape that is larger has rows
_COMMAND = [sys.executable, "-m", "wiretape", "capture"]
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Kill:
    """One recorder, killed."""

    readable: bool
    due: int  # exchanges that were over long enough before the kill
    missing: int  # of those, not on the tape
    newest_s: float  # how long before the kill the newest exchange on the tape was over


@contextmanager
def piped(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[int], None]]]:
    """A recorder of a pipe, and what puts exchange number n into it."""
    process = subprocess.Popen([*_COMMAND, "pcap", "-", "-o", str(path)], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, bufsize=0)  # fmt: skip
    pipe = process.stdin
    assert pipe is not None
    pipe.write(pcap_head())
    due = [1000, 9000]  # of server and client

    def exchange(number: int) -> None:
        data = b""
        for upward, payload in ((True, request(number)), (False, _ANSWER)):
            packet = Packet(upward, due[upward], due[not upward], ACK | PSH, payload)
            due[upward] += len(payload)
            data += pcap_record(time.time_ns(), frame_of(Conversations(), 1, packet))
        pipe.write(data)

    try:
        yield process, exchange
    finally:
        with suppress(OSError):
            pipe.close()
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def live(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[int], None]]]:
    """A recorder of loopback, and what makes exchange number n there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [*_COMMAND, "live", "-i", "lo", "--port", str(port), "--ring", "64MB",
                   "-o", str(path)]  # fmt: skip
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)  # fmt: skip
        assert process.stderr is not None
        process.stderr.readline()  # it is recording, or says why not
        client = socket.create_connection(("127.0.0.1", port))
        answering, _ = server.accept()
        with client, answering, process.stderr:

            def exchange(number: int) -> None:
                client.sendall(request(number))
                answering.recv(4096)
                answering.sendall(_ANSWER)
                client.recv(4096)

            yield process, exchange


def request(number: int) -> bytes:
    """The request of that number."""
    return b"GET /item/n%d HTTP/1.1\r\nHost: shop.example\r\n\r\n" % number


def kill(number: int, folder: Path, promised_s: float = _PROMISED_S) -> Kill:
    """Record, kill, and look at what is left."""
    path = folder / f"{number}.tape"
    over: list[float] = []
    stop = threading.Event()
    with (piped if number % 2 else live)(path) as (process, exchange):

        def talk() -> None:
            with suppress(OSError):
                while not stop.wait(_PAUSE_S):
                    exchange(len(over))
                    over.append(time.monotonic())

        talking = threading.Thread(target=talk)
        talking.start()
        starting = number % _STARTING < 2
        while process.poll() is None and _size(path) <= (-1 if starting else _HEADER_BYTES):
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 1.0 if starting else 3.0))
        if process.poll() is not None:
            assert process.stderr is not None
            sys.exit(f"a recorder ended by itself: {process.stderr.read().decode()}")
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        process.wait()
        stop.set()
        talking.join()
    return judged(path, [] if starting else over, killed, promised_s)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def judged(path: Path, over: list[float], killed: float, promised_s: float) -> Kill:
    """What is on a tape of what was over when."""
    due = [n for n, when in enumerate(over) if when < killed - promised_s]
    try:
        with Tape.open(path) as tape:
            found = {
                int(digits)
                for columns in tape.columns(("target",))
                for target in columns["target"].strings()  # type: ignore[union-attr]
                for digits in re.findall(r"n(\d+)$", target)
            }
            whole = not [loss for loss in tape.losses if "torn" not in loss.reason]
    except TapeError:
        return Kill(path.stat().st_size == 0, len(due), len(due), 0.0)
    newest = killed - max((over[n] for n in found if n < len(over)), default=killed)
    return Kill(whole, len(due), sum(n not in found for n in due), newest)


def main() -> None:
    """Kill, and print what was lost."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(_AT_ONCE) as crew:
        kills = list(crew.map(lambda number: kill(number, Path(name)), range(wanted)))
    print("| recorder | kills | unreadable | exchanges due | missing | newest lost at most, s |")
    print("|---|---|---|---|---|---|")
    for label, some in (("of loopback", kills[::2]), ("of a pipe", kills[1::2])):
        print(
            f"| {label} | {len(some)} | {sum(not one.readable for one in some)} "
            f"| {sum(one.due for one in some):,} | {sum(one.missing for one in some)} "
            f"| {max((one.newest_s for one in some), default=0.0):.2f} |"
        )


if __name__ == "__main__":
    main()
