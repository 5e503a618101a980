"""Outcomes to an OpenTelemetry collector, by OTLP over HTTP (`--otlp http://127.0.0.1:4318`).

What goes out are sums and histograms, every ten seconds and at the end, not a span a request: the
cost does not grow with the rate, and nothing of it is near what sends. They are cumulative, so an
export that fails is made good by the next; failures are counted and told once. The exporter is the
official one: it reads OTEL_EXPORTER_OTLP_HEADERS and its kin, compresses and retries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from capture.errors import ReplayError
from capture.log import Tell

from ..rules import shown_url
from .glance import Glance
from .metrics import BOUNDS_S, Buckets, Traffic

EVERY_S = 10.0
PATIENCE_S = 5.0


class Exporter:
    """Exports what `traffic` has counted. An observer of glances: the first starts its thread."""

    def __init__(
        self, traffic: Traffic, url: str, name: str, say: Tell,
        every_s: float = EVERY_S,
    ) -> None:  # fmt: skip
        if not url.startswith(("http://", "https://")):
            raise ReplayError(f"--otlp {shown_url(url)!r} is no address: write http://HOST:4318.")
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        except ImportError:
            raise ReplayError(
                "--otlp needs the OpenTelemetry exporter: pip install 'wiretape[otlp]'."
            ) from None
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # failures are ours to tell
        if not url.rstrip("/").endswith("/v1/metrics"):
            url = url.rstrip("/") + "/v1/metrics"
        self._exporter = OTLPMetricExporter(endpoint=url, timeout=PATIENCE_S)
        self._traffic, self._url, self._name, self._say = traffic, shown_url(url), name, say
        self._every_s = every_s
        self._began = time.time_ns()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = self.exports = 0

    def __call__(self, _glance: Glance) -> None:
        """The replay runs: start exporting."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Export what there is a last time."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2 * PATIENCE_S)
        self._exporter.shutdown(timeout_millis=0)
        if self.failures:
            done = self.failures + self.exports
            self._say(f"{self.failures} of {done} exports to {self._url} failed.")

    def _work(self) -> None:
        while not self._ended.wait(self._every_s):
            self._export()
        self._export()

    def _export(self) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        try:
            done = self._exporter.export(self._data(), timeout_millis=PATIENCE_S * 1000)
        except Exception:  # whatever the exporter and its transport may raise
            done = MetricExportResult.FAILURE
        if done is MetricExportResult.SUCCESS:
            self.exports += 1
            return
        self.failures += 1
        if self.failures == 1:
            self._say(f"{self._url} takes no outcomes; it is tried again.")

    def _data(self) -> Any:
        from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        resource = Resource.create({"service.name": "wiretape", "wiretape.run": self._name})
        with self._traffic.lock:
            metrics = list(self._metrics(time.time_ns()))
        scope = ScopeMetrics(InstrumentationScope("wiretape"), metrics, "")
        return MetricsData([ResourceMetrics(resource, [scope], "")])

    def _metrics(self, now: int) -> Iterator[Any]:
        traffic = self._traffic
        answers: list[tuple[dict[str, Any], int]] = [
            ({"outcome": outcome} | ({"http.response.status_code": int(status)} if status else {}),
             count)
            for (outcome, status), count in sorted(traffic.answers.items())
        ]  # fmt: skip
        yield self._sum("wiretape.requests.due", [({}, traffic.due)], now)
        yield self._sum("wiretape.requests.sent", [({}, traffic.sent)], now)
        yield self._sum("wiretape.requests", answers, now)
        service = [({"endpoint": name}, each) for name, each in sorted(traffic.service.items())]
        yield self._histogram("wiretape.lateness", [({}, traffic.late)], now)
        yield self._histogram("wiretape.response", [({}, traffic.response)], now)
        yield self._histogram("wiretape.service", service, now)

    def _sum(self, name: str, values: list[tuple[dict[str, Any], int]], now: int) -> Any:
        from opentelemetry.sdk.metrics.export import (
            AggregationTemporality,
            Metric,
            NumberDataPoint,
            Sum,
        )

        points = [NumberDataPoint(labels, self._began, now, value) for labels, value in values]
        return Metric(name, "", "{request}", Sum(points, AggregationTemporality.CUMULATIVE, True))

    def _histogram(self, name: str, values: list[tuple[dict[str, str], Buckets]], now: int) -> Any:
        from opentelemetry.sdk.metrics.export import (
            AggregationTemporality,
            Histogram,
            HistogramDataPoint,
            Metric,
        )

        points = [
            HistogramDataPoint(
                labels, self._began, now, int(each.counts.sum()), each.sum_s,
                each.counts.tolist(), list(BOUNDS_S), 0.0, each.largest_s,
            )
            for labels, each in values
        ]  # fmt: skip
        return Metric(name, "", "s", Histogram(points, AggregationTemporality.CUMULATIVE))
