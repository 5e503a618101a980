"""wiretape: record what production traffic really looks like, replay it on time, tell the truth.

The front door: the `wiretape` command, whose subcommands are loaded when they are called, and the
public names, which are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

__version__ = "0.1.0"

COMMANDS = {
    "capture": ("capture.cli:capture", "Record traffic: packets to a sanitized tape."),
    "tape": ("capture.tape.cli:tape", "Look into tapes, check, cut, merge and filter them."),
    "sanitize": ("capture.sanitize.cli:sanitize", "See and prove what sanitizing does."),
    "shapes": ("shapes.cli:shapes", "Describe traffic: bursts, sizes, mix, sessions."),
    "plan": ("replay.cli:plan", "Show what a replay would send, before a byte is sent."),
    "replay": ("replay.cli:replay", "Send a tape to a target, on time, and record the run."),
    "report": (
        "replay.verdict.report_cli:report",
        "Say what broke in a run, by how much, on one offline page.",
    ),
    "compare": (
        "replay.verdict.compare_cli:compare",
        "Compare two tapes or runs, endpoint by endpoint.",
    ),
    "drift": (
        "replay.verdict.drift_cli:drift",
        "Tell in what two environments differ, by what they reveal.",
    ),
    "trial": (
        "replay.verdict.trial_cli:trial",
        "Judge a candidate against a baseline by pairs of runs.",
    ),
    "capacity": ("replay.capacity.cli:capacity", "Find the largest scale that a target holds."),
    "canary": ("replay.canary.cli:canary", "Move users to a candidate while nothing gets worse."),
    "soak": ("replay.soak.cli:soak", "Send a tape for days, and watch the target for leaks."),
}

PUBLIC = {
    "Tape": "capture.tape",
    "TapeWriter": "capture.tape",
    "TapeHeader": "capture.tape",
    "Ledger": "capture.ledger",
    "WiretapeError": "capture.errors",
    "ReplayOptions": "replay.options",
    "replay": "replay.run",
}

if TYPE_CHECKING:
    from capture.errors import WiretapeError as WiretapeError
    from capture.ledger import Ledger as Ledger
    from capture.tape import Tape as Tape
    from capture.tape import TapeHeader as TapeHeader
    from capture.tape import TapeWriter as TapeWriter
    from replay.options import ReplayOptions as ReplayOptions
    from replay.run import replay as replay


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'wiretape' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is called or asked for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wiretape")
@click.option("--identity", metavar="FILE", help="age identity file that opens encrypted tapes.")
def cli(identity: str | None) -> None:
    """Record what production traffic really looks like, replay it on time, and say what staging
    would have hidden.

    \b
    Example:
      wiretape capture pcap theirs.pcap -o theirs.tape
      wiretape shapes theirs.tape
      wiretape replay theirs.tape --target http://127.0.0.1:8080 -o run.tape
      wiretape report run.tape --html report.html

    Shell completion: eval "$(_WIRETAPE_COMPLETE=bash_source wiretape)" (or zsh_, fish_source).
    """
    if identity:
        # The environment reaches worker processes too.
        from capture.tape.opening import IDENTITY_VARIABLE

        os.environ[IDENTITY_VARIABLE] = identity


def main() -> None:
    """Run the command; a mistake of the user's is one sentence, exit 1 (2 for wrong usage)."""
    try:
        sys.exit(_run())
    except BrokenPipeError:
        # Whoever read our output went away; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)


def _run() -> int:
    try:
        code = cli.main(prog_name="wiretape", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as mistake:
        mistake.show()
        return mistake.exit_code
    except click.Abort:
        click.echo("wiretape: interrupted.", err=True)
        return 130
    except OSError as failure:
        if isinstance(failure, BrokenPipeError):
            raise
        where = f"{failure.filename}: " if failure.filename else ""
        click.echo(f"wiretape: {where}{failure.strerror or failure}.", err=True)
        return 1
    except Exception as failure:
        from capture.errors import WiretapeError

        if not isinstance(failure, WiretapeError):
            raise
        click.echo(f"wiretape: {failure}", err=True)
        return 1


if __name__ == "__main__":
    main()
