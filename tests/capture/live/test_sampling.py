"""Sampling: which connections are kept, what lowers and raises the rate, and who is told of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.exchange import Close
from capture.flows import Flows
from capture.ledger import Ledger
from capture.live.guard import Guard, Strain
from capture.live.hashing import connection_hash
from capture.live.rates import Rates
from capture.live.sampling import Sampler, limit_of
from tests.capture import packet_helpers as h


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4),
       st.integers(0, 65535), st.integers(0, 65535))  # fmt: skip
def test_both_directions_of_a_connection_share_one_hash(src, dst, sport, dport) -> None:
    assert connection_hash(src, dst, sport, dport) == connection_hash(dst, src, dport, sport)


def _packet(number: int, flags: int = 0x18, time_ns: int = 0):
    return (time_ns, number.to_bytes(4, "big"), b"\1\1\1\1", 1000, 80, 0, 0, flags, b"x", 0)


SYN = 0x02


def test_the_rate_is_the_share_of_connections_that_are_kept() -> None:
    sampler = Sampler()
    sampler.set_rate(0.25)
    assert 4_600 < len(sampler.keep([_packet(n * 7919) for n in range(20_000)])) < 5_400


def _let_go(sampler: Sampler) -> int:
    """A connection that is out, after which the rate has risen again, at time 100."""
    sampler.set_rate(0.001)
    out = next(n for n in range(1000) if not sampler.keep([_packet(n)]))
    sampler.set_rate(1.0, 100)
    return out


def test_a_running_connection_that_was_out_returns_with_its_next_request() -> None:
    sampler = Sampler()
    out = _let_go(sampler)
    (*head, _, cut) = _packet(out, time_ns=200)
    rest, request = (*head, b"x" * 9, cut), (*head, b"GET /a HTTP/1.1\r\n", cut)
    assert sampler.keep([rest, request, rest]) == [request, rest]
    early = (99, *request[1:])
    assert not sampler.keep([early, rest])


def test_a_connection_that_was_let_go_returns_when_it_is_opened_anew() -> None:
    followed: set[bytes] = set()
    sampler = Sampler(follows=lambda packet: packet[1] in followed)
    out = _let_go(sampler)
    assert not sampler.keep([_packet(out, time_ns=200)])
    # What follows the opening in the same batch is in, though nobody follows it yet.
    assert len(sampler.keep([_packet(out, SYN, 200), _packet(out, time_ns=201)])) == 2
    assert sampler.let_go == 0
    assert not sampler.keep([_packet(out, time_ns=202)])
    followed.add(_packet(out)[1])
    assert sampler.keep([_packet(out, time_ns=202)])


def test_a_connection_opened_before_the_rate_rose_stays_out_when_it_is_read_late() -> None:
    # The kernel let its opening through, but not what came behind it.
    sampler = Sampler()
    out = _let_go(sampler)
    assert not sampler.keep([_packet(out, SYN, 99), _packet(out, time_ns=99)])
    assert sampler.let_go == 1
    assert sampler.keep([_packet(out, SYN, 100)])


def test_a_connection_let_go_has_not_ended_and_what_it_came_to_is_kept() -> None:
    ledger = Ledger()
    flows = Flows(ledger)
    ends = (b"\1\1\1\1", b"\2\2\2\2", 4000, 80)
    request = (5, *ends, 1, 1, 0x18, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0)
    flows.feed([request])
    assert flows.follows(request)
    assert flows.let_go(lambda key: not key) == 0
    assert flows.let_go(lambda key: set(key) == set(ends)) == 1
    (exchange,) = flows.expire(0)
    (connection,) = flows.closed()
    assert connection.close == Close.CAPTURE_END
    assert exchange.request == request[8]
    assert not flows.follows(request)
    assert flows.open == 0
    assert ledger.imbalances() == []


def test_the_guard_lowers_the_rate_above_its_limit_and_lets_it_rise_below() -> None:
    guard = Guard(Sampler(), most_cpu=0.25, most_memory=100)
    assert guard.decided(0.5, 10) < 0.5
    assert guard.decided(0.1, 120) < 0.6
    guard.sampler.set_rate(0.5)
    assert guard.decided(0.05, 10) > 0.5
    assert guard.decided(0.24, 10) == 0.5


def test_what_the_kernel_drops_lowers_the_rate_by_the_share_that_it_dropped() -> None:
    guard = Guard(Sampler())
    assert guard.decided(0.9, 0, guard.overload(Strain(60, 60, 40))) == pytest.approx(0.9 * 0.6)
    assert guard.reason == "more came than could be recorded"
    assert guard.decided(0.9, 0, guard.overload(Strain(60, 60))) == 1.0


def test_a_recording_that_falls_ever_further_behind_lowers_the_rate_to_what_it_reads() -> None:
    guard = Guard(Sampler())
    assert guard.overload(Strain(100, 50, late_s=0.9)) == 1  # a stall is not
    guard.check(Strain(100, 50, late_s=1.5))
    assert guard.overload(Strain(100, 50, late_s=2.0)) == 2
    assert guard.overload(Strain(100, 99, late_s=2.0)) == 1.2  # what waits is to be read as well
    assert guard.overload(Strain(100, 50, late_s=1.4)) == 1  # it catches up
    assert guard.decided(0.1, 0, 2) == pytest.approx(0.45)


def test_the_guard_reads_what_was_seen_before_a_cut_ere_it_cuts_again() -> None:
    guard = Guard(Sampler())
    guard.fell(1000)
    assert guard.check(Strain(9, 9, 9, late_s=3.0, read_ns=999)) == 1.0
    assert guard.check(Strain(9, 9, 9, late_s=1.0, read_ns=1000)) == pytest.approx(0.45)


def test_the_rate_rises_once_the_recording_has_kept_up_for_a_while() -> None:
    guard = Guard(Sampler())
    guard.sampler.set_rate(0.5)
    guard.check(Strain(1, 1, dropped=1))
    assert guard.decided(0.1, 0) == 0.5
    calm = Guard(Sampler())
    calm.sampler.set_rate(0.5)
    assert calm.decided(0.1, 0) == pytest.approx(0.6)


class _Recorder:
    def __init__(self) -> None:
        self.rates: list[tuple[int, float]] = []
        self.let_gone = 0
        self.ledger = Ledger()

    def note_rate(self, time_ns, rate) -> None:
        self.rates.append((time_ns, rate))

    def let_go(self, which) -> None:
        del which
        self.let_gone += 1


class _Ring:
    def __init__(self) -> None:
        self.limits: list[int] = []

    def sample(self, limit: int) -> None:
        self.limits.append(limit)


def test_a_change_of_the_rate_reaches_the_kernel_the_tape_and_the_log() -> None:
    recorder, ring, said, guard = _Recorder(), _Ring(), [], Guard(Sampler())
    now = iter([1000, 2000])
    rates = Rates(guard, [ring], recorder, lambda: next(now), said.append, said.append)
    rates.look(Strain(1, 1, read_ns=10))
    assert not said
    rates.look(Strain(50, 50, dropped=50, read_ns=900))
    low = guard.sampler.rate
    guard._calm_s = 9.0
    while guard.sampler.rate == low:
        rates.look(Strain(read_ns=1950))
    assert recorder.rates == [(900, low), (2000, pytest.approx(low * 1.2))]
    assert ring.limits == [limit_of(low), limit_of(guard.sampler.rate)]
    assert said == [
        f"more came than could be recorded: from now on {low:.1%} of the connections are kept "
        "(100.0% before)"
    ]
    assert recorder.let_gone == 1
    # What was seen before the fall and waits yet is thinned to the same sample, and booked.
    tcp = bytes(2) + b"\0\x50" + bytes(8) + b"\x50\x18" + bytes(6)
    waiting = [h.ethernet(h.ipv4(number.to_bytes(2, "big") + tcp[2:])) for number in range(200)]
    batch = h.frames_of(waiting)
    batch.times[:] = 999
    kept = len(rates.thinned(batch))
    assert 0 < kept < 200
    assert recorder.ledger.fates("packets") == {"sampled out": 200 - kept}
    batch.times[:] = 1000
    assert len(rates.thinned(batch)) == 200


def test_the_guard_tells_when_its_limit_of_memory_cannot_be_kept() -> None:
    guard = Guard(Sampler(), most_memory=1 << 20)
    assert not guard.in_vain  # sampling has not been tried yet
    for _ in range(10):
        guard.sampler.set_rate(guard.check(Strain()))
    assert guard.in_vain
    guard.ring_bytes = guard.memory
    assert not guard.in_vain
