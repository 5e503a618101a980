"""What traffic is made, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import DURATION, option

POSITIVE = click.FloatRange(0, min_open=True)


@dataclass(frozen=True)
class TrafficOptions:
    """How much traffic of what temper; the defaults are a busy shop."""

    url: str = option("http://127.0.0.1:8080", help="The shop.")
    duration: int = option(
        20 * 10**9, help="How long sessions arrive.", names=("--for",), type=DURATION
    )
    rate: float = option(10.0, help="Sessions per second while it is calm.", type=POSITIVE)
    burst: float = option(5.0, help="How many times that in a flash.", type=POSITIVE)
    calm: float = option(4.0, help="Mean seconds between flashes.", type=POSITIVE)
    flash: float = option(1.0, help="Mean seconds of a flash.", type=POSITIVE)
    think: float = option(0.25, help="Mean seconds of thinking in a session.", type=POSITIVE)
    odd: float = option(0.08, help="Share of odd clients.", type=click.FloatRange(0, 1))
    trickle: bool = option(False, help="Steady, one polite session at a time: a staging test.")
    seed: int = option(1, help="Another seed is another workload of the same kind.")
