"""How single options of a replay are written on the command line: load, times, targets, rules."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Any

import click

from capture.options import Checked, Factor, ParamType

from . import rules

SPEED = Factor(words={"max": math.inf})
"""A factor, or `max`, which is infinite."""
_MOST_WORKERS = 1024
_FURTHEST_S = 1 << 33


class _StartAt(ParamType):
    """An instant to come, as ns since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        seconds = _seconds(str(value))
        if not 0 < seconds < _FURTHEST_S:
            self.fail(
                f"{value!r} is no time; write it like 2027-01-31T08:00:00Z, or in seconds since "
                "the epoch.", param, ctx,
            )  # fmt: skip
        late = time.time() - seconds
        if late > 0:
            self.fail(f"{value!r} is {late:,.1f} s ago; write a time to come.", param, ctx)
        return round(seconds * 1e9)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return math.nan


class _Workers(ParamType):
    """A number of processes, or `auto` (0)."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            return 0
        if isinstance(value, int):
            return value
        text = str(value)
        if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _MOST_WORKERS:
            self.fail(f"{text!r} is no number of processes; write 1, 2, … or auto.", param, ctx)
        return int(text)


class _File(click.Path):
    """A file that is there; none is given as no text."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "" else super().convert(value, param, ctx)


class _Condition(ParamType):
    """A condition of `--abort-if`; a wrong one is told with a caret under the place."""

    name = "expr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from .abort import parse
        from .verdict.gate import GateError

        try:
            return parse(str(value)).text
        except GateError as wrong:
            self.fail(str(wrong), param, ctx)


class _Spike(ParamType):
    """`at=30s,for=5s,x=20,shape=step`."""

    name = "spike"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from shapes.spike import Spike, parse

        del param, ctx
        return value if isinstance(value, Spike) else parse(str(value))


class _Herd(ParamType):
    """`at=30s,users=10000`."""

    name = "herd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from shapes.herd import Herd, parse

        del param, ctx
        return value if isinstance(value, Herd) else parse(str(value))


class _EndpointScale(ParamType):
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


class _Openings(ParamType):
    """`recorded`, `new` or `pool:8`."""

    name = "connections"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from .planning.openings import openings_of

        try:
            return str(openings_of(str(value)))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


START_AT = _StartAt()
CONDITION = _Condition()
SPIKE = _Spike()
HERD = _Herd()
ENDPOINT_SCALE = _EndpointScale()
OPENINGS = _Openings()
WORKERS = _Workers()
TARGET = Checked("target", rules.target_url)
HEADER = Checked("header", rules.header)
HEADER_NAME = Checked("name", rules.header_name)
HOST_NAME = Checked("how", rules.host_name)
HOST_RULE = Checked("rule", rules.host_rule)
PATH_RULE = Checked("rule", rules.path_rule)
ADDRESS_RULE = Checked("rule", rules.address_rule)
SOURCES = Checked("addresses", rules.source_addresses)
FILE = _File()
