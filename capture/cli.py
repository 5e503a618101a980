"""`wiretape capture`: packets from a file, from standard input or from live interfaces to a tape.

Thin: options become a recorder (`capture/recording.py`), which a file or a live loop feeds. At the
end the ledger is printed; what could not be kept is exit 1.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .errors import CaptureError
from .ledger import SEEN, Ledger
from .live.options import LiveOptions
from .log import FORMATS, Tell, failing, teller
from .options import option, options_of
from .recording import RecordOptions

if TYPE_CHECKING:
    from .packets.frames import Source
    from .record import Recorder


@dataclass(frozen=True)
class PcapOptions(RecordOptions):
    """What to take from a capture file."""

    log_format: str = option("text", help="How it speaks on stderr.", type=click.Choice(FORMATS))


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

    A file that ends in the middle of a packet is recorded up to there. One that is damaged is, too,
    but that is exit 1. Ctrl-C, SIGTERM and SIGHUP end the recording, with all that came before.

    \b
    Example:
      wiretape capture pcap theirs.pcap --port 8080 -o theirs.tape
      ssh host tcpdump -U -w - | wiretape capture pcap - -o theirs.tape
    """
    with failing(options.log_format):
        _record(file, options)


def _record(file: str, options: PcapOptions) -> None:
    from .packets.sources import open_capture
    from .recording import calm_collector, open_recorder

    if _same_file(file, options.output):
        raise CaptureError(
            f"{options.output} is the capture that is read; give another path with -o."
        )
    calm_collector()
    tell = teller(options.log_format, "warning")
    source = open_capture(file)
    with contextlib.closing(source):
        stood = _standing(options)
        recorder = open_recorder(options, file, teller(options.log_format, "error"))
        try:
            unread = _take(source, recorder, tell)
        finally:
            recorder.close()
    if source.damage and source.cut:
        tell(source.damage)
    broken = "" if source.cut else source.damage
    if unread is not None and not broken:
        broken = f"{file} has the link type {unread}, which is not read; capture another interface"
    _end(recorder.ledger, recorder.failure, options, tell, stood, broken, source.damage)


def _end(
    ledger: Ledger, failure: str, options: RecordOptions, tell: Tell, stood: str, broken: str = "",
    cut: str = "",
) -> None:  # fmt: skip
    """Print the ledger, and say what is amiss."""
    from .upshot import missing, nothing_found

    _print(ledger, failure or broken or cut, options.json)
    if failure:
        raise CaptureError(f"{failure}; what could not be kept is in the ledger.")
    if broken:
        raise CaptureError(f"{broken}.")
    empty = nothing_found(ledger, stood)
    if empty:
        tell(empty)
    lost = missing(ledger) or empty or cut
    if options.strict and lost:
        raise CaptureError(f"{lost}; without --strict the rest is a tape all the same.")


def _take(source: Source, recorder: Recorder, tell: Tell) -> int | None:
    """Record a file; its link type where none of its packets could be read for that."""
    from .asked import Asked
    from .packets.links import LINKS

    unread, read = None, False
    with Asked() as asked:

        def between() -> None:
            recorder.tick()
            asked.check()

        source.call_while_waiting(between)  # so that a quiet pipe keeps nothing from the disk
        try:
            for frames in source.frames():
                recorder.take(frames)
                if frames.link in LINKS:
                    read = True
                else:
                    unread = frames.link
                between()
        except KeyboardInterrupt:
            tell("interrupted; what came before is on the tape")
    return None if read else unread


@capture.command()
@options_of(LiveOptions)
def live(options: LiveOptions) -> None:
    """Record live interfaces, through a ring that the kernel fills.

    SIGHUP begins the next tape, SIGTERM and Ctrl-C end the recording.

    \b
    Example:
      sudo wiretape capture live -i eth0 --port 8080 --for 60s -o now.tape
      sudo wiretape capture live -i eth0 --rotate 10m --keep 24h --max-cpu 25% -o tapes/
    """
    from .live.workers import record_live

    tell = teller(options.log_format)
    with failing(options.log_format):
        stood = _standing(options) if options.workers == 1 else ""
        ledger, failure = record_live(options, tell)
        _end(ledger, failure, options, tell, stood)


def _print(ledger: Ledger, failure: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ledger": ledger.as_dict(), "failure": failure}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "became", "how many", title="Ledger")
    table.columns[2].justify = "right"
    for unit in ledger.units():
        table.add_row(unit, SEEN, f"{ledger.count(unit):,}")
        for fate, count in ledger.fates(unit).items():
            table.add_row("", fate, f"{count:,}")
    Console().print(table)
    for sentence in ledger.imbalances():
        teller("text")(f"the ledger does not balance: {sentence}")


def _standing(options: RecordOptions) -> str:
    """The output, where a file stands there already; empty where none does."""
    from .tape.writer import beside

    return options.output if not options.rotate and beside(Path(options.output)) else ""


def _same_file(source: str, output: str) -> bool:
    try:
        return os.path.samefile(source, output)
    except OSError:  # one of them is not there
        return False
