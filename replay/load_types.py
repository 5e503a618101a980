"""How scales, spikes and herds are written on the command line; read where they are used."""

from __future__ import annotations

from typing import Any

import click

from capture.options import ParamType


class SpikeType(ParamType):
    """`at=30s,for=5s,x=20,shape=step`."""

    name = "spike"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from shapes.spike import Spike, parse

        del param, ctx
        return value if isinstance(value, Spike) else parse(str(value))


class HerdType(ParamType):
    """`at=30s,users=10000`."""

    name = "herd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from shapes.herd import Herd, parse

        del param, ctx
        return value if isinstance(value, Herd) else parse(str(value))


class EndpointScaleType(ParamType):
    """`GET /search=3`: a pattern of endpoints and a factor."""

    name = "endpoint-scale"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        pattern, _, factor = str(value).rpartition("=")
        try:
            times = float(factor)
        except ValueError:
            times = -1.0
        if not pattern.strip() or not 0 <= times <= 100_000:
            self.fail(f"{value!r} is no factor on an endpoint; write 'GET /search=3'.", param, ctx)
        return pattern.strip(), times
