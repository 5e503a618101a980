"""The ring on loopback: every packet once, filtered by the kernel, nothing lost."""

from __future__ import annotations

import socket
import time

import pytest

from capture.errors import CaptureError
from capture.ledger import Ledger
from capture.live.filters import compile_filter
from capture.live.ring import Ring, RingOptions
from capture.packets.decap import Decapsulator


def _ring(port: int) -> Ring:
    try:
        return Ring(RingOptions("lo", 8 << 20, ports=(port,)))
    except CaptureError as failure:
        pytest.skip(f"no live capture here: {failure}")


def test_a_conversation_on_loopback_is_seen_once_and_whole() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ring = _ring(port)
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = server.accept()
                with accepted:
                    for number in range(200):
                        client.sendall(b"%03d" % number)
                        assert accepted.recv(3) == b"%03d" % number
            ledger = Ledger()
            decapsulator = Decapsulator(ledger, (port,))
            sent: list[bytes] = []
            until = time.monotonic() + 5
            closes = 0
            while closes < 2 and time.monotonic() < until:
                for frames in ring.read():
                    for packet in decapsulator.packets(frames):
                        sent += [packet[8]] if packet[4] == port and packet[8] else []
                        closes += packet[7] & 1
                time.sleep(0.01)
            assert ring.drops() == 0
        finally:
            ring.close()
    assert sent == [b"%03d" % number for number in range(200)]
    assert ledger.imbalances() == []


def test_an_interface_that_does_not_exist_is_one_clear_sentence() -> None:
    with pytest.raises(CaptureError, match="there is no interface nowhere0"):
        Ring(RingOptions("nowhere0"))


def test_a_filter_that_cannot_be_compiled_is_one_clear_sentence() -> None:
    with pytest.raises(CaptureError, match="cannot be compiled"):
        compile_filter("no such filter (", 1)
