"""Feeding the live page: a process that serves it, and a socket that takes states or drops them.

The port is taken here, before anything is sent, so that a port in use is an error of the command.
A state goes out at most twice a second and never waits: if the page's process does not keep up,
states are dropped (the next one says everything again).
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
from typing import Any

from capture.errors import ReplayError

from ..observe.glance import Glance
from ..observe.live import Live
from ..plain import plain

EVERY_S = 0.45
BUFFER = 1 << 20
PATIENCE_S = 5.0


class Dashboard:
    """Serves what `live` knows at an address, until `close`. An observer of glances."""

    def __init__(self, live: Live, host: str, port: int) -> None:
        self.live = live
        self._listener = _listen(host, port)
        self.url = "http://{}:{}".format(*_shown(self._listener))
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._told = 0.0
        from .server import serve

        self._process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(self._listener, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self._listener.close()

    def __call__(self, glance: Glance) -> None:
        """Take a glance; tell the page, if it is time."""
        self.live(glance)
        now = time.monotonic()
        if now - self._told >= EVERY_S:
            self._told = now
            self.tell()

    def tell(self, **more: Any) -> None:
        """Send the state now."""
        state = self.live.state() | more
        try:
            self._ours.send(json.dumps(plain(state)).encode())
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass  # a page that nobody can serve must not end a replay
        except OSError:
            self._ours.close()

    def close(self) -> None:
        """Tell that it has ended, and stop serving."""
        self.tell(ended=True)
        self._ours.close()
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as failure:
        raise ReplayError(
            f"--dashboard {host}:{port}: cannot be served there ({failure.strerror}); "
            "choose another port."
        ) from None


def _shown(listener: socket.socket) -> tuple[str, int]:
    host, port = listener.getsockname()[:2]
    return (f"[{host}]" if ":" in host else host), port
