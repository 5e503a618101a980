"""A TCP proxy on loopback that makes a target slower, with the luck that a run has as a whole.

Each answer is held back: most for `HELD_S`, one in twenty (the tail) for twice that, times the luck
of the run, which `begin` draws anew. So p99 of what passes has noise of `NOISE` a run, as between
runs at any real target, and `slower` multiplies the tail alone: p99 grows, p50 and p90 stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np

HELD_S = 0.04
TAIL = 20
NOISE = 0.03


class FaultProxy:
    """A proxy that runs in a process of its own; `begin` is called before each run through it."""

    def __init__(self, slower: float, noise: float, seed: int) -> None:
        self.slower = slower
        self._noise = noise
        self._rng = np.random.default_rng(seed)
        self.luck: Any = multiprocessing.Value("d", 1.0)
        self.url = ""

    def begin(self) -> None:
        """Draw the luck of the next run."""
        self.luck.value = float(self._rng.lognormal(0, self._noise))


@contextlib.contextmanager
def fault_proxy(
    upstream: int, slower: float = 1.0, noise: float = NOISE, seed: int = 1
) -> Iterator[FaultProxy]:
    """A proxy to a port of loopback."""
    proxy = FaultProxy(slower, noise, seed)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        proxy.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(listener, upstream, slower, proxy.luck), daemon=True
        )
        process.start()
    try:
        yield proxy
    finally:
        process.terminate()
        process.join()


def _serve(listener: socket.socket, upstream: int, slower: float, luck: Any) -> None:
    asyncio.run(_Relay(upstream, slower, luck).serve(listener))


class _Relay:
    """Bytes both ways; those of an answer are held back once, from its first on."""

    def __init__(self, upstream: int, slower: float, luck: Any) -> None:
        self._upstream = upstream
        self._slower = slower
        self._luck = luck
        self._count = 0

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connection, sock=listener)
        await server.serve_forever()

    def _held(self) -> float:
        self._count += 1
        tail = 2 * self._slower if self._count % TAIL == 0 else 1.0
        return float(HELD_S * tail * self._luck.value)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, out = await asyncio.open_connection("127.0.0.1", self._upstream)
        loop, until = asyncio.get_running_loop(), [0.0]

        async def requests() -> None:
            while data := await reader.read(65536):
                until[0] = loop.time() + self._held()
                out.write(data)
            out.write_eof()

        async def answers() -> None:
            while data := await inner.read(65536):
                await asyncio.sleep(until[0] - loop.time())
                writer.write(data)

        with contextlib.suppress(OSError):
            await asyncio.gather(requests(), answers())
        for each in (writer, out):
            each.close()
