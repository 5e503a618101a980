"""Makes the sample capture of the demo: production under bursty traffic, seen on loopback.

    sudo python -m samples.sniff -o samples/pcaps/shop.pcap.gz
    sudo python -m samples.sniff -o samples/pcaps/polite.pcap.gz --seconds 12 --seed 9 --odd 0

A plain packet socket, one process, no filter in the kernel: enough for a sample, and independent of
the recorder that will read what it writes. Loopback shows each packet leaving and arriving; only
the arrival is written. Needs the privilege to open packet sockets.
"""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from pathlib import Path

import click

from .packets import pcap_head, pcap_record
from .services import BUSY, PRODUCTION, shop, traffic

ALL_PROTOCOLS = 0x0003
ARRIVING = 0  # PACKET_HOST
TCP = 6


def _sniff(port: int, path: Path, stop: threading.Event) -> None:
    """Write the TCP packets of one port that arrive on loopback until told to stop."""
    everything = socket.htons(ALL_PROTOCOLS)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything) as tap:
        tap.bind(("lo", ALL_PROTOCOLS))
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        tap.settimeout(0.1)
        with gzip.open(path, "wb", compresslevel=9) as out:
            out.write(pcap_head())
            while not stop.is_set():
                try:
                    frame, where = tap.recvfrom(1 << 17)
                except TimeoutError:
                    continue
                if where[2] == ARRIVING and _is_of(port, frame):
                    out.write(pcap_record(time.time_ns(), frame))


def _is_of(port: int, frame: bytes) -> bool:
    """Whether a frame is TCP over IPv4 from or to a port."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != TCP:
        return False
    at = 14 + 4 * (frame[14] & 15)
    return port in struct.unpack_from("!HH", frame, at)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--seconds", default=20, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=4, show_default=True)
@click.option("--odd", default=0.06, show_default=True, help="Share of odd clients.")
def main(output: Path, seconds: int, seed: int, odd: float) -> None:
    """Write a capture of the sample shop's production.

    \b
    Example:
      sudo python -m samples.sniff -o samples/pcaps/shop.pcap.gz
    """
    stop = threading.Event()
    with shop(*PRODUCTION) as url:
        port = int(url.rsplit(":", 1)[1])
        tap = threading.Thread(target=_sniff, args=(port, output, stop))
        tap.start()
        time.sleep(0.5)
        told = traffic(url, "--for", f"{seconds}s", *BUSY, "--seed", str(seed), "--odd", str(odd))
        time.sleep(0.5)
        stop.set()
        tap.join()
    click.echo(f"{output}: {told['sessions']:,} sessions, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
