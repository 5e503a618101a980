"""More load than was recorded, as a stage of the plan: --arrivals, --scale, --spike and --herd.

A first pass over the plan (columns only) learns when each session starts; the second clones whole
sessions as `shapes.amplify` says. Every worker makes the same clones, since they depend on nothing
but the tape, the options and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import ReplayOptions

Chunk = dict[str, Any]
Stage = Callable[[Iterator[Chunk]], Iterator[Chunk]]


def clones(options: ReplayOptions) -> bool:
    """Whether the options ask for other users, or at other times, than were recorded."""
    return options.scale != 1 or bool(options.spike or options.herd or options.arrivals)


def more_load(options: ReplayOptions, recorded: Callable[[], Iterator[Chunk]]) -> Stage | None:
    """The stage that the options ask for; `recorded` gives the plan of one lap as it was."""
    if not clones(options):
        return None

    def stage(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        from shapes.amplify import Starts, scaled
        from shapes.herd import herds_in
        from shapes.spike import combined

        again = recorded
        if options.arrivals:
            from .arrivals import married, stamps_of

            stamps = stamps_of(options.arrivals, 1.0 if options.at_max else options.speed)
            again = partial(married, recorded, stamps)
            chunks = again()
        if options.scale == 1 and not (options.spike or options.herd):
            return chunks
        starts = Starts((chunk["session"], chunk["due_ns"]) for chunk in again())
        if options.scale != 1 or options.spike:
            factor = combined(options.scale, options.spike)
            chunks = scaled(chunks, starts, factor, options.seed)
        return herds_in(chunks, again, starts, options.herd)

    return stage
