"""The whole loop in under two minutes: record production, replay it at staging, name what broke.

Production has its index, room in its pool and a careful payment desk. Staging lacks the index, has
more rows, two connections and a race; and its own steady test passes, as such tests do. Live
recording needs a privilege; without it the demo records the sample capture, and says so.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .services import BUSY, PRODUCTION, Failed, recording, shop, traffic, wiretape

STAGING = ("--rows", "120000", "--no-index", "--pool", "2", "--race")
TRICKLE = ("--trickle", "--for", "4s", "--rate", "2", "--think", "0.1")
SAMPLE = Path(__file__).parent / "pcaps" / "shop.pcap.gz"
SPEEDS = (1, 4)
COLOURS = {"FAIL": "red", "PASS": "green"}
SHOWN = 7  # endpoints in a table


class Demo:
    """One run of the demo; everything it writes is in one folder."""

    def __init__(
        self, folder: Path, seconds: int, live: bool, speeds: tuple[int, ...], console: Console
    ) -> None:
        self.folder = folder
        self.seconds = seconds
        self.live = live
        self.speeds = speeds
        self.console = console
        self.tape = folder / "production.tape"

    def say(self, text: str, whole: bool = False) -> None:
        """Some words of markup; a path or a command stays whole, to be copied."""
        self.console.print(text, highlight=False, soft_wrap=whole)

    def run(self) -> None:
        """All of it."""
        self.step("Record production")
        self.record()
        self.step("Test staging the way staging is tested")
        with shop(*STAGING) as url:
            self.trickle(url)
        patience = 1  # one replay more in all, for the machine that had something else to do
        for speed in self.speeds:
            self.step(f"Replay production's tape at staging, {speed}×")
            while self.replayed(speed) == "INVALID" and patience:
                patience -= 1
                self.say("[yellow]This machine was too busy to send on time; once more.")
        self.ending()

    def replayed(self, speed: int) -> str:
        """Replay the tape at a new copy of staging and report; gives the word of the verdict."""
        with shop(*STAGING) as url:
            run = self.replay(url, speed)
        return self.report(run)

    def step(self, title: str) -> None:
        """The head of a part."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def record(self) -> None:
        """Record production, live where that is allowed."""
        self.say("A shop with its index and 32 database connections, under bursty traffic.")
        ledger = self._record_live() if self.live else ""
        if not ledger:
            self.say(f"Recording the sample capture instead: {SAMPLE.name}")
            ledger = wiretape("capture", "pcap", SAMPLE, "-o", self.tape, "--json")
        self._ledger(json.loads(ledger)["ledger"])
        self._mix(json.loads(wiretape("tape", "info", "--json", self.tape)))

    def _record_live(self) -> str:
        """The ledger of a live recording; empty where the recorder says why it could not."""
        with shop(*PRODUCTION) as url, recording(url, self.tape) as recorder:
            if not recorder.began():
                self.say(f"[yellow]Not live: {recorder.sentence}")
                return ""
            with self.console.status(f"recording {url} for {self.seconds} s"):
                told = traffic(url, "--for", f"{self.seconds}s", *BUSY, "--seed", "4")
                ledger = recorder.end()
        self.say("Recorded live, from the loopback interface.")
        self._traffic(told)
        return ledger

    def _ledger(self, ledger: dict[str, dict[str, int]]) -> None:
        """What became of everything that was seen."""
        for unit, fates in ledger.items():
            became = " + ".join(f"{n:,} {fate}" for fate, n in fates.items() if fate != "seen")
            text = Text(f"ledger  {fates['seen']:,} {unit} = {became}")
            self.console.print(text, style="dim")

    def _mix(self, facts: dict[str, Any]) -> None:
        table = _table("recorded", "requests", "p50", "p99")
        for row in facts["endpoints"][:SHOWN]:
            times = (row["service_p50_ns"], row["service_p99_ns"])
            table.add_row(row["endpoint"], f"{row['exchanges']:,}", *map(_time, times))
        self.console.print(table)

    def trickle(self, url: str) -> None:
        """What staging's own test sees."""
        with self.console.status("one polite user at a time"):
            told = traffic(url, *TRICKLE)
        self._traffic(told)
        bad = sum(n for status, n in told["statuses"].items() if int(status) >= 400)
        word = "[bold red]FAILED" if bad or told["failures"] else "[bold green]PASSED"
        self.say(f"A steady test of one polite user at a time: {word}")

    def _traffic(self, told: dict[str, Any]) -> None:
        statuses = ", ".join(f"{n:,} × {status}" for status, n in told["statuses"].items())
        search = told["median_ms"].get("search", float("nan"))
        self.say(
            f"{told['sessions']:,} sessions, {told['requests']:,} requests: {statuses}; "
            f"median search {search:.0f} ms"
        )

    def replay(self, url: str, speed: int) -> Path:
        """Replay the tape; gives the run."""
        run = self.folder / f"staging-{speed}x.tape"
        with self.console.status(f"replaying at {url}"):
            told = wiretape(
                "replay", self.tape, "--target", url, "--speed", str(speed), "-o", run,
                "--timeout", "20s", "--json",
            )  # fmt: skip
        summary = json.loads(told)["summary"]
        late = summary["lateness"]
        outcomes = ", ".join(f"{n:,} {name.lower()}" for name, n in summary["outcomes"].items())
        statuses = ", ".join(f"{n:,} × {code}" for code, n in summary["statuses"].items())
        self.say(
            f"{summary['sent']:,} of {summary['planned']:,} requests sent: {outcomes}\n"
            f"statuses  {statuses}\n"
            f"lateness  p50 {_time(late['p50'])}, p99 {_time(late['p99'])}"
        )
        table = _table("replayed", "requests", "recorded p50", "now p50", "now p99")
        for row in summary["endpoints"][:SHOWN]:
            times = (row["recorded"]["p50"], row["response"]["p50"], row["response"]["p99"])
            table.add_row(row["endpoint"], f"{row['requests']:,}", *map(_time, times))
        self.console.print(table)
        return run

    def report(self, run: Path) -> str:
        """Write the report of a run and say its verdict; gives its word."""
        page = run.with_suffix(".html")
        with self.console.status("writing the report"):
            told = wiretape("report", run, "--tape", self.tape, "--html", page, "--json")
        found = json.loads(told)
        word = str(found["verdict"])
        said = [f"• {finding['sentence']}{finding['more']}" for finding in found["findings"]]
        body = "\n".join(said) if word == "FAIL" else found["sentence"]
        colour = COLOURS.get(word, "yellow")
        self.console.print(Panel(Text(body), title=f"[bold]{word}", border_style=colour))
        return word

    def ending(self) -> None:
        """Where everything is, and how to do it with one's own traffic."""
        runs = [self.folder / f"staging-{speed}x.tape" for speed in self.speeds]
        self.step("What is left")
        paths = [("tape", self.tape), *(("run", run) for run in runs)]
        paths += [("report", run.with_suffix(".html")) for run in runs]
        for what, path in paths:
            self.say(f"  {what:<7} {path}", whole=True)
        self.step("The same with your own traffic")
        for command in (
            "wiretape capture pcap theirs.pcap -o theirs.tape",
            "wiretape replay theirs.tape --target http://staging:8080 -o run.tape",
            "wiretape report run.tape --tape theirs.tape --html report.html",
        ):
            self.say(f"  {command}", whole=True)

    def clear(self) -> None:
        """Remove what a demo writes; nothing else in the folder is ours."""
        for left in (*self.folder.glob("production*.tape"), *self.folder.glob("staging-*x.*")):
            left.unlink()


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in others:
        table.add_column(name, justify="right")
    return table


def _time(ns: float | None) -> str:
    if ns is None:
        return "–"
    if ns >= 1e9:
        return f"{ns / 1e9:.1f} s"
    return f"{ns / 1e6:.0f} ms" if ns >= 1e7 else f"{ns / 1e6:.1f} ms"


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--folder", default="demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--seconds", default=20, show_default=True, type=click.IntRange(1))
@click.option("--live/--sample", default=True, help="Record live, or the sample capture.")
@click.option("--speed", default=SPEEDS, show_default=True, multiple=True, type=click.IntRange(1))
def main(folder: Path, seconds: int, live: bool, speed: tuple[int, ...]) -> None:
    """Record a busy shop, replay it at a staging copy, and name what that copy hides.

    \b
    Example:
      python -m samples.demo --folder demo
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    demo = Demo(folder, seconds, live, speed, Console())
    demo.clear()
    try:
        demo.run()
    except Failed as failure:
        sys.exit(f"demo: {failure}")
    except KeyboardInterrupt:
        demo.clear()
        click.echo("Interrupted; every process has ended and what was written is removed.")
        sys.exit(130)
    demo.say(f"\nTook {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
