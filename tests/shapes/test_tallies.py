"""Tallies by identity: grouping keeps the order within each, whatever the identities are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shapes.tallies import grouped

IDS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5) | st.sampled_from([1 << 63, 3 << 62]))


@given(IDS)
def test_equal_identities_stand_together_as_they_came(values: list[int]) -> None:
    ids = np.array(values, np.uint64)
    order = grouped(ids)
    assert sorted(order.tolist()) == list(range(len(values)))
    found = ids[order]
    runs = 1 + np.count_nonzero(found[1:] != found[:-1]) if values else 0
    assert runs == len(set(values))
    same = found[1:] == found[:-1]
    assert np.all(np.diff(order)[same] > 0)


def test_identities_that_share_their_high_bits_are_still_told_apart() -> None:
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    near = [(7 << 40 | low) * inverse % 2**64 for low in (1, 2)]
    ids = np.array(near * 50, np.uint64)
    found = ids[grouped(ids)]
    assert np.count_nonzero(found[1:] != found[:-1]) == 1
