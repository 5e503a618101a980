"""Writes docs/commands.md, the reference of every command, from the commands' own help."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

import wiretape

TOP = """# Commands

Made by `make docs` from each command's `--help`; a test keeps it fresh.
"""


def commands(
    group: click.Group, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group with the words that call it."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))


def reference() -> str:
    """The whole page."""
    parts = [TOP]
    for names, _ in commands(wiretape.cli):
        called = " ".join(("wiretape", *names))
        # A fixed width: the page must not depend on whose terminal made it.
        result = CliRunner().invoke(
            wiretape.cli, [*names, "--help"], prog_name="wiretape",
            terminal_width=100, max_content_width=100,
        )  # fmt: skip
        parts.append(f"## {called}\n\n```\n{result.output.strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
