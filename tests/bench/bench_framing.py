"""Reassembly and framing: packets, and captures, to exchanges, beside tshark in the same run.

The capture is made here: keep-alive connections taking turns, a request and an answer each. Rows
are medians of several runs on one core, in seconds of that core, since nothing here waits and other
work on the machine is not to count; the last column is the ratio to tshark, which lists the method
and target of every request. Memory is the matter of bench_memory.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from capture.flows import Flows
from capture.ledger import Ledger
from capture.packets.decap import Decapsulator
from capture.packets.frames import Packet
from capture.packets.sources import open_capture
from samples.packets import Conversations, write
from tests.bench.common import SENDER_CORE, have, stay_on_core

_RUNS = 3
_SHAPE = Conversations(connections=500, exchanges=400, open_at_once=64)


def batches(path: Path) -> list[list[Packet]]:
    """All packets of a capture, in batches as they are read."""
    decapsulator = Decapsulator(Ledger())
    return [decapsulator.packets(frames) for frames in open_capture(str(path)).frames()]


def frame(read: list[list[Packet]]) -> int:
    """Packets to exchanges; how many."""
    flows = Flows(Ledger())
    found = 0
    for batch in read:
        found += len(flows.feed(batch))
        flows.closed()
    return found + len(flows.finish())


def whole(path: Path) -> int:
    """A capture to exchanges; how many."""
    ledger = Ledger()
    decapsulator, flows = Decapsulator(ledger), Flows(ledger)
    found = 0
    for frames in open_capture(str(path)).frames():
        found += len(flows.feed(decapsulator.packets(frames)))
        flows.closed()
    return found + len(flows.finish())


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """The median processor time of some runs, of this process and of those it waited for."""
    taken = []
    for _ in range(runs):
        gc.collect()
        began = processor_seconds()
        work()
        taken.append(processor_seconds() - began)
    return statistics.median(taken)


def processor_seconds() -> float:
    """What this process and those it waited for have used."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def tshark(path: Path) -> None:
    """tshark, listing the method and target of every request."""
    fields = ["-T", "fields", "-e", "http.request.method", "-e", "http.request.uri"]
    command = ["tshark", "-n", "-r", str(path), "-Y", "http.request", *fields]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Print the table."""
    stay_on_core(SENDER_CORE)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bench.pcap"
        with path.open("wb") as out:
            packets = write(_SHAPE, out)
        read = batches(path)
        exchanges = frame(read)
        print(f"{packets} packets, {exchanges} exchanges, {path.stat().st_size >> 20} MB")
        rows = [("wiretape, packets to exchanges", median_seconds(lambda: frame(read), _RUNS))]
        read = []
        rows.append(("wiretape, pcap to exchanges", median_seconds(lambda: whole(path), _RUNS)))
        if have("tshark"):
            rows.append(("tshark, pcap to requests", median_seconds(lambda: tshark(path), 1)))
        last = rows[-1][1]
        print(f"{'reader':34} {'packets/s':>12} {'exchanges/s':>12} {'ratio':>7}")
        for label, took in rows:
            print(
                f"{label:34} {packets / took:12,.0f} {exchanges / took:12,.0f} {last / took:7.1f}"
            )


if __name__ == "__main__":
    main()
