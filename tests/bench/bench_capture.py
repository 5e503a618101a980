"""`capture pcap` beside tshark on the same capture: the whole of it, and its parts.

The capture is made by samples/packets.py: keep-alive connections of small exchanges, a session
cookie each. Each figure is the median of rounds in turns, on one core, in processor seconds of that
core, since nothing here waits; read the ratios.

    python tests/bench/bench_capture.py
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.common import SENDER_CORE, Table, alternate, have, output_of, stay_on_core

_CONNECTIONS = 2000
_EXCHANGES = 60  # per connection
_ROUNDS = 3


def decapsulated(path: Path) -> None:
    """Frames to packets."""
    from capture.ledger import Ledger
    from capture.packets.decap import Decapsulator
    from capture.packets.sources import open_capture

    decapsulator = Decapsulator(Ledger())
    for frames in open_capture(str(path)).frames():
        decapsulator.packets(frames)
    decapsulator.close()


def framed(path: Path) -> None:
    """Frames to exchanges: reassembly and framing, nothing kept."""
    from capture.flows import Flows
    from capture.ledger import Ledger
    from capture.packets.decap import Decapsulator
    from capture.packets.sources import open_capture

    ledger = Ledger()
    decapsulator, flows = Decapsulator(ledger), Flows(ledger)
    for frames in open_capture(str(path)).frames():
        flows.feed(decapsulator.packets(frames))
        flows.closed()
    flows.finish()


def recorded(path: Path, level: str) -> None:
    """Frames to a tape."""
    from capture.packets.sources import open_capture
    from capture.recording import RecordOptions, open_recorder

    options = RecordOptions(
        output=str(path.with_suffix(".tape")), level=level, unsafe_raw=level == "none"
    )
    recorder = open_recorder(options, str(path), print)
    for frames in open_capture(str(path)).frames():
        recorder.take(frames)
        recorder.tick()
    recorder.close()
    assert not recorder.ledger.imbalances()
    assert recorder.ledger.count("exchanges", "kept") == _CONNECTIONS * _EXCHANGES


def tshark(path: Path) -> None:
    """tshark, listing method and target of every request."""
    fields = ["-T", "fields", "-e", "http.request.method", "-e", "http.request.uri"]
    output_of(["tshark", "-n", "-r", str(path), "-Y", "http.request", *fields])


def processor_seconds(work: Callable[[], None]) -> float:
    """What some work took of this process and of the children it waited for."""

    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def main() -> None:
    """Print the table."""
    from capture.recording import calm_collector
    from samples.packets import Conversations, write

    stay_on_core(SENDER_CORE)
    calm_collector()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.pcap"
        with path.open("wb") as out:
            packets = write(Conversations(connections=_CONNECTIONS, exchanges=_EXCHANGES), out)
        exchanges = _CONNECTIONS * _EXCHANGES
        size = path.stat().st_size >> 20
        print(f"{packets:,} packets, {exchanges:,} exchanges, {size} MB\n")
        works: dict[str, Callable[[], None]] = {
            "capture pcap, default policy": lambda: recorded(path, "standard"),
            "capture pcap, no policy": lambda: recorded(path, "none"),
            "reassembly and framing only": lambda: framed(path),
            "decapsulation only": lambda: decapsulated(path),
        }
        if have("tshark"):
            works["tshark, requests"] = lambda: tshark(path)

        def rate(work: Callable[[], None]) -> Callable[[], float]:
            return lambda: exchanges / processor_seconds(work)

        figures = alternate({name: rate(work) for name, work in works.items()}, _ROUNDS)
        table = Table("From a capture file, one core", "exchanges/s")
        for name, rates in figures.items():
            per_exchange = packets / exchanges
            middle = sorted(rates)[len(rates) // 2]
            table.add(name, rates, f"{middle * per_exchange:,.0f} packets/s")
        print(table)


if __name__ == "__main__":
    main()
