"""A plan looked at before a byte is sent: counts, rates, hosts, unsafe methods, what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..options import PlanOptions
from .figures import Figures
from .needs import RESERVED, Limits, shortages
from .on_time import OnTime, bare_rate, on_time
from .plan import SAFE_METHODS

_SHORT_NS = 10_000_000


@dataclass(frozen=True)
class Preview:
    """What a replay would send and take. Rates in requests/s."""

    requests: int
    connections: int
    bytes: int
    span_s: float
    mean_rate: float
    peak_rate: float
    peak_rate_10ms: float
    peak_in_flight: int
    peak_connections: int
    descriptors: int
    source_ports: int
    limits: Limits
    short_of: list[str]
    on_time: OnTime | None
    methods: dict[str, int]
    unsafe: dict[str, int]
    hosts: dict[str, int]
    picture: str
    about: bool = False  # of a long soak: taken to go on as it begins
    paced: bool = True  # by a clock; else by the answers
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person."""
        lines = [
            f"{'about ' if self.about else ''}{self.requests:,} requests on "
            f"{self.connections:,} connections, {self.bytes:,} bytes"
            + (f", in {self.span_s:.3f} s" if self.paced else ", as fast as answers allow"),
        ]
        if self.paced:
            lines += [
                f"rate     {self.mean_rate:,.1f}/s on average, {self.peak_rate:,.0f} in the "
                f"busiest second, {self.peak_rate_10ms / 100:,.0f} in the busiest 10 ms",
                f"at once  {self.peak_in_flight:,} requests on {self.peak_connections:,} "
                "connections if answers take as long as recorded",
            ]
        unsafe = _counts(self.unsafe)
        lines += [
            f"methods  {_counts(self.methods)}",
            f"unsafe   {unsafe} (--read-only leaves them out)" if unsafe else "unsafe   none",
            f"hosts    {_counts(self.hosts)}",
        ]
        lines.append(
            f"needs    {self.descriptors:,} of {self.limits.descriptors:,} descriptors, "
            f"{self.source_ports:,} of {self.limits.ports:,} source ports"
        )
        lines += [f"         {sentence}" for sentence in self.short_of]
        if self.on_time is not None:
            lines.append(f"on time  {self.on_time.sentence()}")
        lines += [self.picture] if self.picture else []
        return "\n".join([*lines, *(f"Warning: {warning}" for warning in self.warnings)])


def preview_of(found: Figures, options: PlanOptions, warnings: Iterable[str] = ()) -> Preview:
    """The figures of a plan, as they are shown, held against what this machine can do."""
    span_s = found.span_ns / 1e9
    needs, limits = found.seen.needs, Limits.here()
    known = None
    if not options.at_max and not options.no_calibrate and found.requests:
        counts = found.seen.arrivals.counts
        known = on_time(*counts.occupied(), counts.width_ns, bare_rate())
    return Preview(
        found.requests, found.connections, found.bytes, span_s,
        found.requests / max(span_s, 1e-9) if span_s > 0 else 0.0, float(found.peak_per_s),
        found.peak(_SHORT_NS) * (1e9 / _SHORT_NS), needs.in_flight, needs.open,
        needs.open + RESERVED, needs.ports, limits, shortages(needs.open, needs.ports, limits),
        known, dict(Counter(found.methods).most_common()), unsafe_of(found.methods),
        dict(Counter(found.hosts).most_common(10)), "\n".join(found.pictures()), found.about,
        not options.at_max, list(warnings),
    )  # fmt: skip


def unsafe_of(methods: dict[str, int]) -> dict[str, int]:
    """Those that may change something at the target, commonest first."""
    counts = Counter(methods).most_common()
    return {name: count for name, count in counts if name not in SAFE_METHODS}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name or '(none)'} {n:,}" for name, n in counts.items())
