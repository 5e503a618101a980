"""Traffic comes in bursts, is repeatable from its seed, and holds clients of every kind."""

from __future__ import annotations

from random import Random

from samples.services import shop, traffic
from samples.traffic.arrivals import arrivals
from samples.traffic.options import TrafficOptions


def counts(times: list[float]) -> list[int]:
    return [sum(int(at) == second for at in times) for second in range(200)]


def test_arrivals_are_ordered_repeatable_and_burstier_than_poisson() -> None:
    options = TrafficOptions(duration=200 * 10**9, rate=5)
    times = list(arrivals(options, Random(3)))
    assert times == sorted(times) == list(arrivals(options, Random(3)))
    assert times != list(arrivals(options, Random(4)))
    per_second = counts(times)
    mean = sum(per_second) / 200
    variance = sum((n - mean) ** 2 for n in per_second) / 200
    assert variance / mean > 2


def test_a_trickle_is_evenly_spaced() -> None:
    options = TrafficOptions(duration=3 * 10**9, rate=2, trickle=True)
    assert list(arrivals(options, Random(1))) == [0, 0.5, 1, 1.5, 2, 2.5]


def test_every_odd_client_gets_through_a_visit_to_a_shop() -> None:
    with shop("--rows", "6000") as url:
        told = traffic(url, "--for", "1s", "--rate", "40", "--odd", "0.8", "--think", "0.01")
    assert told["failures"] == {}
    assert {"shopper", "upload", "slow", "malformed", "pipelined", "aborted"} <= set(told["kinds"])
    assert told["statuses"]["400"] == told["kinds"]["malformed"]
