"""The options of live recording, and what they may cost the host."""

from __future__ import annotations

from dataclasses import dataclass

import click

from ..log import FORMATS
from ..options import ADDRESS, ROOM, SPAN, Share, option
from ..recording import RecordOptions


@dataclass(frozen=True)
class LiveOptions(RecordOptions):
    """What to take from live interfaces."""

    interface: tuple[str, ...] = option(
        (), help="Interface to listen on (repeatable).", names=("-i",), required=True,
        metavar="IFACE",
    )  # fmt: skip
    duration: int = option(
        0, help="Record for so long (default: until Ctrl-C).", names=("--for",), type=SPAN
    )
    filter: str = option("", help="A tcpdump expression for the kernel instead of --port.")
    promiscuous: bool = option(False, help="See packets for other hosts, too.")
    ring: int = option(
        256 << 20, help="Memory of the kernel's ring, of each worker.", type=ROOM, metavar="SIZE"
    )
    workers: int = option(
        1, help="Processes that share the packets by connection.", type=click.IntRange(1, 256)
    )
    max_cpu: float = option(
        0.0, help="Share of a core to stay within, by sampling whole connections (25%).",
        type=Share(64, "share of a core", "25%"), show_default=False,
    )  # fmt: skip
    max_memory: int = option(
        0, help="Memory to stay within, the ring not counted, by sampling.", type=ROOM,
        show_default=False, metavar="SIZE",
    )  # fmt: skip
    user: str = option("", help="Become this user once the ring is open.")
    metrics: tuple[str, int] | None = option(
        None, help="Serve Prometheus metrics here (:9464).", type=ADDRESS
    )
    log_format: str = option("text", help="How it speaks on stderr.", type=click.Choice(FORMATS))
