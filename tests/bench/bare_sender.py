"""The bare sender (bare_sender.c): how late a plan is where no more is done than to send it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests.bench.common import SENDER_CORE, need, on_core

SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> Path:
    """Compile it."""
    program = folder / "bare_sender"
    subprocess.run([need("gcc"), "-O2", "-o", program, SOURCE], check=True)
    return program


def lateness(
    program: Path, port: int, requests: list[tuple[int, float, bytes]], realtime: bool
) -> np.ndarray:
    """How late each request (connection, ms, bytes) was sent, in ns, sorted."""
    lanes, times, raw = zip(*requests, strict=True)
    due = np.round(np.asarray(times) * 1e6).astype(np.int64)
    sizes = np.asarray([len(each) for each in raw], np.int64)
    head = np.asarray([port, max(lanes) + 1, len(raw), realtime], np.int64)
    columns = [due - due[0], np.asarray(lanes, np.int64), np.cumsum(sizes) - sizes, sizes]
    said = subprocess.run(
        on_core(SENDER_CORE, [str(program)]),
        input=b"".join([head.tobytes(), *(each.tobytes() for each in columns), *raw]),
        stdout=subprocess.PIPE,
        check=True,
    )
    return np.sort(np.frombuffer(said.stdout, np.int64) - columns[0])
