"""Points of time as people write them."""

from __future__ import annotations

import click
import pytest

from capture.when import range_ns

MINUTE_NS = 60_000_000_000
DAY_NS = 24 * 60 * MINUTE_NS
MIDNIGHT_NS = 20_000 * DAY_NS


@pytest.mark.parametrize("begins_min", [5, 22 * 60])
def test_a_range_of_times_of_day_goes_over_midnight(begins_min: int) -> None:
    begins_ns = MIDNIGHT_NS + begins_min * MINUTE_NS
    low, high = range_ns("23:50", "00:10", (begins_ns, begins_ns + 2 * DAY_NS))
    assert low == MIDNIGHT_NS + (24 * 60 - 10) * MINUTE_NS
    assert high == low + 20 * MINUTE_NS


def test_a_time_of_day_to_end_at_is_the_first_after_the_moment_to_begin_at() -> None:
    span_ns = (MIDNIGHT_NS, MIDNIGHT_NS + 9 * DAY_NS)
    low, high = range_ns("49h", "02:00", span_ns)
    assert low == MIDNIGHT_NS + 49 * 60 * MINUTE_NS
    assert high == MIDNIGHT_NS + 50 * 60 * MINUTE_NS


def test_moments_in_the_wrong_order_are_a_usage_error() -> None:
    with pytest.raises(click.BadParameter, match="2s is not after --from 5s"):
        range_ns("5s", "2s", (MIDNIGHT_NS, MIDNIGHT_NS + DAY_NS))
