"""Spikes: more users for a while, as a factor on the cloning of sessions.

`at=30s,for=5s,x=20[,shape=step|ramp|decay]`: sessions that start in the window are cloned a(t)
times. With u from 0 to 1 over the window, step: a = x; ramp: a = 1 + (x − 1) u; decay:
a = 1 + (x − 1)(1 − u). Outside it a = 1. Spikes multiply with each other and with a scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np
from numpy.typing import NDArray

from capture.options import DURATION

from .counts import Ints

SHAPES = ("step", "ramp", "decay")
MOST = 100_000


@dataclass(frozen=True)
class Spike:
    """More users from `at_ns` on, for `for_ns`; times from the start of the run."""

    at_ns: int
    for_ns: int
    times: float
    shape: str = "step"

    def factor(self, starts: Ints) -> NDArray[np.float64]:
        """How many times each session that starts then is to be there."""
        u = (starts - self.at_ns) / self.for_ns
        height = {"step": np.ones_like(u), "ramp": u, "decay": 1 - u}[self.shape]
        return np.where((u >= 0) & (u < 1), 1 + (self.times - 1) * height, 1.0)


def parse(text: str) -> Spike:
    """The spike that `at=30s,for=5s,x=20,shape=ramp` describes; a usage error if none."""
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if len(parts) <= text.count(","):  # something is said twice
        raise _usage(text)
    try:
        times = float(parts["x"])
        at_ns, for_ns = (int(DURATION.convert(parts[name], None, None)) for name in ("at", "for"))
        shape = parts.get("shape", "step")
    except (KeyError, ValueError) as wrong:
        raise _usage(text) from wrong
    known = parts.keys() <= {"at", "for", "x", "shape"} and shape in SHAPES
    if not known or not 0 <= times <= MOST or for_ns <= 0:
        raise _usage(text)
    return Spike(at_ns, for_ns, times, shape)


def _usage(text: str) -> click.UsageError:
    return click.UsageError(
        f"{text!r} is no spike; write it like at=30s,for=5s,x=20,shape=step (or ramp, decay), "
        f"x at most {MOST:,}."
    )
