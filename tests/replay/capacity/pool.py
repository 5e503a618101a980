"""A target of known capacity: N workers that each take a fixed time; Little's law says N / time."""

from __future__ import annotations

import asyncio
import heapq
import multiprocessing
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.replay.recorder import write_tape

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def arrivals_tape(path: Path, seconds: float, rate: float, users: int = 400) -> Path:
    """Poisson arrivals of many users, a connection each."""
    rng = random.Random(11)
    requests = []
    at_ms = rng.expovariate(rate / 1000)
    while at_ms < seconds * 1000:
        user = rng.randrange(users)
        raw = f"GET / HTTP/1.1\r\nHost: pool.test\r\nCookie: session=u{user:08d}x{user}\r\n\r\n"
        requests.append((user, at_ms, raw.encode()))
        at_ms += rng.expovariate(rate / 1000)
    return write_tape(path, requests)


@contextmanager
def pool(workers: int, service_s: float, realtime: bool = False) -> Iterator[str]:
    """Such a target in a process of its own, before others if `realtime`; gives its URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, workers, service_s, realtime))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join(10)
        ours.close()
        theirs.close()


def _serve(pipe: Connection, workers: int, service_s: float, realtime: bool) -> None:
    if realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    asyncio.run(_pool(pipe, workers, service_s))


async def _pool(pipe: Connection, workers: int, service_s: float) -> None:
    free = asyncio.Semaphore(workers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with free:
                    await asyncio.sleep(service_s)
                writer.write(ANSWER)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    async with server:
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()


def waits_s(due_s: np.ndarray, workers: int, service_s: float) -> np.ndarray:
    """The response times of the same pool in theory: first come, first served."""
    free = [0.0] * workers
    told = []
    for at in np.sort(due_s):
        ends = max(float(at), heapq.heappop(free)) + service_s
        heapq.heappush(free, ends)
        told.append(ends - at)
    return np.array(told)
