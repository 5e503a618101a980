"""A raw target that keeps every byte and its arrival, and tapes made up for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from capture.exchange import Exchange, Kind
from capture.sanitize.sanitized import Sanitized
from capture.tape import TapeHeader, TapeWriter

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BASE_NS = 1_700_000_000_000_000_000


class Recorder:
    """Accepts connections; `behave(socket, received)` answers each with what it likes."""

    def __init__(
        self, behave: Callable[[socket.socket, list[bytes]], None], host: str = "127.0.0.1"
    ) -> None:
        self.listener = socket.create_server((host, 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received: list[list[bytes]] = []
        self.arrivals: list[int] = []
        self._behave = behave
        self._last_port = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            if peer[1] == self._last_port:
                sock.close()
                return
            sock.settimeout(5)
            pieces: list[bytes] = []
            self.received.append(pieces)
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, pieces))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, pieces: list[bytes]) -> None:
        try:
            with sock:
                self._behave(sock, pieces)
        except OSError:
            pass

    def close(self) -> None:
        """Take every connection that was made so far, and wait until each has been served."""
        with socket.socket(self.listener.family) as last:
            last.bind((self.listener.getsockname()[0], 0))
            self._last_port = last.getsockname()[1]
            try:
                last.connect(self.listener.getsockname())
            except OSError:
                pass  # a test has closed the listener itself
            for thread in self._threads:
                thread.join(6)
        self.listener.close()


def answering(answer: bytes = ANSWER) -> Callable[[socket.socket, list[bytes]], None]:
    """Answer each piece that comes."""

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        while data := sock.recv(65536):
            pieces.append(data)
            sock.sendall(answer)

    return behave


def endless(start: bytes) -> Callable[[socket.socket, list[bytes]], None]:
    """Answer with this, and then with more and more."""

    def behave(sock: socket.socket, pieces: list[bytes]) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(start)
        while True:
            sock.sendall(b"X-More: and more and more\r\n" * 1000)
            time.sleep(0.002)

    return behave


@contextmanager
def recorder(
    behave: Callable[[socket.socket, list[bytes]], None] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Recorder]:
    target = Recorder(behave or answering(), host)
    try:
        yield target
    finally:
        target.close()


def write_tape(path: Path, requests: Sequence[tuple[int, float, bytes]]) -> Path:
    """A tape of (connection, ms, bytes)."""
    writer = TapeWriter(path, TapeHeader())
    positions: dict[int, int] = {}
    for connection, at_ms, raw in requests:
        exchange = Exchange(connection, positions.setdefault(connection, 0))
        positions[connection] += 1
        exchange.request = raw
        exchange.request_bytes = len(raw)
        exchange.head_bytes = raw.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in raw else 0
        exchange.kind = Kind.HTTP1 if exchange.head_bytes else Kind.MALFORMED
        exchange.opened_ns = BASE_NS
        exchange.request_first_ns = exchange.request_last_ns = BASE_NS + round(at_ms * 1_000_000)
        exchange.response_first_ns = exchange.response_last_ns = exchange.request_last_ns + 500_000
        exchange.status = 200
        writer.append(Sanitized(exchange, 1))
    writer.close()
    return path


def get(path: str = "/", host: str = "shop.test") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def waited(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
