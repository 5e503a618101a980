"""What a replay can be told, declared once: flags, keywords and what is shipped to workers.

Durations are ns, `speed` is a factor (`math.inf` for `max`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import click

from capture.options import DURATION, ParamType, option

from .load_types import EndpointScaleType, HerdType, ScaleType, SpikeType


class _Speed(ParamType):
    """A positive factor, or `max`."""

    name = "speed"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if value == "max":
            return math.inf
        try:
            speed = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a factor; write a positive number or max.", param, ctx)
        if not speed > 0 or (math.isinf(speed) and not isinstance(value, float)):
            self.fail(f"{value} is not positive; write a number above 0 or max.", param, ctx)
        return speed


class _Share(ParamType):
    """A share: `10%` or `0.1`."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = math.nan
        if not 0 < share <= 1:
            self.fail(f"{text!r} is not a share; write it like 10% or 0.1.", param, ctx)
        return share


SHARE = _Share()


class _Workers(ParamType):
    """A number of processes, or `auto` (0)."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            return 0
        if not str(value).isdigit() or (value != 0 and int(value) < 1):
            self.fail(f"{value!r} is not a number of processes; write 1, 2, … or auto.", param, ctx)
        return int(value)


@dataclass(frozen=True)
class ReplayOptions:
    """Everything that decides what is sent where and when."""

    target: tuple[str, ...] = option(
        (), help="Where to send: URL or NAME=URL; give it twice for A/B.", metavar="URL"
    )
    split: float = option(
        0.0, type=SHARE, metavar="SHARE",
        help="Of two targets, send this share of the users to the second, all others to the first.",
    )  # fmt: skip
    speed: float = option(1.0, help="Factor on the recorded clock, or max.", type=_Speed())
    think: str = option(
        "scale",
        help="Whether pauses inside a session shrink with --speed.",
        type=click.Choice(["keep", "scale"]),
    )
    max_gap: int = option(0, help="Shorten silences of the whole tape to this.", type=DURATION)
    start: int = option(
        0, names=("--from",), help="Leave out what is before this time in the tape.", type=DURATION
    )
    end: int = option(
        0, names=("--to",), help="Leave out what is after this time in the tape.", type=DURATION
    )
    length: int = option(0, names=("--for",), help="Replay this much of the tape.", type=DURATION)
    start_at: str = option(
        "", help="Begin at this time (ISO 8601 or seconds since the epoch).", metavar="TIME"
    )
    duration: int = option(0, help="Stop after this much real time.", type=DURATION)
    loop: int = option(1, help="Replay the tape this many times in a row.", type=click.IntRange(1))
    workers: int = option(1, help="Processes that send, or auto.", type=_Workers())
    order: str = option(
        "open",
        help="Where a connection is still busy: open takes a spare, strict waits.",
        type=click.Choice(["open", "strict"]),
    )
    host: str = option("target", help="Host header: target, keep or a name.", metavar="HOW")
    set_header: tuple[str, ...] = option((), help="Set a header ('Name: value').", metavar="HEADER")
    del_header: tuple[str, ...] = option((), help="Remove a header.", metavar="NAME")
    map_path: tuple[str, ...] = option(
        (), help="Change paths: 'REGEX=REPLACEMENT'.", metavar="RULE"
    )
    map_host: tuple[str, ...] = option((), help="Change hosts: 'OLD=NEW'.", metavar="RULE")
    bearer_env: str = option(
        "", help="Set Authorization: Bearer from this environment variable.", metavar="NAME"
    )
    hook: str = option("", help="Python file whose rewrite(request) changes requests.")
    only: tuple[str, ...] = option(
        (), help="Send only endpoints like this ('GET /api/*').", metavar="PATTERN"
    )
    drop: tuple[str, ...] = option((), help="Leave out endpoints like this.", metavar="PATTERN")
    read_only: bool = option(False, help="Send safe methods only (GET, HEAD, OPTIONS, TRACE).")
    sessions: float = option(1.0, help="Send this share of the sessions.", type=SHARE)
    arrivals: str = option(
        "", help="Send at the times of this CSV (ISO 8601 or seconds) instead.", metavar="FILE"
    )
    scale: float = option(
        1.0, help="So many times the users: whole sessions cloned, each itself.", type=ScaleType()
    )
    spike: tuple[Any, ...] = option(
        (), help="More users for a while: at=30s,for=5s,x=20[,shape=step|ramp|decay].",
        type=SpikeType(), metavar="SPIKE",
    )  # fmt: skip
    herd: tuple[Any, ...] = option(
        (), help="Users who all begin at once: at=30s,users=10000.", type=HerdType(), metavar="HERD"
    )
    endpoint_scale: tuple[Any, ...] = option(
        (), help="So many times the requests to an endpoint: 'GET /search=3'.",
        type=EndpointScaleType(), metavar="FACTOR",
    )  # fmt: skip
    diurnal: str = option(
        "", help="Users by time of day (UTC), a CSV like 08:30,120: for a tape below a day.",
        metavar="FILE",
    )  # fmt: skip
    soak: int = option(
        0, help="Go on so long: lap after lap of the tape, with other users each.", type=DURATION
    )
    resume: bool = option(False, help="Go on with a soak where the run that -o names had come to.")
    seed: int = option(0, help="Seed of what is drawn when sessions are cloned.")
    timeout: int = option(
        30_000_000_000, help="Give up an answer after this.", type=DURATION, show_default="30s"
    )
    connect_timeout: int = option(
        10_000_000_000, help="Give up connecting.", type=DURATION, show_default="10s"
    )
    max_in_flight: int = option(
        0, help="At most so many requests without an answer; 0: no limit.", type=click.IntRange(0)
    )
    insecure: bool = option(False, help="Do not verify the certificate of the target.")
    ca: str = option("", help="Certificates to trust, a PEM file.")
    cert: str = option("", help="Client certificate, a PEM file.")
    cert_key: str = option("", help="Its private key, a PEM file.")
    resolve: tuple[str, ...] = option(
        (), help="Address to use for a name: HOST:PORT:ADDR.", metavar="RULE"
    )
    source_ip: tuple[str, ...] = option(
        (), help="Local addresses to send from (A,B,…).", metavar="ADDR"
    )
    realtime: bool = option(
        False, help="Senders in a real-time class: on time even on a busy machine (needs root)."
    )
    no_calibrate: bool = option(False, help="Do not measure the machine's noise floor first.")
    yes_this_is_production: bool = option(False, help="Send even to the server that was recorded.")
    watched: bool = False  # whether somebody looks on while it runs (observe/)

    @property
    def at_max(self) -> bool:
        """Whether answers, not the clock, pace the run."""
        return math.isinf(self.speed)
