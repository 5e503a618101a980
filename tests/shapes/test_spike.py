"""Spikes: how they are written, and how many users they make when."""

import click
import numpy as np
import pytest

from shapes.load import Load
from shapes.spike import Spike, parse

S = 10**9


def test_a_spike_is_read_as_it_is_written() -> None:
    assert parse("at=30s,for=5s,x=20") == Spike(30 * S, 5 * S, 20.0, "step")
    assert parse("at=1m,for=500ms,x=2.5,shape=ramp").shape == "ramp"


@pytest.mark.parametrize(
    "text", ["", "at=1s", "at=1s,for=0,x=2", "at=1s,for=1s,x=nan", "at=1s,for=1s,x=-1",
             "at=1s,for=1s,x=2,shape=hill", "at=1s,for=1s,x=2,more=1", "at=x,for=1s,x=2"]
)  # fmt: skip
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse(text)


def test_the_factor_rises_only_inside_the_window_and_multiplies_with_the_scale() -> None:
    times = np.array([9, 10, 12, 14, 15]) * S
    assert Load(2, [Spike(10 * S, 5 * S, 6)]).of_starts(times).tolist() == [2, 12, 12, 12, 2]
    ramp = Load(1, [Spike(10 * S, 5 * S, 6, "ramp")]).of_starts(times)
    assert ramp.tolist() == pytest.approx([1, 1, 3, 5, 1])
    decay = Load(1, [Spike(10 * S, 5 * S, 6, "decay")]).of_starts(times)
    assert decay.tolist() == pytest.approx([1, 6, 4, 2, 1])
