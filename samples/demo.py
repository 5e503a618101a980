"""The whole loop in under two minutes: record production, replay it at staging, name what broke.

Production has its index, room in its pool and a careful payment desk. Staging lacks the index, has
more rows, four connections and a race; and its own steady test passes, as such tests do. Live
recording needs a privilege; without it the demo records the sample capture, and says so.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from .services import Failed, recording, shop, traffic, wiretape

PRODUCTION = ("--rows", "60000")
STAGING = ("--rows", "100000", "--no-index", "--pool", "4", "--race")
TRICKLE = ("--trickle", "--for", "5s", "--rate", "1", "--think", "0.1")
SAMPLE = Path(__file__).parent / "pcaps" / "shop.pcap.gz"
SETTLE_SECONDS = 1.5


class Demo:
    """One run of the demo; everything it writes is in one folder."""

    def __init__(self, folder: Path, seconds: int, console: Console) -> None:
        self.folder = folder
        self.seconds = seconds
        self.say = console
        self.tape = folder / "production.tape"

    def record(self) -> None:
        """Record production, live where that is allowed."""
        self.say.rule("[bold]1  Record production")
        self.say.print("A shop with its index and 32 database connections, under bursty traffic.")
        with shop(*PRODUCTION) as url, recording(url, self.tape) as recorder:
            time.sleep(SETTLE_SECONDS)
            allowed = recorder.poll() is None
            if allowed:
                with self.say.status(f"recording {url} for {self.seconds} s"):
                    told = traffic(url, "--for", f"{self.seconds}s", "--rate", "15", "--seed", "4")
                    time.sleep(SETTLE_SECONDS)
        if allowed:
            self.say.print("Recorded live, from the loopback interface.")
            self._traffic(told)
        else:
            self.say.print("[yellow]Live recording needs a privilege; this is our sample capture.")
            wiretape("capture", "pcap", SAMPLE, "-o", self.tape)
        self.say.print(wiretape("tape", "info", self.tape), highlight=False)

    def trickle(self, url: str) -> None:
        """What staging's own test sees."""
        self.say.rule("[bold]2  Test staging as staging is tested")
        told = traffic(url, *TRICKLE)
        self._traffic(told)
        bad = sum(n for status, n in told["statuses"].items() if int(status) >= 400)
        word = "[green]PASSED" if not bad and not told["failures"] else "[red]FAILED"
        self.say.print(f"Steady test of one polite user at a time: {word}")

    def replay(self, url: str, speed: int) -> Path:
        """Replay the tape; gives the run."""
        self.say.rule(f"[bold]{3 + (speed > 1)}  Replay production at staging, {speed}×")
        run = self.folder / f"staging-{speed}x.tape"
        with self.say.status(f"replaying at {url}"):
            told = wiretape(
                "replay", self.tape, "--target", url, "--speed", str(speed), "-o", run,
                "--timeout", "20s",
            )  # fmt: skip
        self.say.print(told, highlight=False)
        return run

    def report(self, run: Path) -> dict[str, Any]:
        """Write the report of a run and say its verdict."""
        page = run.with_suffix(".html")
        said = wiretape("report", run, "--tape", self.tape, "--html", page, "--json")
        told: dict[str, Any] = json.loads(said)
        sentence = wiretape("report", run).strip()
        self.say.print(Panel(sentence, title=f"verdict of {run.name}", border_style="red"))
        return told

    def _traffic(self, told: dict[str, Any]) -> None:
        table = Table("sessions", "requests", "statuses", "search, median", box=None)
        statuses = " ".join(f"{status}×{n}" for status, n in told["statuses"].items())
        search = told["median_ms"].get("search", float("nan"))
        counts = (f"{told['sessions']:,}", f"{told['requests']:,}")
        table.add_row(*counts, statuses, f"{search:,.0f} ms")
        self.say.print(table)

    def ending(self, runs: list[Path]) -> None:
        """Where everything is, and how to do it with one's own traffic."""
        self.say.rule("[bold]What is left")
        for what, path in (("tape", self.tape), *(("run", run) for run in runs)):
            self.say.print(f"{what:>8}  {path}", highlight=False, soft_wrap=True)
        for run in runs:
            self.say.print(f"  report  {run.with_suffix('.html')}", highlight=False, soft_wrap=True)
        self.say.rule("[bold]The same with your own traffic")
        for command in (
            "wiretape capture pcap theirs.pcap -o theirs.tape",
            "wiretape replay theirs.tape --target http://staging:8080 -o run.tape",
            "wiretape report run.tape --tape theirs.tape --html report.html",
        ):
            self.say.print(f"  {command}", highlight=False, soft_wrap=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--folder", default="demo", show_default=True, type=click.Path(path_type=Path))
@click.option("--seconds", default=15, show_default=True, type=click.IntRange(1))
def main(folder: Path, seconds: int) -> None:
    """Record a busy shop, replay it at a staging copy, and name what that copy hides.

    \b
    Example:
      python -m samples.demo --folder demo
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for left in (*folder.glob("production*.tape"), *folder.glob("staging-*x.*")):
        left.unlink()  # of the demo before; nothing else in the folder is ours
    console, started = Console(), time.monotonic()
    demo = Demo(folder, seconds, console)
    try:
        demo.record()
        with shop(*STAGING) as url:
            demo.trickle(url)
        runs = []
        for speed in (1, 4):
            with shop(*STAGING) as url:
                runs.append(demo.replay(url, speed))
            demo.report(runs[-1])
    except Failed as failure:
        sys.exit(f"demo: {failure}")
    demo.ending(runs)
    console.print(f"\nTook {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
