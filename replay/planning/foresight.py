"""What a running replay is on the way to: how many requests, until when; and whether any.

Small plans are counted to the end before anything is sent. Of large ones a first part is, for a
short while, and the rest is taken to be like it: nobody waits for a number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.errors import ReplayError

from ..options import PlanOptions
from .more import clones, expected
from .plan import plan_chunks, rows_in

if TYPE_CHECKING:
    from capture.tape import Tape

LOOK_S = 0.1
_FEW = 100_000  # exchanges whose sessions are found in no time


class NothingToSend(ReplayError):
    """A plan without a request."""

    def __init__(
        self, tape: object, exchanges: int, options: PlanOptions, damaged: bool = False
    ) -> None:
        chosen = {
            "--only": options.only, "--drop": options.drop, "--read-only": options.read_only,
            "--sessions": options.sessions < 1, "--from": options.start, "--to": options.end,
            "--for": options.length, "--scale": options.scale < 1,
        }  # fmt: skip
        given = [name for name, value in chosen.items() if value]
        if damaged:
            super().__init__(
                f"{tape}: is damaged, and what can be read of it holds no request to send; see "
                f"what is lost with `wiretape tape verify {tape}`."
            )
        elif not exchanges or not given:
            super().__init__(f"{tape}: holds no request, so there is nothing to send.")
        else:
            super().__init__(
                f"{tape}: of its {exchanges:,} exchanges {' and '.join(given)} "
                f"leave{'s' if len(given) == 1 else ''} none, so there is nothing to send."
            )


@dataclass(frozen=True)
class Foresight:
    """How many requests (to each target), and how long they take by the clock (0: no clock)."""

    requests: int
    span_ns: int
    about: bool


def foresee(tape: Tape, options: PlanOptions, within_s: float = LOOK_S) -> Foresight:
    """Count a plan for a while; 0 requests are told only where it holds none."""
    whole_ns = _span_ns(tape, options)
    if not tape.exchange_count:
        return Foresight(0, 0, False)
    if options.soak or options.arrivals or (clones(options) and tape.exchange_count > _FEW):
        return Foresight(expected(tape, options), whole_ns, True)
    until = time.monotonic() + within_s
    requests = last_ns = 0
    for chunk in plan_chunks(tape, options):
        requests += rows_in(chunk)
        last_ns = max(last_ns, int(chunk["due_ns"][-1]))
        if time.monotonic() > until and requests and last_ns:
            more = max(1.0, whole_ns / last_ns)
            return Foresight(round(requests * more), _clocked(round(last_ns * more), options), True)
    return Foresight(requests, _clocked(last_ns, options), False)


def _clocked(span_ns: int, options: PlanOptions) -> int:
    return 0 if options.at_max else span_ns


def _span_ns(tape: Tape, options: PlanOptions) -> int:
    """How long the plan lasts, if the tape is as busy at its end as at its begin."""
    first, last = tape.span_ns
    if options.soak:
        return options.soak - options.position
    end = min((each for each in (options.end, last - first) if each), default=0)
    length = min((each for each in (options.length, end - options.start) if each), default=0)
    return round(max(0, length) / (1 if options.at_max else options.speed)) * options.loop
