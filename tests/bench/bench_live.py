"""The live ring on loopback beside wrk: packets seen, lost in the kernel, and processor time.

nginx (one worker) and wrk share one core, the ring and decapsulation have the other. It needs
root, nginx and wrk, and touches nothing but loopback.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_SECONDS = 10
_CONFIG = """daemon off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder};
proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
scgi_temp_path {folder}; server {{ listen 127.0.0.1:{port};
location / {{ return 200 "hello world\\n"; }} }} }}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def measure(port: int, seconds: int) -> tuple[int, int, float, str]:
    """Packets seen, packets dropped, our processor seconds, and wrk's own line of its rate."""
    from capture.decap import Decapsulator
    from capture.ledger import Ledger
    from capture.ring import Ring, RingOptions, compile_filter, port_filter

    ledger = Ledger()
    decapsulator = Decapsulator(ledger, (port,))
    ring = Ring(RingOptions("lo", 64 << 20, program=compile_filter(port_filter((port,)), 1)))
    command = ["taskset", "-c", "0", "wrk", "-t1", "-c64", f"-d{seconds}s",
               f"http://127.0.0.1:{port}/"]  # fmt: skip
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(0, {1})
    began = time.process_time()
    while load.poll() is None:
        for frames in ring.read():
            decapsulator.packets(frames)
        ring.wait(0.01)
    used = time.process_time() - began
    drops = ring.drops()
    ring.close()
    output = load.communicate()[0]
    rate = next(line for line in output.splitlines() if "Requests/sec" in line)
    return ledger.count("packets"), drops, used, rate.strip()


def main() -> None:
    """Print the table."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port))
        server = subprocess.Popen(["taskset", "-c", "0", "nginx", "-c", str(config)])
        try:
            time.sleep(0.5)
            packets, drops, used, rate = measure(port, _SECONDS)
        finally:
            server.terminate()
            server.wait()
    print(f"{packets:,} packets seen, {drops:,} dropped by the kernel, wrk: {rate}")
    print(
        f"processor: {used:.2f} s in {_SECONDS} s, {1e6 * used / max(packets, 1):.2f} us a packet"
    )


if __name__ == "__main__":
    main()
