"""What of a damaged tape is left, lost or there twice is told, to the exchange where it can be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.tape import Tape
from capture.tape.edit import cut
from tests.capture.tape.test_tape import write
from tests.fuzz.fuzz_tape import blocks

COUNT = 40


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "a.tape"
    write(path, COUNT)
    return path.read_bytes()


def parts(data: bytes) -> list[bytes]:
    """Its blocks, and its trailer."""
    places = blocks(data)
    return [*(data[at:end] for at, _, end in places), data[places[-1][2] :]]


def readable(tape: Tape) -> list[int]:
    return [n for block in tape.columns(["connection"]) for n in block["connection"].tolist()]


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_an_index_tells_how_much_was_in_a_block_that_is_missing(
    tmp_path: Path, sound: bytes, number: int
) -> None:
    made = parts(sound)
    del made[number]
    (tmp_path / "b.tape").write_bytes(b"".join(made))
    with Tape.open(tmp_path / "b.tape") as tape:
        left = readable(tape)
        assert len(left) < COUNT
        assert sum(loss.exchanges or 0 for loss in tape.verify()) == COUNT - len(left)
        assert "a block is missing" in str(tape.losses[-1])


def test_a_missing_block_is_told_without_an_index_too(tmp_path: Path, sound: bytes) -> None:
    made = parts(sound)
    (tmp_path / "b.tape").write_bytes(b"".join([*made[:2], *made[3:-2]]))
    with Tape.open(tmp_path / "b.tape") as tape:
        assert [loss.exchanges for loss in tape.losses] == [None]
        assert not tape.whole


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_block_that_stands_there_twice_is_read_once(
    tmp_path: Path, sound: bytes, number: int
) -> None:
    made = parts(sound)
    (tmp_path / "b.tape").write_bytes(b"".join([*made[: number + 1], *made[number:]]))
    with Tape.open(tmp_path / "b.tape") as tape:
        assert readable(tape) == list(range(COUNT))
        assert [loss.exchanges for loss in tape.losses] == [0]
        assert "twice" in str(tape.losses[0])


def test_a_tape_appended_to_itself_is_read_once(tmp_path: Path, sound: bytes) -> None:
    (tmp_path / "b.tape").write_bytes(sound + sound)
    with Tape.open(tmp_path / "b.tape") as tape:
        assert readable(tape) == list(range(COUNT))
        assert tape.ledger.count("exchanges", "kept") == COUNT


def test_of_two_tapes_in_one_file_the_first_is_read_and_the_other_told(
    tmp_path: Path, sound: bytes
) -> None:
    write(tmp_path / "other.tape", 8)
    (tmp_path / "b.tape").write_bytes(sound + (tmp_path / "other.tape").read_bytes())
    with Tape.open(tmp_path / "b.tape") as tape:
        assert readable(tape) == list(range(COUNT))
        assert "another tape begins" in str(tape.losses[0])


def test_where_only_the_ends_of_connections_are_damaged_no_exchange_is_lost(
    tmp_path: Path, sound: bytes
) -> None:
    made = _flipped_section(sound, "connections/server/values")
    (tmp_path / "b.tape").write_bytes(made)
    with Tape.open(tmp_path / "b.tape") as tape:
        assert [loss.exchanges for loss in tape.verify()] == [0]
        assert readable(tape) == list(range(COUNT))


def _flipped_section(data: bytes, name: str) -> bytes:
    with_it = bytearray(data)
    for at, base, _ in reversed(blocks(data)):
        header = _header(data, at, base)
        if name in header["sections"] and header["sections"][name][-2]:
            with_it[base + header["sections"][name][-3]] ^= 1
            return bytes(with_it)
    raise AssertionError(f"no section {name}")


def _header(data: bytes, at: int, base: int) -> dict[str, dict[str, list[int]]]:
    import msgpack

    found: dict[str, dict[str, list[int]]] = msgpack.unpackb(data[at + 16 : base])
    return found


def test_what_is_cut_from_a_tape_with_a_missing_block_has_a_ledger_that_sums_up(
    tmp_path: Path, sound: bytes
) -> None:
    made = parts(sound)
    del made[2]
    (tmp_path / "b.tape").write_bytes(b"".join(made))
    with Tape.open(tmp_path / "b.tape") as tape:
        left = readable(tape)
        cut(tape, tmp_path / "c.tape", 0, 1 << 62, ())
    with Tape.open(tmp_path / "c.tape") as tape:
        assert not tape.ledger.imbalances()
        assert tape.ledger.count("exchanges", "kept") == len(left)
        assert tape.ledger.count("exchanges", "unreadable") == COUNT - len(left)


def damaged(data: bytes, seed: int) -> Iterator[bytes]:
    """Bytes flipped, left out, put in, doubled, or taken from the end."""
    chance = random.Random(seed)
    for _ in range(8):
        at, size = chance.randrange(len(data)), chance.choice((1, 20, 300))
        some = data[at : at + size]
        yield data[:at] + bytes(byte ^ 0x20 for byte in some) + data[at + size :]
        yield data[:at] + data[at + size :]
        yield data[:at] + chance.randbytes(size) + data[at:]
        yield data[:at] + some + data[at:]
        yield data[:at]


@pytest.mark.parametrize("seed", range(4))
def test_less_than_was_written_is_never_read_without_a_word(
    tmp_path: Path, sound: bytes, seed: int
) -> None:
    from capture.errors import TapeError

    for data in damaged(sound, seed):
        (tmp_path / "b.tape").write_bytes(data)
        try:
            tape = Tape.open(tmp_path / "b.tape")
        except TapeError:
            continue
        with tape:
            left = readable(tape)
            assert len(left) == len(set(left))
            assert left == list(range(COUNT)) or tape.losses or not tape.whole
