"""The agent on a host: it stays within what it was granted, and outlives its interface."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from capture.errors import TapeError
from capture.ledger import Ledger
from capture.live.guard import Guard
from capture.live.sampling import Sampler
from capture.live.steady import SteadyClock
from capture.tape import Tape
from samples.packets import Conversations, interleaved
from tests.capture.live.agent import HERE, Namespace, Start

SECOND = 1_000_000_000


def balanced(ledger: Ledger) -> Ledger:
    assert ledger.imbalances() == []
    return ledger


@pytest.mark.alone
def test_a_recording_goes_on_when_its_interface_went_down_and_came_back(
    space: Namespace, start: Start, tmp_path: Path
) -> None:
    agent = start()
    space.send("--connections", "10")
    time.sleep(0.3)
    space.ip("link", "set", HERE, "down")
    time.sleep(0.5)
    space.ip("link", "set", HERE, "up")
    time.sleep(0.3)
    space.send("--connections", "7", "--seed", "2")
    time.sleep(0.3)
    ledger = balanced(agent.end())
    assert ledger.count("interruptions", "interface down") == 1
    assert ledger.count("exchanges", "kept") == 3 * 17
    with Tape.open(tmp_path / "live.tape") as tape:
        assert tape.exchange_count == 3 * 17


def test_an_interface_that_is_removed_and_made_anew_is_told_and_recorded_again(
    space: Namespace, start: Start
) -> None:
    agent = start("--log-format", "json")
    space.send("--connections", "5")
    time.sleep(0.3)
    space.ip("link", "del", HERE)
    agent.hears(f"{HERE} is down")
    space.join()
    agent.hears(f"{HERE} is back")
    space.send("--connections", "7", "--seed", "2")
    time.sleep(0.3)
    ledger = balanced(agent.end())
    assert ledger.count("interruptions", "interface down") == 1
    assert ledger.count("exchanges", "kept") == 3 * 12
    assert '"level": "warning"' in agent.told


def test_several_workers_say_once_that_they_record(start: Start) -> None:
    agent = start("--workers", "2")
    time.sleep(0.5)
    agent.process.terminate()
    _, rest = agent.process.communicate(timeout=60)
    assert (agent.told + rest).count("recording") == 1
    assert "with 2 workers" in agent.told


@pytest.mark.alone
def test_a_share_of_a_core_is_kept_by_leaving_out_whole_connections(
    space: Namespace, start: Start, tmp_path: Path
) -> None:
    agent = start("--max-cpu", "2%")
    space.send("--connections", "6000", "--exchanges", "3", "--seconds", "4")
    ledger = balanced(agent.end())
    out = ledger.count("connections", "sampled out")
    assert out > 0
    assert ledger.count("packets", "dropped by the kernel") == 0
    with Tape.open(tmp_path / "live.tape") as tape:
        assert 0 < tape.connection_count < 6000
        rates = [rate for _, rate in tape.rates]
        assert rates[0] == 1.0
        assert min(rates) < 1.0
        assert min(rates) <= tape.sample_rate < 1.0
        assert tape.ledger.count("connections", "sampled out") == out
        (kept,) = [list(c["exchanges"]) for c in [_all(tape, "exchanges")]]
    # What was opened while it was in the sample was kept to its end, or let go as a whole.
    assert sum(count == 3 for count in kept) > len(kept) / 2
    # Openings pass the kernel's filter, so that each connection is booked; what follows does not.
    assert ledger.count("connections") == 6000
    assert ledger.count("packets") < sum(1 for _ in interleaved(Conversations(6000, 3, 20)))
    assert "from now on" in agent.told


def _all(tape: Tape, name: str) -> dict[str, np.ndarray]:
    return {name: np.concatenate([columns[name] for columns in tape.connections((name,))])}


@pytest.mark.alone
def test_a_limit_of_memory_below_what_it_takes_lets_connections_go(
    space: Namespace, start: Start
) -> None:
    agent = start("--max-memory", "30MB")
    space.send("--connections", "3000", "--exchanges", "1", "--seconds", "2.5")
    agent.hears("--max-memory is not kept")
    ledger = balanced(agent.end())
    assert ledger.count("connections", "sampled out") > 0
    assert ledger.count("packets", "dropped by the kernel") == 0


@pytest.mark.alone
def test_the_ring_does_not_count_as_memory(space: Namespace, start: Start) -> None:
    agent = start("--ring", "512MB", "--max-memory", "400MB")
    time.sleep(2.5)  # two looks at what was used
    space.send("--connections", "500", "--exchanges", "1", "--seconds", "1")
    ledger = balanced(agent.end())
    assert ledger.count("connections", "sampled out") == 0
    assert ledger.count("exchanges", "kept") == 500


def held(path: Path) -> int:
    """How many exchanges a tape holds so far; 0 where it has gone."""
    try:
        with Tape.open(path) as tape:
            return tape.exchange_count
    except TapeError:
        return 0


def test_only_so_much_of_a_flight_recording_is_kept(
    space: Namespace, start: Start, tmp_path: Path
) -> None:
    agent = start("--rotate", "400ms", "--keep", "1500ms", name="tapes")
    folder = tmp_path / "tapes"
    seen: set[str] = set()  # of those that held something; a machine may be slow
    for seed in range(60):  # until the first of them has gone
        space.send("--connections", "5", "--seed", str(seed))
        time.sleep(0.2)
        seen |= {path.name for path in folder.glob("*.tape") if held(path)}
        if any(not (folder / name).exists() for name in seen):
            break
    else:
        pytest.fail("no tape was removed")
    ledger = balanced(agent.end())
    with Tape.open(folder) as tape:
        assert 0 < tape.exchange_count < ledger.count("exchanges", "kept")


def test_the_rate_falls_and_rises_with_what_is_used() -> None:
    guard = Guard(Sampler(), most_cpu=0.25)
    guard.sampler.set_rate(guard.decided(0.5, 0))
    low = guard.sampler.rate
    assert low == pytest.approx(0.45)
    guard.sampler.set_rate(guard.decided(0.05, 0))
    assert guard.sampler.rate > low


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND, 60_000_000])
def test_a_step_of_the_clock_leaves_no_step_in_the_times(step: int) -> None:
    true_ns = 1_000 * SECOND
    offset = 0
    clock = SteadyClock(lambda: true_ns + offset, lambda: true_ns)
    taken = []
    for number in range(20):
        stamps = [true_ns + offset]
        if number == 10:
            offset = step
            stamps.append(true_ns + 1000 + offset)  # the step lies within a batch
        true_ns += SECOND // 10
        taken += clock.steady(np.array(stamps, np.int64)).tolist()
    assert clock.steps == 1
    pauses = np.diff(taken)
    assert pauses.min() >= 0
    assert pauses.max() <= SECOND // 5
