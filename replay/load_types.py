"""How scale, spikes and herds are written on the command line; read where they are used."""

from __future__ import annotations

from typing import Any

import click

from capture.options import ParamType


class ScaleType(ParamType):
    """A positive factor."""

    name = "factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            factor = float(value)
        except ValueError:
            factor = -1.0
        if not 0 < factor <= 100_000:
            self.fail(f"{value!r} is no factor; write a number like 10 or 0.5.", param, ctx)
        return factor


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
