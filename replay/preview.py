"""A plan looked at before a byte is sent: counts, rates, hosts, unsafe methods, what it needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .options import PlanOptions
from .plan import SAFE_METHODS, plan_chunks

if TYPE_CHECKING:
    from capture.tape import Tape

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60


@dataclass(frozen=True)
class Preview:
    """What a replay would send. Rates in requests/s."""

    requests: int
    connections: int
    bytes: int
    span_s: float
    mean_rate: float
    peak_rate: float
    methods: dict[str, int]
    unsafe: int
    hosts: dict[str, int]
    picture: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person."""
        return "\n".join(
            [
                f"{self.requests:,} requests on {self.connections:,} connections, "
                f"{self.bytes:,} bytes, in {self.span_s:.3f} s",
                f"rate     {self.mean_rate:,.1f}/s on average, {self.peak_rate:,.0f}/s at its peak",
                "methods  " + ", ".join(f"{name} {n:,}" for name, n in self.methods.items()),
                f"unsafe   {self.unsafe:,} (--read-only leaves them out)",
                "hosts    " + ", ".join(f"{name} {n:,}" for name, n in self.hosts.items()),
                self.picture,
            ]
        )


def preview(tape: Tape, options: PlanOptions) -> Preview:
    """The plan that a tape and options make, counted in one pass."""
    methods: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    seconds: Counter[int] = Counter()
    lanes: set[int] = set()
    size = last = 0
    for chunk in plan_chunks(tape, options):
        _count(methods, chunk["method"])
        _count(hosts, chunk["host"])
        found, counts = np.unique(chunk["due_ns"] // 1_000_000_000, return_counts=True)
        seconds.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        lanes.update(chunk["lane"].tolist())
        size += int(chunk["request_bytes"].sum())
        last = max(last, int(chunk["due_ns"][-1]))
    requests = methods.total()
    return Preview(
        requests, len(lanes), size, last / 1e9, requests / max(last / 1e9, 1e-9) if last else 0.0,
        float(max(seconds.values(), default=0)), dict(methods.most_common()),
        sum(n for name, n in methods.items() if name not in SAFE_METHODS),
        dict(hosts.most_common(10)), _picture(seconds),
    )  # fmt: skip


def _count(counter: Counter[str], column: Any) -> None:
    codes, counts = np.unique(column.codes, return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        counter[column.values[code]] += count


def _picture(seconds: Counter[int]) -> str:
    if not seconds or max(seconds) < 0:  # beyond what a clock holds, at the slowest speeds
        return ""
    span = max(seconds) + 1
    step = -(-span // _WIDTH)
    highest: Counter[int] = Counter()
    for second, count in seconds.items():
        highest[second // step] = max(highest[second // step], count)
    bars = [highest[mark] for mark in range(-(-span // step))]
    peak = max(bars)
    drawn = "".join(_BARS[round(bar / peak * (len(_BARS) - 1))] for bar in bars)
    return f"{drawn}  one mark is {step} s, the highest {peak:,}/s"
