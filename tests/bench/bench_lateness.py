"""How late a bursty replay is, by its own books and by a recorder at the target.

The recorder is a process of its own on the other core, in a real-time class where that is allowed.
It answers, and notes the time at which the system call gave it each request, so its lateness holds
ours, the loopback and its own wake-up. Beside it tcpreplay sends the same arrivals as packets over
a veth pair (packet_replay.py): compare lateness beyond each one's own earliest arrival. What this
machine allows at all is told by a sender in C that does nothing but send the same bytes at the same
times to the same recorder (bare_sender.c).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import select
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.bench import bare_sender
from tests.bench.common import SENDER_CORE, TARGET_CORE, median, stay_on_core, steadiness
from tests.bench.packet_replay import lateness_of_tcpreplay

RATES = {2_000: 64, 20_000: 512}
"""Requests/s, and over how many connections, so that each is idle again when it is used again."""
SECONDS = 8.0
ROUNDS = 3
_SENT = ["request_first_ns"]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world"


def bursts(rate: int, connections: int) -> list[tuple[int, float, bytes]]:
    """Two-state arrivals: 23 % of the time at 3.25 times the rate, the rest at a third of it.

    The connections take turns, as a client takes the one of its pool that has rested longest.
    """
    random_ = random.Random(rate)
    filler = "a" * 300
    requests: list[tuple[int, float, bytes]] = []
    now, turn, busy = 0.0, 0.0, True
    while now < SECONDS:
        if now >= turn:
            busy = not busy
            turn += random_.expovariate(10 if busy else 3)
        now += random_.expovariate(rate * (3.25 if busy else 0.33))
        number = len(requests)
        raw = f"GET /{number:07} HTTP/1.1\r\nHost: a.test\r\nX-Trace: {filler}\r\n\r\n"
        requests.append((number % connections, now * 1000, raw.encode()))
    return requests


def make_tape(path: Path, rate: int, connections: int = 64) -> None:
    """A tape of such bursts."""
    from tests.replay.recorder import write_tape

    write_tape(path, bursts(rate, connections))


def record(pipe: Connection) -> None:
    """Answer everything and note number and arrival of each request; they go through the pipe."""
    stay_on_core(TARGET_CORE)
    if may_run_in_real_time():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    notes: list[bytes] = []
    arrivals: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    poll.register(pipe.fileno(), select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    pipe.send(listener.getsockname()[1])
    while True:
        for fd, _ in poll.poll():
            sock = sockets.get(fd)
            if sock is not None:
                data = sock.recv(65536)
                arrivals.append(time.time_ns())
                notes.append(data[5:12])
                if data:
                    sock.send(ANSWER)
                else:
                    poll.unregister(fd)
                    sockets.pop(fd).close()
            elif fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[sock.fileno()] = sock
                poll.register(sock.fileno(), select.EPOLLIN)
            else:
                seen = [(int(note), at) for note, at in zip(notes, arrivals, strict=True) if note]
                pipe.send(np.asarray(seen, np.int64).tobytes())
                return


@contextmanager
def recorder() -> Iterator[tuple[str, Connection]]:
    """A recorder's address, and the pipe that ends it and gives its notes."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=record, args=(theirs,))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        process.join(5)
        if process.is_alive():
            process.kill()


