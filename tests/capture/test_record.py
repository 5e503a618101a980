"""The recorder, rotation and the steady clock: decisions without a network or a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capture.cli import capture
from capture.exchange import Connection, Exchange
from capture.ledger import Ledger
from capture.live.steady import SteadyClock
from capture.packets.decap import Decapsulator
from capture.packets.frames import Frames
from capture.record import Recorder
from capture.rotation import LIMIT, Kept, Limit, expired, tapes_of


class _Assembler:
    """One exchange a batch, so that what the recorder does with them can be counted."""

    def feed(self, packets):
        return [Exchange() for _ in packets]

    def closed(self):
        return [Connection(0, b"\1\2\3\4", 5, "", 0, True)]

    def let_go(self, which):
        del which
        return 3

    def expire(self, now_ns):
        del now_ns
        return [Exchange()]

    def finish(self):
        return [Exchange()]


class _Cleaner:
    def exchanges(self, batch):
        return batch

    def client(self, address):
        return len(address)


class _Writer:
    def __init__(self, room: int) -> None:
        self.room, self.rows, self.ended, self.ledger = room, 0, 0, Ledger()

    def append(self, sanitized) -> None:
        del sanitized
        if self.rows >= self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.rows += 1

    def append_connection(self, connection, client) -> None:
        del connection, client
        self.ended += 1

    def tick(self, late_ns: int) -> None:
        pass

    def seal(self) -> None:
        pass

    @property
    def exchanges(self) -> int:
        return self.rows

    @property
    def connections(self) -> int:
        return self.ended

    def close(self, ledger: Ledger) -> None:
        self.ledger = ledger

    amend = close


def _frame() -> Frames:
    tcp = b"\x10\0\0\x50" + bytes(8) + b"\x50\x18" + bytes(6) + b"x"
    frame = bytes(12) + b"\x08\0\x45\0\0\x29" + bytes(5) + b"\x06\0\0" + bytes(8) + tcp
    sizes = np.array([len(frame)], np.int64)
    return Frames(frame, 1, np.zeros(1, np.int64), sizes, sizes, np.ones(1, np.int64))


class _Tapes:
    def __init__(self, rooms: list[int]) -> None:
        self.rooms = rooms
        self.writers: list[_Writer] = []

    def open(self) -> _Writer:
        self.writers.append(_Writer(self.rooms[len(self.writers)]))
        return self.writers[-1]

    def due(self) -> bool:
        return False

    def waiting_s(self) -> float:
        return 0.0


def _recorder(rooms: list[int]) -> tuple[Recorder, list[_Writer], list[str]]:
    told: list[str] = []
    tapes = _Tapes(rooms)
    ledger = Ledger()
    recorder = Recorder(ledger, Decapsulator(ledger), _Assembler(), _Cleaner(), tapes, told.append)
    return recorder, tapes.writers, told


def test_the_ledgers_of_rotated_tapes_add_up_to_the_whole_recording() -> None:
    recorder, writers, _ = _recorder([9, 9])
    recorder.take(_frame())
    recorder.rotate()
    recorder.take(_frame())
    recorder.close()
    total = Ledger()
    for writer in writers:
        assert writer.ledger.imbalances() == []
        total.add(writer.ledger)
    assert total.as_dict() == recorder.ledger.as_dict()
    assert total.count("exchanges") == 3


def test_a_full_disk_is_told_at_once_and_counting_goes_on() -> None:
    recorder, writers, told = _recorder([1, 9])
    for _ in range(3):
        recorder.take(_frame())
    assert recorder.ledger.fates("exchanges") == {"could not be written": 2, "kept": 1}
    assert len(told) == 1
    assert "No space left" in recorder.failure
    assert writers[0].ledger.fates("exchanges") == {"could not be written": 1, "kept": 1}
    recorder.rotate()
    recorder.close()
    assert writers[1].ledger.fates("exchanges") == {"could not be written": 1, "kept": 1}


def test_a_tape_that_failed_tells_at_the_end_what_was_lost_after_it() -> None:
    recorder, writers, _ = _recorder([1])
    for _ in range(3):
        recorder.take(_frame())
    recorder.close()
    assert writers[0].ledger.as_dict() == recorder.ledger.as_dict()
    assert recorder.ledger.fates("exchanges") == {"could not be written": 3, "kept": 1}


def test_counting_goes_on_where_the_next_tape_has_room() -> None:
    recorder, _, _ = _recorder([1, 9])
    for _ in range(3):
        recorder.take(_frame())
    recorder.rotate()
    recorder.take(_frame())
    assert recorder.ledger.fates("exchanges")["kept"] == 2
    assert recorder.ledger.imbalances() == []


def test_what_a_recorder_lets_go_is_booked_and_written() -> None:
    recorder, writers, _ = _recorder([9])
    recorder.let_go(lambda ends: bool(ends))
    assert recorder.ledger.count("connections let go in their midst", "sampled out") == 3
    assert (writers[0].rows, writers[0].ended) == (1, 1)


def test_limits_are_sizes_or_durations_by_their_unit() -> None:
    assert LIMIT.convert("10m", None, None) == Limit(age_ns=600_000_000_000)
    assert LIMIT.convert("10MB", None, None) == Limit(size=10 << 20)


def test_the_oldest_tapes_go_first_and_the_newest_always_stays() -> None:
    tapes = [Kept(Path(str(n)), 10, n * 100) for n in range(5)]
    assert expired(tapes, Limit(size=25), 500) == [Path("0"), Path("1"), Path("2")]
    assert expired(tapes, Limit(age_ns=250), 500) == [Path("0"), Path("1"), Path("2")]
    assert expired(tapes, Limit(size=1), 500) == [Path(str(n)) for n in range(4)]


def test_a_tape_that_another_worker_still_writes_is_never_removed(tmp_path: Path) -> None:
    names = [f"2026010{day}T000000.000Z-{worker}-00000{day}.tape"
             for day, worker in ((1, 0), (1, 1), (2, 0), (3, 0))]  # fmt: skip
    for age, name in enumerate([*names, "incident.tape"]):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    tapes = tapes_of(tmp_path)
    assert [one.path.name for one in tapes] == names  # what was cut out of them is not theirs
    now_ns = 10_000 * 10**9
    gone = expired(tapes, Limit(age_ns=1), now_ns, workers=2)
    assert [path.name for path in gone] == [names[0], names[2]]
    alone = expired(tapes, Limit(age_ns=1), now_ns, workers=1)
    assert [path.name for path in alone] == names[:3]


def test_a_step_of_the_clock_leaves_no_jump_in_the_times() -> None:
    state = {"step": 0, "now": 1_000_000_000_000}
    clock = SteadyClock(lambda: state["now"] + state["step"], lambda: state["now"])
    seen: list[int] = []
    for tick in range(10):
        if tick == 5:
            state["step"] = -3_600_000_000_000
        state["now"] += 1_000_000
        stamp = np.array([state["now"] + state["step"]], np.int64)
        seen += clock.steady(stamp).tolist()
    assert np.diff(seen).tolist() == [1_000_000] * 9
    assert clock.steps == 1


@pytest.mark.parametrize("option", ["--for", "--ring", "--max-memory"])
@pytest.mark.parametrize("value", ["0", "-3", "nan"])
def test_limits_of_nothing_are_wrong_usage(option: str, value: str) -> None:
    said = CliRunner().invoke(capture, ["live", "-i", "lo", "-o", "x.tape", option, value])
    assert said.exit_code == 2
    assert option in said.output
