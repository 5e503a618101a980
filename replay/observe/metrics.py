"""Our own traffic as Prometheus metrics, while it is sent (`--metrics :9465`).

wiretape_requests_due_total  wiretape_requests_sent_total  wiretape_requests_total{outcome,status}
wiretape_in_flight           wiretape_lateness_seconds     wiretape_service_seconds{endpoint}
wiretape_response_seconds    wiretape_findings{kind}
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np

from capture.errors import ReplayError
from capture.exchange import NEVER, Outcome

from .glance import Glance, Part, each_endpoint

BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
)  # fmt: skip
MOST_ENDPOINTS = 100
OTHER = "(other)"


class Buckets:
    """A histogram of fixed bounds, as Prometheus has them."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(BOUNDS_S) + 1, np.int64)
        self.sum_s = self.largest_s = 0.0

    def add(self, times_ns: Any) -> None:
        """Count times in ns."""
        seconds = times_ns[times_ns != NEVER] / 1e9
        if not len(seconds):
            return
        places = np.searchsorted(BOUNDS_S, seconds, "left")
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum_s += float(seconds.sum())
        self.largest_s = max(self.largest_s, float(seconds.max()))

    def cumulative(self) -> list[tuple[str, float]]:
        """(bound, count at or below it) of each bucket."""
        bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        return list(zip(bounds, np.cumsum(self.counts).astype(float).tolist(), strict=True))


class Traffic:
    """Sums of glances, and the collector that prometheus-client asks."""

    def __init__(self, findings: Callable[[], Mapping[str, int]] = dict) -> None:
        self.due = self.sent = 0
        self.answers: Counter[tuple[str, str]] = Counter()
        self.late, self.response = Buckets(), Buckets()
        self.service: dict[str, Buckets] = {}
        self._findings = findings
        self._flying: dict[int, int] = {}
        self.lock = threading.Lock()

    def __call__(self, glance: Glance) -> None:
        """Take a glance."""
        with self.lock:
            self._flying[glance.worker] = glance.in_flight
            self.due += glance.due
            self.sent += glance.sent
            for part in glance.parts:
                self._take(part)

    def _take(self, part: Part) -> None:
        self.late.add(np.maximum(part.late_ns, 0))
        self.response.add(part.response_ns)
        for name, _, rows in each_endpoint([part]):
            if name not in self.service and len(self.service) >= MOST_ENDPOINTS:
                name = OTHER
            self.service.setdefault(name, Buckets()).add(part.service_ns[rows])
        pairs, counts = np.unique(
            np.stack([part.outcome.astype(np.int64), part.status.astype(np.int64)]),
            axis=1, return_counts=True,
        )  # fmt: skip
        for outcome, status, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            self.answers[Outcome(outcome).name.lower(), str(status or "")] += count

    def collect(self) -> Iterator[Any]:
        """The metrics now."""
        with self.lock:
            yield from list(self._families())

    def _families(self) -> Iterator[Any]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        yield CounterMetricFamily("wiretape_requests_due", "Fell due by the plan", value=self.due)
        yield CounterMetricFamily("wiretape_requests_sent", "Were sent", value=self.sent)
        ended = CounterMetricFamily(
            "wiretape_requests", "What became of them", labels=["outcome", "status"]
        )
        for labels, count in sorted(self.answers.items()):
            ended.add_metric(labels, count)
        yield ended
        flying = float(sum(self._flying.values()))
        yield GaugeMetricFamily("wiretape_in_flight", "Sent and not answered yet", value=flying)
        for name, text, buckets in (
            ("lateness", "Sent − due: our own fault", self.late),
            ("response", "Last byte − due: what a user waits", self.response),
        ):
            yield HistogramMetricFamily(
                f"wiretape_{name}_seconds", text, buckets.cumulative(), buckets.sum_s
            )
        service = HistogramMetricFamily(
            "wiretape_service_seconds", "Last byte − sent", labels=["endpoint"]
        )
        for name, buckets in sorted(self.service.items()):
            service.add_metric([name], buckets.cumulative(), buckets.sum_s)
        yield service
        found = GaugeMetricFamily("wiretape_findings", "Found so far", labels=["kind"])
        for kind, count in sorted(self._findings().items()):
            found.add_metric([kind], count)
        yield found


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 5  # of a scraper that says nothing

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no news."""


class Endpoint:
    """Serves the metrics of `traffic`. An observer of glances: the first starts its thread."""

    def __init__(self, traffic: Traffic, host: str, port: int) -> None:
        from prometheus_client import CollectorRegistry, make_wsgi_app

        registry = CollectorRegistry()
        registry.register(traffic)
        application: Any = make_wsgi_app(registry)
        try:
            self._server = make_server(host, port, application, _Server, _Quiet)
        except OSError as failure:
            raise ReplayError(
                f"--metrics {host}:{port}: cannot be served there ({failure.strerror}); "
                "choose another port."
            ) from None
        self._thread: threading.Thread | None = None
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def __call__(self, _glance: Glance) -> None:
        """The replay runs: start to serve."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()
