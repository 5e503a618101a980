"""One replay from beginning to end: workers started, rows collected, the run written, summed up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.errors import ReplayError
from capture.tape import Tape, TapeHeader

from . import rules
from .bookmark import Bookmark
from .clock import noise_floor
from .collector import Collector, OnGlance, OnProgress, Progress
from .crew import Crew
from .more import expected
from .options import ReplayOptions
from .outcome import Summary
from .safety import raise_file_limit, refuse_production
from .targets import targets_of, tls_context

if TYPE_CHECKING:
    from .abort import Watch

HEAD_START_NS = 100_000_000

__all__ = ["Progress", "replay", "start_instant"]


def replay(
    tape_path: str | Path,
    options: ReplayOptions,
    run_path: str | Path,
    on_progress: OnProgress | None = None,
    collect: Callable[..., Collector] = Collector,
    observers: Sequence[OnGlance] = (),
) -> Summary:
    """Send a tape as the options say; what happened is written to `run_path` and summed up.

    `observers` are called with each `Glance` while it runs; `collect` may make another collector.
    """
    watch = watch_of(options)
    observers = [*observers, watch] if watch else observers
    options = replace(options, watched=True) if observers else options
    targets = targets_of(options)
    if any(target.secure for target in targets):
        tls_context(options)
    with Tape.open(tape_path) as tape:
        if not options.yes_this_is_production:
            refuse_production(tape, targets)
        planned = expected(tape, options)
        if not planned:
            raise ReplayError(f"{tape_path}: holds no exchange, so there is nothing to replay.")
        bookmark = Bookmark(Path(run_path), tape.header.tape_id, options) if options.soak else None
        if bookmark is not None and options.resume:
            options = replace(options, position=bookmark.go_on())
        header = TapeHeader(
            kind="run", source=tape.header.tape_id, level=tape.header.level,
            policy=tape.header.policy, options=_plain(options),
        )  # fmt: skip
        options = replace(options, run_id=header.tape_id)
        warnings = [f"The tape is damaged: {loss}" for loss in tape.losses]
    floor = [] if options.no_calibrate else noise_floor()
    raise_file_limit()
    collector = collect(Path(run_path), header, planned, on_progress)
    collector.observers += observers
    collector.warnings += warnings
    collector.bookmark, collector.watch = bookmark, watch
    Crew(str(tape_path), options, collector).work(partial(start_instant, options))
    return collector.end(options, floor)


def watch_of(options: ReplayOptions) -> Watch | None:
    """Who ends the run where a condition of `--abort-if` holds."""
    if not options.abort_if:
        return None
    from .abort import Watch

    return Watch(options.abort_if)


def _plain(options: ReplayOptions) -> dict[str, Any]:
    """The options for the run's header: without the values of headers, which may be secrets."""
    given = asdict(options)
    del given["watched"]
    given["set_header"] = tuple(rules.header(text)[0].decode() for text in options.set_header)
    return {name: str(value) for name, value in given.items() if value not in ("", ())}


def start_instant(options: ReplayOptions) -> int:
    """When due time 0 is, in ns since the epoch."""
    return options.start_at or time.time_ns() + HEAD_START_NS
