"""Our own traffic as metrics: what is exposed and exported is what was sent."""

from __future__ import annotations

import builtins
import gzip
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from capture.errors import ReplayError
from capture.exchange import NEVER
from replay.observe.glance import Glance, Part
from replay.observe.metrics import MOST_ENDPOINTS, Buckets, Endpoint, Traffic
from replay.observe.observers import observers
from replay.observe.options import ObserveOptions
from replay.observe.otlp import Exporter
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import get, recorder, waited, write_tape


def glance(count: int, endpoint: str = "GET /", failed: int = 0) -> Glance:
    outcome = np.where(np.arange(count) < failed, 3, 1)
    service = np.where(outcome == 1, 2_000_000, NEVER)
    part = Part(
        late_ns=np.full(count, 40_000), endpoint=np.zeros(count, np.int32), endpoints=[endpoint],
        service_ns=service, response_ns=service, status=np.where(outcome == 1, 200, 0),
        outcome=outcome, due_ns=np.zeros(count), target=np.zeros(count),
        was_status=np.full(count, 200), recorded_ns=service,
    )  # fmt: skip
    return Glance(0, 1, count, 3, 0, [part])


def exposed(url: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_exposed_is_what_was_seen() -> None:
    traffic = Traffic(lambda: {"leak": 2})
    endpoint = Endpoint(traffic, "127.0.0.1", 0)
    endpoint(glance(1))
    traffic(glance(100, failed=7))
    try:
        found = exposed(endpoint.url)
    finally:
        endpoint.close()
    assert found["wiretape_requests_due_total", ""] == 100
    assert found["wiretape_requests_sent_total", ""] == 100
    assert found["wiretape_requests_total", "answered,200"] == 93
    assert found["wiretape_in_flight", ""] == 3
    assert found["wiretape_service_seconds_count", "GET /"] == 93
    assert found["wiretape_service_seconds_bucket", "GET /,0.0025"] == 93
    assert found["wiretape_service_seconds_bucket", "GET /,0.001"] == 0
    assert found["wiretape_lateness_seconds_sum", ""] == pytest.approx(100 * 40e-6)
    assert found["wiretape_findings", "leak"] == 2


def test_endpoints_beyond_a_hundred_are_counted_together() -> None:
    traffic = Traffic()
    for number in range(MOST_ENDPOINTS + 50):
        traffic(glance(2, f"GET /{number}"))
    assert len(traffic.service) == MOST_ENDPOINTS + 1
    assert traffic.service["(other)"].counts.sum() == 100


def test_a_histogram_of_nothing_is_nothing() -> None:
    buckets = Buckets()
    buckets.add(np.array([NEVER, NEVER]))
    assert buckets.cumulative()[-1] == ("+Inf", 0.0)


def test_metrics_are_served_while_a_replay_runs_and_no_longer(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "t.tape", [(n % 3, n * 20, get("/a")) for n in range(100)])
    said: list[str] = []
    seen: list[float] = []

    def ask(_glance: Glance) -> None:
        if not seen and len(said) == 1:
            seen.append(exposed(said[0].split()[-1])["wiretape_requests_sent_total", ""])

    with recorder() as target:
        chosen = ReplayOptions(target=(target.url,), no_calibrate=True)
        with observers(ObserveOptions(metrics=("127.0.0.1", 0)), "t", said.append) as looking:
            calls = [*looking.calls, ask]
            assert replay(tape, chosen, tmp_path / "r.tape", observers=calls).answered == 100
    assert 0 <= seen[0] < 100
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(said[0].split()[-1], timeout=5)


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """A real OTLP/HTTP sink: what it was sent, as messages."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    got: list[Any] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.append((self.path, ExportMetricsServiceRequest.FromString(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Sink) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


def metrics_of(message: Any) -> dict[str, Any]:
    scopes = message.resource_metrics[0].scope_metrics
    return {metric.name: metric for metric in scopes[0].metrics}


def test_outcomes_reach_a_collector_as_sums_and_histograms() -> None:
    traffic, said = Traffic(), list[str]()
    traffic(glance(100, failed=7))
    with collector() as (url, got):
        exporter = Exporter(traffic, url, "run.tape", said.append, every_s=0.05)
        exporter(glance(1))
        assert waited(lambda: len(got) >= 2)
        traffic(glance(11))
        exporter.close()
    assert said == []
    path, last = got[-1]
    assert path == "/v1/metrics"
    labels = {a.key: a.value.string_value for a in last.resource_metrics[0].resource.attributes}
    assert labels["service.name"] == "wiretape"
    assert labels["wiretape.run"] == "run.tape"
    found = metrics_of(last)
    assert found["wiretape.requests.sent"].sum.data_points[0].as_int == 111
    outcomes = {
        tuple(sorted((a.key, a.value.string_value or a.value.int_value) for a in p.attributes)):
            p.as_int
        for p in found["wiretape.requests"].sum.data_points
    }  # fmt: skip
    assert outcomes[("http.response.status_code", 200), ("outcome", "answered")] == 104
    service = found["wiretape.service"].histogram.data_points[0]
    assert (service.count, sum(service.bucket_counts)) == (104, 104)
    assert service.sum == pytest.approx(104 * 0.002)
    assert found["wiretape.lateness"].histogram.data_points[0].max == pytest.approx(40e-6)


def test_a_collector_that_is_dead_is_told_once_and_counted() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    exporter = Exporter(Traffic(), url, "x", said.append, every_s=0.02)
    exporter(glance(1))
    assert waited(lambda: exporter.failures >= 1)
    exporter.close()
    assert sum("takes no outcomes" in line for line in said) == 1
    assert "exports" in said[-1]


def test_without_the_package_or_with_no_address_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ReplayError, match="is no address"):
        Exporter(Traffic(), "collector:4318", "x", print)
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ReplayError, match=r"pip install 'wiretape\[otlp\]'"):
        Exporter(Traffic(), "http://127.0.0.1:4318", "x", print)
