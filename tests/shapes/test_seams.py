"""Where laps are joined: inside the tape, where traffic is alike, each lap found directly."""

import numpy as np
import pytest

from shapes.amplify import Starts
from shapes.seams import Seams

S = 10**9
SPAN = 3600 * S


def seams(seed: int = 1, sessions: int = 4000, last_s: int = 20) -> tuple[Seams, np.ndarray]:
    """Seams of an hour in which users come three times as often every other minute."""
    random = np.random.default_rng(5)
    start = np.sort(random.integers(0, SPAN - last_s * S, sessions))
    start = start[(start // (60 * S) % 2 == 1) | (random.random(sessions) < 1 / 3)]
    due = (start[:, None] + random.integers(0, last_s * S, (start.size, 5))).ravel()
    due[::5] = start
    user = np.repeat(np.arange(start.size), 5).astype(np.uint64)
    order = np.argsort(due)
    starts = Starts([(user[order], due[order])])
    return Seams(starts, due[order], SPAN, seed), due[order]


def test_laps_lie_in_the_tape_and_differ() -> None:
    found, _ = seams()
    cuts = [found.cut(lap) for lap in range(200)]
    assert cuts[0][0] == 0
    assert all(0 <= begin < SPAN / 2 < end <= SPAN for begin, end in cuts)
    assert len(set(cuts)) == 200
    assert seams(seed=2)[0].cut(5) != cuts[5]


def test_a_lap_begins_where_those_before_it_end_in_whatever_order_it_is_asked_for() -> None:
    found, _ = seams()
    at = 0
    for lap in range(50):
        assert found.offset(lap) == at
        begin, end = found.cut(lap)
        at += end - begin
    assert seams()[0].offset(50) == at
    assert found.offset(3) == seams()[0].offset(3)


@pytest.mark.parametrize("lap", [0, 1, 17, 5000])
def test_the_lap_of_a_time_is_found_directly(lap: int) -> None:
    found, _ = seams()
    begin = found.offset(lap)
    assert found.lap_at(begin) == lap
    assert found.lap_at(begin + 1) == lap
    if lap:
        assert found.lap_at(begin - 1) == lap - 1


def test_traffic_before_and_after_a_seam_is_alike() -> None:
    found, due = seams()

    def rate(at: int) -> int:
        low, high = np.searchsorted(due, (at - 8 * S, at + 8 * S)).tolist()
        return high - low

    ends = [rate(found.cut(lap)[1]) for lap in range(300)]
    begins = [rate(found.cut(lap + 1)[0]) for lap in range(300)]
    assert np.corrcoef(ends, begins)[0, 1] > 0.8
    some = [rate(at) for at in np.linspace(SPAN // 10, SPAN * 9 // 10, 300).astype(int)]
    assert np.mean(ends) == pytest.approx(np.mean(some), rel=0.1)
    assert np.std(ends) == pytest.approx(np.std(some), rel=0.25)


def test_sessions_as_long_as_the_tape_are_joined_end_to_end() -> None:
    found, _ = seams(last_s=3000)
    assert [found.cut(lap) for lap in range(3)] == [(0, SPAN)] * 3
    assert found.offset(7) == 7 * SPAN
