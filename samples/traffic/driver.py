"""Lets the sessions arrive when they are due, whatever became of those before."""

from __future__ import annotations

import asyncio
from random import Random

from .arrivals import arrivals
from .client import Tally
from .options import TrafficOptions
from .people import ODD, Person, Visit, shopper


async def drive(options: TrafficOptions) -> Tally:
    """Make the traffic; returns when its last session has ended."""
    random, tally = Random(options.seed), Tally()
    due = list(arrivals(options, random))
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as sessions:
        for number, at in enumerate(due):
            await asyncio.sleep(max(0.0, start + at - loop.time()))
            kind, person = _who(options, random)
            tally.sessions += 1
            tally.by_kind[kind] += 1
            visit = Visit(options, Random(f"{options.seed}/{number}"), tally)
            sessions.create_task(_survive(person, visit))
    return tally


def _who(options: TrafficOptions, random: Random) -> tuple[str, Person]:
    if options.trickle or random.random() >= options.odd:
        return "shopper", shopper
    return random.choice(list(ODD.items()))


async def _survive(person: Person, visit: Visit) -> None:
    """A client's failure is a count, not the end of the traffic."""
    try:
        await person(visit)
    except (OSError, EOFError, TimeoutError, ValueError) as failure:
        visit.tally.failures[type(failure).__name__] += 1