def measure(tape: Path, run_path: Path, realtime: bool = False) -> dict[str, float]:
    """Lateness in µs, fidelity and what the recorder saw, of one replay."""
    from capture.tape import Tape
    from capture.tape.block import Text
    from replay.options import ReplayOptions
    from replay.run import replay

    with recorder() as (url, pipe):
        summary = replay(tape, ReplayOptions(target=(url,), realtime=realtime), run_path)
        pipe.send(None)
        numbers, arrivals = np.frombuffer(pipe.recv(), np.int64).reshape(-1, 2).T
    assert summary.answered == summary.planned, summary.outcomes
    assert summary.fidelity is not None
    with Tape.open(run_path) as run:
        blocks = list(run.columns(["source", "due_ns", "target"]))
    due = np.zeros(summary.planned, np.int64)
    for block in blocks:
        targets, times = block["target"], block["due_ns"]
        assert isinstance(targets, Text)
        assert not isinstance(times, Text)
        due[[int(text[1:]) for text in targets.strings()]] = times
    seen = np.sort(arrivals - due[numbers])
    at = {
        name: float(seen[int(len(seen) * share)]) / 1e3
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    figures = {f"ours {name} µs": summary.lateness[name] / 1e3 for name in ("p50", "p99", "p999")}
    figures |= {f"recorder {name} µs": value for name, value in at.items()}
    figures |= beyond_the_earliest("recorder", seen)
    figures |= {f"noise floor {name} µs": ns / 1e3 for name, ns in summary.noise_floor.items()}
    figures |= {
        "S": summary.fidelity["s"],
        "rate error %": 100 * summary.fidelity["rate_error"],
        "τ* ms": 1e3 * (summary.fidelity["horizon_s"] or 0),
        "spares": float(summary.spare),
    }
    return figures


def measure_bare(
    program: Path, requests: list[tuple[int, float, bytes]], realtime: bool
) -> dict[str, float]:
    """Lateness in µs of the bare sender."""
    with recorder() as (url, pipe):
        late = bare_sender.lateness(program, int(url.rpartition(":")[2]), requests, realtime)
        pipe.send(None)
        pipe.recv()
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    return {f"its {name} µs": late[int(len(late) * share)] / 1e3 for name, share in shares.items()}


def beyond_the_earliest(whose: str, late_ns: np.ndarray) -> dict[str, float]:
    """Quantiles in µs of sorted lateness beyond the least, which needs nobody else's clock."""
    past = (late_ns - late_ns[0]) / 1e3
    shares = {"p50": 0.5, "p99": 0.99}
    return {
        f"{whose} {name} beyond its earliest µs": float(past[int(len(past) * share)])
        for name, share in shares.items()
    }


def arrivals_of(path: Path) -> np.ndarray:
    """When the requests of a tape were sent, in ns."""
    from capture.tape import Tape

    with Tape.open(path) as tape:
        blocks = [np.asarray(block["request_first_ns"]) for block in tape.columns(_SENT)]
    return np.sort(np.concatenate(blocks))


def may_run_in_real_time() -> bool:
    """Whether this machine lets us use --realtime."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        return False
    return True


def main() -> None:
    hows = {"as any process": False} | (
        {"in a real-time class": True} if may_run_in_real_time() else {}
    )
    with tempfile.TemporaryDirectory() as name:
        stay_on_core(SENDER_CORE)
        print(
            f"This core, doing nothing but spin, does {steadiness():.0%} of its usual work in the "
            "slowest tenth of 10-ms spans.\n"
        )
        program = bare_sender.build(Path(name))
        for rate, connections in RATES.items():
            tape = Path(name) / f"{rate}.tape"
            make_tape(tape, rate, connections)
            rounds: dict[str, list[dict[str, float]]] = {how: [] for how in hows}
            requests = bursts(rate, connections)
            for _ in range(ROUNDS):
                for how, realtime in hows.items():
                    rounds[how].append(measure(tape, Path(name) / "run.tape", realtime))
                    bare = measure_bare(program, requests, realtime)
                    rounds.setdefault(f"the bare sender, {how}", []).append(bare)
                    late = lateness_of_tcpreplay(arrivals_of(tape), realtime)
                    if late is not None:
                        figures = beyond_the_earliest("tcpreplay", late)
                        rounds.setdefault(f"tcpreplay, {how}", []).append(figures)
            for how, each in rounds.items():
                print(
                    f"## A bursty tape at {rate:,}/s, {connections} connections, one core, {how}\n"
                )
                print("| what | median | rounds |\n|---|---|---|")
                for figure in each[0]:
                    values = [one[figure] for one in each]
                    spread = " ".join(f"{value:,.4g}" for value in values)
                    print(f"| {figure} | {median(values):,.4g} | {spread} |")
                print()


if __name__ == "__main__":
    main()
