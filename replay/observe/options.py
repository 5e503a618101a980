"""Who may look on while a replay runs, declared once: `--dashboard`, `--metrics`, `--otlp`."""

from __future__ import annotations

from dataclasses import dataclass

from capture.options import ADDRESS, option


@dataclass(frozen=True)
class ObserveOptions:
    """Where a running replay can be looked at."""

    dashboard: tuple[str, int] | None = option(
        None, help="Serve a live page here (:8899).", type=ADDRESS, metavar="ADDRESS"
    )
    metrics: tuple[str, int] | None = option(
        None, help="Serve Prometheus metrics here (:9465).", type=ADDRESS, metavar="ADDRESS"
    )
    otlp: str = option(
        "", help="Send outcomes to this OpenTelemetry collector (OTLP/HTTP).", metavar="URL"
    )

    def __bool__(self) -> bool:
        return bool(self.dashboard or self.metrics or self.otlp)
