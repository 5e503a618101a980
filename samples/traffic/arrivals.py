"""When sessions arrive: a two-state Markov-modulated Poisson process, or a steady trickle."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .options import TrafficOptions


def arrivals(options: TrafficOptions, random: Random) -> Iterator[float]:
    """Seconds after the start at which sessions begin, in order."""
    seconds = options.duration / 1e9
    if options.trickle:
        yield from (i / options.rate for i in range(int(seconds * options.rate)))
        return
    now, flashing, until = 0.0, False, random.expovariate(1 / options.calm)
    while now < seconds:
        rate = options.rate * (options.burst if flashing else 1.0)
        gap = random.expovariate(rate)
        if now + gap < until:
            now += gap
            if now < seconds:
                yield now
        else:
            # The exponential has no memory: draw anew from the moment the state changes.
            now, flashing = until, not flashing
            until = now + random.expovariate(1 / (options.flash if flashing else options.calm))
