"""The writer of captures writes what an independent reader finds in them."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.layers import inet
from scapy.utils import PcapNgReader, PcapReader

from samples.packets import Conversations, write


def streams(raw: bytes, reader: type) -> dict[tuple[str, int], bytes]:
    """What each client said, by address and port, in packet order."""
    said: dict[tuple[str, int], bytes] = {}
    with reader(io.BytesIO(raw)) as packets:
        for packet in packets:
            tcp = packet[inet.TCP]
            if tcp.dport == 8080:
                key = (packet[inet.IP].src, tcp.sport)
                said[key] = said.get(key, b"") + bytes(tcp.payload)
    return said


@pytest.mark.parametrize(("pcapng", "reader"), [(False, PcapReader), (True, PcapNgReader)])
def test_scapy_reads_every_request_of_interleaved_connections(pcapng: bool, reader: type) -> None:
    what = Conversations(connections=7, exchanges=5, open_at_once=3)
    out = io.BytesIO()
    write(what, out, pcapng)
    said = streams(out.getvalue(), reader)
    assert len(said) == 7
    assert all(stream.count(b"GET /products/") == 5 for stream in said.values())


def test_the_same_options_write_the_same_bytes() -> None:
    what = Conversations(connections=16, exchanges=3, faults=True)
    first, second = io.BytesIO(), io.BytesIO()
    assert write(what, first) == write(what, second)
    assert first.getvalue() == second.getvalue()


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_counts_the_requests_of_plain_conversations(tmp_path: Path) -> None:
    path = tmp_path / "plain.pcap"
    with path.open("wb") as out:
        write(Conversations(connections=12, exchanges=10), out)
    command = ["tshark", "-n", "-r", str(path), "-Y", "http.request"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 120
