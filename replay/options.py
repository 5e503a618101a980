"""What a replay can be told, declared once: flags, keywords and what is shipped to workers.

Three steps: what makes a plan, how it is sent, and where to. Commands that only plan take the
first, those that find their targets elsewhere (a trial) the first two. Durations are ns, `speed` is
a factor (`math.inf` for `max`). What contradicts itself is a usage error, whoever says it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import click

from capture.options import DURATION, SHARE, SPAN, Factor, option

from . import rules
from .keeping import DIGEST, WAYS
from .option_types import (
    ADDRESS_RULE,
    CONDITION,
    ENDPOINT_SCALE,
    FILE,
    HEADER,
    HEADER_NAME,
    HERD,
    HOST_NAME,
    HOST_RULE,
    OPENINGS,
    PATH_RULE,
    SOURCES,
    SPEED,
    SPIKE,
    START_AT,
    TARGET,
    WORKERS,
)


@dataclass(frozen=True)
class PlanOptions:
    """What decides what is to be sent when."""

    section: ClassVar[str] = "What is sent when"

    speed: float = option(1.0, help="Factor on the recorded clock, or max.", type=SPEED)
    think: str = option(
        "scale",
        help="Whether pauses inside a session shrink with --speed.",
        type=click.Choice(["keep", "scale"]),
    )
    max_gap: int = option(0, help="Shorten silences of the whole tape to this.", type=SPAN)
    start: int = option(
        0, names=("--from",), help="Leave out what is before this time in the tape.", type=DURATION
    )
    end: int = option(
        0, names=("--to",), help="Leave out what is after this time in the tape.", type=SPAN
    )
    length: int = option(0, names=("--for",), help="Send this much of the tape.", type=SPAN)
    loop: int = option(1, help="Replay the tape this many times in a row.", type=click.IntRange(1))
    only: tuple[str, ...] = option(
        (), help="Send only requests like this ('GET /api/*', /api/*, GET).", metavar="PATTERN"
    )
    drop: tuple[str, ...] = option((), help="Leave out requests like this.", metavar="PATTERN")
    read_only: bool = option(False, help="Send safe methods only (GET, HEAD, OPTIONS, TRACE).")
    sessions: float = option(1.0, help="Send this share of the sessions.", type=SHARE)
    arrivals: str = option(
        "", help="Send at the times of this CSV (ISO 8601 or seconds) instead.", metavar="FILE",
        type=FILE,
    )  # fmt: skip
    scale: float = option(
        1.0,
        help="So many times the users: whole sessions cloned, each itself.",
        type=Factor(most=100_000),
    )
    spike: tuple[Any, ...] = option(
        (), help="More users for a while: at=30s,for=5s,x=20[,shape=step|ramp|decay].",
        type=SPIKE, metavar="SPIKE",
    )  # fmt: skip
    herd: tuple[Any, ...] = option(
        (), help="Users who all begin at once: at=30s,users=10000.", type=HERD, metavar="HERD"
    )
    endpoint_scale: tuple[Any, ...] = option(
        (), help="So many times the requests to an endpoint: 'GET /search=3'.",
        type=ENDPOINT_SCALE, metavar="FACTOR",
    )  # fmt: skip
    diurnal: str = option(
        "", help="Users by time of day (UTC), a CSV like 08:30,120: for a tape below a day.",
        metavar="FILE", type=FILE,
    )  # fmt: skip
    soak: int = option(
        0, help="Go on so long: lap after lap of the tape, with other users each.", type=SPAN
    )
    seed: int = option(
        0, help="Seed of what is drawn when sessions are cloned.", type=click.IntRange(0, 1 << 62)
    )

    no_calibrate: bool = option(False, help="Do not measure first what this machine can do.")
    position: int = 0  # where in a soak this run begins, in ns: what is due earlier was sent

    def __post_init__(self) -> None:
        _refuse(not (self.speed > 0 and self.scale > 0), "--speed and --scale are above 0.")
        _refuse(
            bool(self.end) and self.end <= self.start,
            "--to lies before --from: nothing is between them.",
        )
        _refuse(bool(self.end and self.length), "--to and --for both say where to end: give one.")
        _refuse(
            bool(self.arrivals) and self.loop > 1,
            "--arrivals begins the tape again by itself, as often as its times need: leave out "
            "--loop.",
        )
        _refuse(
            bool(self.soak) and self.loop > 1, "--soak makes laps of its own: leave out --loop."
        )
        if self.at_max:
            timed = {
                "--think keep": self.think == "keep", "--max-gap": self.max_gap,
                "--arrivals": self.arrivals, "--spike": self.spike, "--herd": self.herd,
                "--diurnal": self.diurnal, "--soak": self.soak,
            }  # fmt: skip
            told = ", ".join(name for name, given in timed.items() if given)
            _refuse(bool(told), f"{told} needs a clock, and --speed max has none: leave one out.")

    @property
    def at_max(self) -> bool:
        """Whether answers, not the clock, pace the run."""
        return math.isinf(self.speed)


@dataclass(frozen=True)
class SendOptions(PlanOptions):
    """What decides how a plan is sent, wherever to."""

    section: ClassVar[str] = "How it is sent"

    duration: int = option(0, help="End the run after this much real time.", type=SPAN)
    workers: int = option(1, help="Processes that send, or auto.", type=WORKERS)
    connections: str = option(
        "recorded",
        help="Connections: recorded, pool:N (so many, for all), or new (one for each request).",
        type=OPENINGS,
        metavar="HOW",
    )
    responses: str = option(
        DIGEST,
        help="What of responses is kept, sanitized: none, digest, headers or body.",
        type=click.Choice(WAYS),
    )
    order: str = option(
        "open",
        help="Where a connection is still busy: open takes a spare, strict waits.",
        type=click.Choice(["open", "strict"]),
    )
    host: str = option(
        "target", help="Host header: target, keep or a name.", metavar="HOW", type=HOST_NAME
    )
    set_header: tuple[str, ...] = option(
        (), help="Set a header ('Name: value').", metavar="HEADER", type=HEADER
    )
    del_header: tuple[str, ...] = option(
        (), help="Remove a header.", metavar="NAME", type=HEADER_NAME
    )
    map_path: tuple[str, ...] = option(
        (), help="Change paths: 'REGEX=REPLACEMENT'.", metavar="RULE", type=PATH_RULE
    )
    map_host: tuple[str, ...] = option(
        (), help="Change hosts: 'OLD=NEW'; others are kept.", metavar="RULE", type=HOST_RULE
    )
    bearer_env: str = option(
        "", help="Set Authorization: Bearer from this environment variable.", metavar="NAME"
    )
    trace: bool = option(
        False, help="Give each request a W3C traceparent whose trace id begins with the run's id."
    )
    run_id_header: str = option(
        "", help="Send the run's id in this header.", metavar="NAME", type=HEADER_NAME
    )
    hook: str = option(
        "", help="Python file whose rewrite(request) or rewrite_headers(headers) changes requests.",
        metavar="FILE", type=FILE,
    )  # fmt: skip
    timeout: int = option(
        30_000_000_000, help="Give up an answer after this.", type=SPAN, show_default="30s"
    )
    connect_timeout: int = option(
        10_000_000_000, help="Give up connecting.", type=SPAN, show_default="10s"
    )
    max_in_flight: int = option(
        0, help="At most so many requests without an answer; 0: no limit.", type=click.IntRange(0)
    )
    insecure: bool = option(False, help="Do not verify the certificate of the target.")
    ca: str = option("", help="Certificates to trust, a PEM file.", metavar="FILE", type=FILE)
    cert: str = option("", help="Client certificate, a PEM file.", metavar="FILE", type=FILE)
    cert_key: str = option("", help="Its private key, a PEM file.", metavar="FILE", type=FILE)
    resolve: tuple[str, ...] = option(
        (), help="Address to use for a name: HOST:PORT:ADDR.", metavar="RULE", type=ADDRESS_RULE
    )
    source_ip: tuple[str, ...] = option(
        (), help="Local addresses to send from (A,B,…).", metavar="ADDR", type=SOURCES
    )
    realtime: bool = option(
        False, help="Senders in a real-time class: on time even on a busy machine (needs root)."
    )
    yes_this_is_production: bool = option(False, help="Send even to the server that was recorded.")
    watched: bool = False  # whether somebody looks on while it runs (observe/)
    run_id: str = ""  # of the run that is being made

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse(
            bool(self.map_host) and self.host not in ("target", "keep"),
            "--host NAME and --map-host both say what the Host header shall be: give one.",
        )
        named = {rules.header(text)[0].lower() for text in self.set_header}
        _refuse(
            bool(self.bearer_env) and b"authorization" in named,
            "--bearer-env and --set-header both set Authorization: give one.",
        )
        _refuse(bool(self.cert_key and not self.cert), "--cert-key needs its --cert.")
        _refuse(
            bool(self.ca and self.insecure),
            "--ca says whom to trust and --insecure to trust anybody: give one.",
        )

    def toward(self, *targets: str, among: tuple[str, ...] = ()) -> ReplayOptions:
        """The same, sent to these targets.

        `among` are all targets of a command that asks them by turns: what is said of another one
        (`--insecure` where this one is http://) is left out here, and no contradiction.
        """
        given = {name: getattr(self, name) for name in _names(SendOptions)}
        if among:
            ReplayOptions(target=tuple(dict.fromkeys(among)), **given)  # refuses what fits none
            given |= self._fitting(targets)
        return ReplayOptions(target=targets, **given)

    def _fitting(self, targets: tuple[str, ...]) -> dict[str, Any]:
        """Those options that are said of some targets, as they are for these."""
        urls = [rules.target_url(text) for text in targets]
        places = {(url.host, url.port) for url in urls}
        fitting: dict[str, Any] = {
            "resolve": tuple(t for t in self.resolve if rules.address_rule(t)[0] in places)
        }
        if not any(url.secure for url in urls):
            fitting |= {"insecure": False, "ca": "", "cert": "", "cert_key": ""}
        if all(url.path for url in urls):
            fitting["source_ip"] = ()
        return fitting


def _names(options: type[PlanOptions]) -> list[str]:
    return [field.name for field in dataclasses.fields(options)]


@dataclass(frozen=True)
class ReplayOptions(SendOptions):
    """Everything that decides what is sent where and when."""

    section: ClassVar[str] = "Where to, and when to stop"

    target: tuple[str, ...] = option(
        (), help="Where to send: URL or NAME=URL; give it twice for A/B.", metavar="URL",
        type=TARGET,
    )  # fmt: skip
    split: float = option(
        0.0, type=SHARE, metavar="SHARE",
        help="Of two targets, send this share of the users to the second, all others to the first.",
    )  # fmt: skip
    start_at: int = option(
        0, help="Begin at this time (ISO 8601, local if it names no zone, or seconds since 1970).",
        metavar="TIME", type=START_AT, show_default=False,
    )  # fmt: skip
    resume: bool = option(False, help="Go on with a soak where the run that -o names had come to.")
    abort_if: tuple[str, ...] = option(
        (), help="Stop, with exit code 3, once this is so: 'errors > 5% for 10s'.", metavar="EXPR",
        type=CONDITION,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse(self.resume and not self.soak, "--resume goes on with a soak: give --soak, too.")
        urls = [rules.target_url(text, number) for number, text in enumerate(self.target)]
        names = [url.name for url in urls]
        _refuse(len(set(names)) < len(names), "Two targets have the same name: give others.")
        _refuse(
            bool(self.split) and len(urls) != 2,
            "--split shares users out between two targets: give --target twice.",
        )
        if not urls:
            return
        tls = {"--ca": self.ca, "--cert": self.cert, "--insecure": self.insecure}
        given = ", ".join(name for name, value in tls.items() if value)
        _refuse(
            bool(given) and not any(url.secure for url in urls),
            f"{given} is for https, and no target is https://…",
        )
        _refuse(
            bool(self.source_ip) and all(url.path for url in urls),
            "--source-ip is for addresses, and the target is a unix socket.",
        )
        places = {(url.host, url.port) for url in urls}
        for text in self.resolve:
            _refuse(
                rules.address_rule(text)[0] not in places,
                f"--resolve {text} is for no target: write its HOST:PORT as in --target.",
            )


def _refuse(wrong: bool, sentence: str) -> None:
    if wrong:
        raise click.UsageError(sentence)
