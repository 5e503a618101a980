"""`wiretape capture`: packets from a file, from standard input or from live interfaces to a tape.

Thin: options become a recorder (`capture/session.py`), which a file or a live loop feeds.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .errors import CaptureError
from .options import DURATION, SIZE, option, options_of

if TYPE_CHECKING:
    from .ledger import Ledger
    from .record import Recorder


@dataclass(frozen=True)
class PcapOptions:
    """What to take from a capture file."""

    output: str = option("", help="The tape to write.", names=("-o",), required=True)
    port: tuple[int, ...] = option(
        (), help="Keep only this port (repeatable).", type=click.IntRange(1, 65535)
    )
    json: bool = option(False, help="Print the ledger as JSON.")


@dataclass(frozen=True)
class LiveOptions(PcapOptions):
    """What to take from live interfaces, and what that may cost the host."""

    interface: tuple[str, ...] = option(
        (), help="Interface to listen on (repeatable).", names=("-i",), required=True
    )
    duration: int = option(
        0, help="Stop after this long (default: on Ctrl-C).", names=("--for",), type=DURATION
    )
    ring: int = option(64 << 20, help="Memory of the kernel's ring.", type=SIZE)
    filter: str = option("", help="A tcpdump expression for the kernel instead of --port.")
    promiscuous: bool = option(False, help="See packets for other hosts, too.")
    max_cpu: str = option("", help="Share of a core to stay within, by sampling (25%).")
    max_memory: int = option(0, help="Memory to stay within, by sampling.", type=SIZE)
    user: str = option("", help="Become this user once the ring is open.")


@click.group()
def capture() -> None:
    """Record traffic: packets to a sanitized tape.

    \b
    Example:
      wiretape capture pcap theirs.pcap -o theirs.tape
      sudo wiretape capture live -i eth0 --port 8080 --for 60s -o now.tape
    """


@capture.command()
@click.argument("file")
@options_of(PcapOptions)
def pcap(file: str, options: PcapOptions) -> None:
    """Record a pcap or pcapng file (gzip and zstandard, too), or standard input for `-`.

    \b
    Example:
      wiretape capture pcap theirs.pcap --port 8080 -o theirs.tape
      ssh host tcpdump -U -w - | wiretape capture pcap - -o theirs.tape
    """
    from .links import LINKS
    from .session import open_recorder
    from .sources import open_capture

    source = open_capture(file)
    recorder = open_recorder(options.output, file, options.port, None, _tell)
    read = unread = 0
    link = 0
    for frames in source.frames():
        recorder.take(frames)
        read += frames.link in LINKS
        unread += frames.link not in LINKS
        link = frames.link
    recorder.close()
    if source.damage:
        _tell(source.damage)
    _finish(recorder, options.json)
    if unread and not read:
        raise CaptureError(
            f"{file} has the link type {link}, which is not read; capture on another interface."
        )


@capture.command()
@options_of(LiveOptions)
def live(options: LiveOptions) -> None:
    """Record live interfaces, through a ring that the kernel fills.

    \b
    Example:
      sudo wiretape capture live -i eth0 --port 8080 --for 60s -o now.tape
    """
    from .live import LiveLoop, Wishes
    from .privileges import drop_privileges
    from .ring import Ring, RingOptions, compile_filter, port_filter
    from .sampling import Guard, Sampler
    from .session import open_recorder

    expression = options.filter or port_filter(options.port)
    program = compile_filter(expression, 1) if expression else ()
    guard = Guard(Sampler(), share_of(options.max_cpu), options.max_memory)
    rings = [
        Ring(RingOptions(name, options.ring, options.promiscuous, 0, program))
        for name in options.interface
    ]
    source = ",".join(options.interface)
    recorder = open_recorder(options.output, source, options.port, guard.sampler, _tell)
    drop_privileges(options.user)
    wishes = Wishes()
    wishes.listen()
    _tell(f"recording {source} since {time.strftime('%H:%M:%S')}; Ctrl-C ends it")
    try:
        LiveLoop(rings, recorder, guard, wishes).run(options.duration / 1e9)
    finally:
        wishes.restore()
        recorder.close()
        for ring in rings:
            ring.close()
    _finish(recorder, options.json)


def share_of(text: str) -> float:
    """A share of one core: `25%` or `0.25`; 0 for no limit."""
    if not text:
        return 0.0
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 64:
        raise click.BadParameter(f"{text!r} is no share of a core; write it like 25%.")
    return share


def _tell(sentence: str) -> None:
    click.echo(f"wiretape: {sentence}.", err=True)


def _finish(recorder: Recorder, as_json: bool) -> None:
    ledger = recorder.ledger
    if as_json:
        click.echo(json.dumps({"ledger": ledger.as_dict(), "failure": recorder.failure}))
    else:
        _print(ledger)
    if recorder.failure:
        raise CaptureError(f"{recorder.failure}; what could not be kept is in the ledger.")


def _print(ledger: Ledger) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "became", "how many", title="Ledger")
    for unit in ledger.units():
        table.add_row(unit, "seen", f"{ledger.count(unit):,}")
        for fate, count in ledger.fates(unit).items():
            table.add_row("", fate, f"{count:,}")
    Console().print(table)
