"""Who may look on while a replay runs, declared once: `--dashboard`, `--metrics`, `--otlp`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from capture.options import ParamType, option

Place = tuple[str, int]


class _PlaceType(ParamType):
    """Where to serve: `:9465`, `9465` or `127.0.0.1:9465`; without a host on loopback."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Place | None:
        if not isinstance(value, str):
            return None if value is None else (str(value[0]), int(value[1]))
        host, _, port = value.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is no address; write it like :9465.", param, ctx)
        return host.strip("[]") or "127.0.0.1", int(port)


@dataclass(frozen=True)
class ObserveOptions:
    """Where a running replay can be looked at."""

    dashboard: tuple[str, int] | None = option(
        None, help="Serve a live page here (:8899).", type=_PlaceType(), metavar="ADDRESS"
    )
    metrics: tuple[str, int] | None = option(
        None, help="Serve Prometheus metrics here (:9465).", type=_PlaceType(), metavar="ADDRESS"
    )
    otlp: str = option(
        "", help="Send outcomes to this OpenTelemetry collector (OTLP/HTTP).", metavar="URL"
    )

    def __bool__(self) -> bool:
        return bool(self.dashboard or self.metrics or self.otlp)


def observed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it is called with `observing=ObserveOptions(…)`."""

    @functools.wraps(command)
    def with_observers(*args: Any, **values: Any) -> Any:
        chosen = {name.name: values.pop(name.name) for name in fields(ObserveOptions)}
        return command(*args, observing=ObserveOptions(**chosen), **values)

    wrapped: Any = with_observers
    for each in reversed(fields(ObserveOptions)):
        spec = dict(each.metadata["option"])
        names = ("--" + each.name.replace("_", "-"), *spec.pop("names"), each.name)
        wrapped = click.option(*names, default=each.default, **spec)(wrapped)
    return wrapped  # type: ignore[no-any-return]
