"""Writes generated conversations to an interface, packet by packet, at a rate.

python -m tests.capture.live.inject IFACE --connections 100 --exchanges 3 --seconds 2
"""

from __future__ import annotations

import argparse
import socket
import time

from samples.packets import Conversations, frame_of, interleaved

_TOGETHER = 16  # packets between two looks at the clock


def main() -> None:
    """Send them, spread evenly over the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--exchanges", type=int, default=3)
    parser.add_argument("--open-at-once", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    what = Conversations(asked.connections, asked.exchanges, asked.open_at_once, seed=asked.seed)
    frames = [frame_of(what, number, packet) for number, packet in interleaved(what)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind((asked.interface, 0x0800))
        began = time.monotonic()
        for number, frame in enumerate(frames):
            if number % _TOGETHER == 0:
                due = began + asked.seconds * number / len(frames)
                time.sleep(max(0.0, due - time.monotonic()))
            out.send(frame)


if __name__ == "__main__":
    main()
