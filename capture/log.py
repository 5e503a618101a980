"""What a recording says while it runs, on stderr: sentences for people, or JSON lines for machines.

{"time": "2026-01-31T12:00:00.123Z", "level": "warning", "event": "…"}
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from .errors import WiretapeError

Tell = Callable[[str], None]
"""Says a sentence; what is done with it is for whoever hands it in."""
FORMATS = ("text", "json")


def teller(form: str, level: str = "info") -> Tell:
    """A function that says a sentence (without its full stop) in the form asked for."""

    def as_text(sentence: str) -> None:
        click.echo(f"wiretape: {sentence.rstrip('.')}.", err=True)

    def as_json(sentence: str) -> None:
        line = {"time": _now(), "level": level, "event": sentence}
        click.echo(json.dumps(line, ensure_ascii=False), err=True)

    return as_json if form == "json" else as_text


@contextmanager
def failing(form: str) -> Iterator[None]:
    """Whatever fails within is told in the form asked for, too, and ends with 1."""
    try:
        yield
    except WiretapeError as failure:
        if form != "json":
            raise
        teller(form, "error")(str(failure).rstrip("."))
        raise click.exceptions.Exit(1) from None


def _now() -> str:
    now_ns = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 1_000_000_000))
    return f"{seconds}.{now_ns // 1_000_000 % 1000:03d}Z"
