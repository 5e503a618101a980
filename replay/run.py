"""One replay from beginning to end: workers started, rows collected, the run written, summed up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.errors import ReplayError
from capture.log import Tell
from capture.tape import Tape, TapeHeader
from capture.written import FOLDER, KEPT, require

from . import rules
from .collector import Collector, OnGlance, OnProgress
from .options import ReplayOptions
from .outcome import EndpointTimes, Summary
from .planning.bookmark import Bookmark
from .planning.foresight import NothingToSend, foresee
from .rewrite import Rewriter
from .rules import address_rule
from .safety import raise_file_limit, refuse_production, refuse_run, unsafe_notice
from .sending.clock import noise_floor
from .targets import Target, pinned, reachable, targets_of, tls_context
from .workers.crew import Crew

if TYPE_CHECKING:
    from .abort import Watch

HEAD_START_NS = 100_000_000


def replay(
    tape_path: str | Path,
    options: ReplayOptions,
    run_path: str | Path,
    on_progress: OnProgress | None = None,
    collect: Callable[..., Collector] = Collector,
    observers: Sequence[OnGlance] = (),
    on_note: Tell = lambda _: None,
    histograms: str | Path | None = None,
) -> Summary:
    """Send a tape as the options say; what happened is written to `run_path` and summed up.

    `observers` are called with each `Glance` while it runs; `collect` may make another collector.
    `on_note` is called before the first send with what has to be known by then. `histograms` is a
    folder for the times of each endpoint.
    """
    require(run_path, KEPT)
    if histograms is not None:
        require(histograms, FOLDER)
    watch = _watch_of(options)
    observers = [*observers, watch] if watch else observers
    if observers or (on_progress is not None and not options.at_max):
        options = replace(options, watched=True)
    targets = targets_of(options)
    if any(target.secure for target in targets):
        tls_context(options)
    Rewriter(options)  # a hook or a token that is not there is told before a run is written
    with Tape.open(tape_path) as tape:
        refuse_run(tape, tape_path)
        if not options.yes_this_is_production:
            named = (address_rule(rule)[0][0] for rule in options.resolve)
            refuse_production(tape, targets, named)
        bookmark = Bookmark(Path(run_path), tape.header.tape_id, options) if options.soak else None
        if bookmark is not None and options.resume:
            options = replace(options, position=bookmark.go_on())
        ahead = foresee(tape, options)
        if not ahead.requests:
            damaged = bool(tape.losses)
            raise NothingToSend(tape_path, tape.exchange_count, options, damaged)
        _note_unsafe(tape, options, targets, on_note)
        header = TapeHeader(
            kind="run", source=tape.header.tape_id, level=tape.header.level,
            policy=tape.header.policy, options=_told(options),
        )  # fmt: skip
        options = replace(options, run_id=header.tape_id)
        losses, whole = [str(loss) for loss in tape.losses], tape.whole
    targets = reachable(targets, on_note)
    floor = [] if options.no_calibrate or options.at_max else noise_floor()
    raise_file_limit()
    each = 1 if options.split else len(targets)
    collector = collect(Path(run_path), header, ahead.requests * each, on_progress)
    collector.pace.span_ns, collector.pace.about = ahead.span_ns, ahead.about
    collector.pace.clocked = not options.at_max
    if len(targets) > 1:
        collector.tally.targets = [(target.name, EndpointTimes()) for target in targets]
    collector.observers += observers
    collector.losses.update(dict.fromkeys(losses))
    collector.tape_whole = whole
    collector.bookmark, collector.watch = bookmark, watch
    _start_instant(options)  # a time that is past already need not wait for workers
    options = pinned(options, targets)
    crew = Crew(str(tape_path), options, collector)
    with crew.interrupts():
        crew.work(partial(_start_instant, options))
        summary = collector.end(options, floor)
    if histograms is not None:
        from .hgrm import write_histograms

        write_histograms(Path(histograms), collector.tally, collector.start)
    return summary


def _note_unsafe(tape: Tape, options: ReplayOptions, targets: list[Target], on_note: Tell) -> None:
    if all(target.loopback for target in targets) or options.read_only:
        return
    from .planning.figures import figures_of
    from .planning.preview import unsafe_of

    figures = figures_of(tape, options)
    notice = unsafe_notice(unsafe_of(figures.methods), targets, figures.about)
    if notice:
        on_note(notice)


def _watch_of(options: ReplayOptions) -> Watch | None:
    """Who ends the run where a condition of `--abort-if` holds."""
    if not options.abort_if:
        return None
    from .abort import Watch

    return Watch(options.abort_if)


def _told(options: ReplayOptions) -> dict[str, Any]:
    """The options for the run's header: without the values of headers, which may be secrets."""
    given = asdict(options)
    del given["watched"]
    given["set_header"] = tuple(rules.header(text)[0].decode() for text in options.set_header)
    return {name: str(value) for name, value in given.items() if value not in ("", ())}


def _start_instant(options: ReplayOptions) -> int:
    """When due time 0 is, in ns since the epoch."""
    now = time.time_ns()
    if options.start_at and options.start_at < now:
        raise ReplayError(
            f"--start-at was {(now - options.start_at) / 1e9:.1f} s ago when all was ready, so "
            "nothing was sent: give a later time."
        )
    return options.start_at or now + HEAD_START_NS
