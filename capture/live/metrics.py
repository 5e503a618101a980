"""Health of a live recording, for Prometheus: the ledger and a few gauges of each worker.

wiretape_seen_total{unit}        wiretape_became_total{unit, fate}
wiretape_memory_bytes{worker}    wiretape_sample_rate{worker}
wiretape_block_age_seconds{worker}   how long the oldest row has waited for the disk
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import CaptureError
from ..ledger import DROPPED, PACKETS, Ledger

Counts = dict[str, dict[str, int]]


class Report(NamedTuple):
    """What a worker tells each second."""

    counts: Counts
    memory: int = 0
    rate: float = 1.0
    block_age_s: float = 0.0


@dataclass(eq=False)
class Health:
    """The latest report of each worker."""

    reports: dict[int, Report] = field(default_factory=dict)

    def ledger(self) -> Ledger:
        """The ledgers of all workers together."""
        total = Ledger()
        for report in list(self.reports.values()):
            total.add(Ledger.from_dict(report.counts))
        return total

    def collect(self) -> Iterator[Any]:
        """The metrics now; what prometheus-client asks a collector for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        ledger = self.ledger()
        seen = CounterMetricFamily("wiretape_seen", "What was seen", labels=["unit"])
        became = CounterMetricFamily(
            "wiretape_became", "What became of it", labels=["unit", "fate"]
        )
        for unit in ledger.units():
            seen.add_metric([unit], ledger.count(unit))
            # What is lost is there from the beginning, so that an alert sees the first of it.
            lost = {DROPPED: 0} if unit == PACKETS else {}
            for fate, count in (lost | ledger.fates(unit)).items():
                became.add_metric([unit, fate], count)
        yield seen
        yield became
        reports = sorted(self.reports.items())
        for name, text, read in (
            ("memory_bytes", "Resident memory", _memory),
            ("sample_rate", "Share of connections that is kept", _rate),
            ("block_age_seconds", "How long the oldest row has waited for the disk", _block_age_s),
        ):
            gauge = GaugeMetricFamily(f"wiretape_{name}", text, labels=["worker"])
            for worker, report in reports:
                gauge.add_metric([str(worker)], read(report))
            yield gauge


def _memory(report: Report) -> float:
    return report.memory


def _rate(report: Report) -> float:
    return report.rate


def _block_age_s(report: Report) -> float:
    return report.block_age_s


def serve(health: Health, place: tuple[str, int]) -> int:
    """Serve the metrics from a thread; the port."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(health)
    host, port = place
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as failure:
        raise CaptureError(
            f"metrics cannot be served on {host}:{port}: {failure.strerror}; choose another."
        ) from None
    return int(server.server_port)
