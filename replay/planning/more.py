"""More load than was recorded, as stages of the plan: --arrivals, --scale, --endpoint-scale,
--spike, --diurnal, --herd and --soak.

A first pass over the plan (columns only) learns when each session starts; the second clones whole
sessions as `shapes.amplify` says. Every worker makes the same clones, since they depend on nothing
but the tape, the options and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from capture.errors import ReplayError
from shapes.chunks import Chunk

if TYPE_CHECKING:
    from capture.tape import Tape
    from shapes.amplify import Starts
    from shapes.load import Load

    from ..options import PlanOptions

_MOST_CLONES = 1_000_000
Stage = Callable[[Iterator[Chunk]], Iterator[Chunk]]


def clones(options: PlanOptions) -> bool:
    """Whether users are sent that are not those who were recorded."""
    return _more(options) or options.loop > 1


def _more(options: PlanOptions) -> bool:
    asked = options.spike or options.herd or options.arrivals or options.endpoint_scale
    return options.scale != 1 or bool(asked or options.diurnal or options.soak)


def more_load(
    options: PlanOptions, tape: Tape, recorded: Callable[[], Iterator[Chunk]]
) -> Stage | None:
    """The stage that the options ask for; `recorded` gives the plan of one lap as it was."""
    if not _more(options):
        return None

    def stage(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        from shapes.amplify import Starts, scaled
        from shapes.herd import herds_in

        from .laps import Laps

        again = recorded
        if options.arrivals:
            from .arrivals import married, stamps_of

            stamps = stamps_of(options.arrivals, 1.0 if options.at_max else options.speed)
            again = partial(married, recorded, stamps)
            chunks = again()
        load = _load_of(options, tape)
        if options.soak:
            _refuse_late(load, options.soak)
            laps = Laps(again, load, options)
            starts, chunks = laps.starts, laps.chunks(options.position)
        elif load.plain and not options.herd:
            return chunks
        else:
            starts = Starts((chunk["session"], chunk["due_ns"]) for chunk in again())
            _refuse_idle(load, starts)
            if not load.plain:
                chunks = scaled(chunks, starts, load, options.seed)
        return herds_in(chunks, again, starts, options.herd)

    return stage


def _load_of(options: PlanOptions, tape: Tape) -> Load:
    """The factors that the options put on what was recorded."""
    from shapes.load import Load

    day = None
    if options.diurnal:
        from shapes.day import read_day

        first, last = tape.span_ns
        begin = first + options.start
        day = read_day(options.diurnal, begin, max(last - begin, 1), options.speed)
    if options.endpoint_scale:
        _refuse_unknown([pattern for pattern, _ in options.endpoint_scale], tape)
    load = Load(options.scale, options.spike, options.endpoint_scale, day)
    if not load.most <= _MOST_CLONES:
        raise ReplayError(f"--scale, --spike, --endpoint-scale and --diurnal together ask for "
                          f"{load.most:,.3g} times the requests; at most {_MOST_CLONES:,} times "
                          "are made.")  # fmt: skip
    return load


def _refuse_idle(load: Load, starts: Starts) -> None:
    """A spike while nobody begins would do nothing, unseen."""
    idle = load.idle_spike(starts.first)
    if idle is not None and starts.first.size:
        last = int(starts.first.max()) / 1e9
        raise ReplayError(f"--spike at={idle.at_ns / 1e9:g}s: no session of the plan begins "
                          f"within it, so it would do nothing; the last begins at {last:.3g} s."
                          )  # fmt: skip


def _refuse_late(load: Load, soak_ns: int) -> None:
    """A spike after the end of a soak would do nothing, unseen."""
    for spike in load.spikes:
        if spike.at_ns >= soak_ns:
            raise ReplayError(f"--spike at={spike.at_ns / 1e9:g}s: the soak has ended by then, "
                              "so it would do nothing.")  # fmt: skip


def _refuse_unknown(patterns: list[str], tape: Tape) -> None:
    """A factor on endpoints that the tape does not hold would do nothing, unseen."""
    from capture.selector import named
    from capture.tape import Text

    left = list(patterns)
    for block in tape.columns(("endpoint",)):
        held = block["endpoint"]
        assert isinstance(held, Text)
        left = [each for each in left if not any(named(name, each) for name in held.values)]
        if not left:
            return
    raise ReplayError(
        f"--endpoint-scale {left[0]}: the tape holds no such endpoint; "
        "`wiretape shapes` lists those it holds."
    )


def expected(tape: Tape, options: PlanOptions) -> int:
    """About how many requests will be planned: what a running replay is told to be on the way to.

    Spikes, herds and factors on endpoints are left out of it; 0 only for an empty tape.
    """
    if options.arrivals:
        from .arrivals import stamps_of

        return int(stamps_of(options.arrivals).size)
    requests = tape.exchange_count
    if options.soak and requests:
        first, last = tape.span_ns
        laps = (options.soak - options.position) * options.speed / max(last - first, 1)
        return max(1, round(requests * options.scale * laps))
    return max(1, round(requests * options.scale * options.loop)) if requests else 0
