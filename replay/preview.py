"""A plan looked at before a byte is sent: counts, rates, hosts, unsafe methods, what it needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .options import PlanOptions
from .plan import SAFE_METHODS
from .plan_figures import Figures, figures_of

if TYPE_CHECKING:
    from capture.tape import Tape


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
    about: bool = False  # of a long soak: taken to go on as it begins

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person."""
        return "\n".join(
            [
                f"{'about ' if self.about else ''}{self.requests:,} requests on "
                f"{self.connections:,} connections, {self.bytes:,} bytes, in {self.span_s:.3f} s",
                f"rate     {self.mean_rate:,.1f}/s on average, {self.peak_rate:,.0f}/s at its peak",
                "methods  " + ", ".join(f"{name} {n:,}" for name, n in self.methods.items()),
                f"unsafe   {self.unsafe:,} (--read-only leaves them out)",
                "hosts    " + ", ".join(f"{name} {n:,}" for name, n in self.hosts.items()),
                self.picture,
            ]
        )


def preview(tape: Tape, options: PlanOptions) -> Preview:
    """The plan that a tape and options make, counted: all of it, or its begin where it is long."""
    return preview_of(figures_of(tape, options))


def preview_of(found: Figures) -> Preview:
    """The figures of a plan, as they are shown."""
    span_s = found.span_ns / 1e9
    hosts = Counter(found.hosts).most_common(10)
    return Preview(
        found.requests, found.connections, found.bytes, span_s,
        found.requests / max(span_s, 1e-9) if span_s > 0 else 0.0, float(found.peak_per_s),
        dict(Counter(found.methods).most_common()),
        sum(n for name, n in found.methods.items() if name not in SAFE_METHODS),
        dict(hosts), "\n".join(found.pictures()), found.about,
    )  # fmt: skip
