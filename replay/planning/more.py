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
    from shapes.load import Load

    from ..options import PlanOptions

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
            laps = Laps(again, load, options)
            starts, chunks = laps.starts, laps.chunks(options.position)
        elif load.plain and not options.herd:
            return chunks
        else:
            starts = Starts((chunk["session"], chunk["due_ns"]) for chunk in again())
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
    return Load(options.scale, options.spike, options.endpoint_scale, day)


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
