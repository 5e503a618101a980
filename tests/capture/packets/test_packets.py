"""Reading pcap and pcapng files: every byte order and resolution, compressed, cut and damaged."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import CaptureError
from capture.packets.input import Input
from capture.packets.sources import open_capture
from tests.capture import packet_helpers as h

FRAMES = [b"first frame", b"", b"third" * 20]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("nano", "tick"), [(False, 1000), (True, 1)])
def test_pcap_is_read_in_both_byte_orders_and_resolutions(
    tmp_path: Path, order: str, nano: bool, tick: int
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(h.pcap(FRAMES, order, nano))
    found, damage = h.read(path)
    assert damage == ""
    assert found == [(n * 1_000_000_000 + n * tick, 1, frame) for n, frame in enumerate(FRAMES)]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_reads_like_the_plain_one(tmp_path: Path, pack) -> None:
    plain, packed = tmp_path / "a.pcap", tmp_path / "b.pcap"
    plain.write_bytes(h.pcap(FRAMES))
    packed.write_bytes(pack(h.pcap(FRAMES)))
    assert h.read(packed) == h.read(plain)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "ns"),
    [(6, 5, 5_000), (9, 5, 5), (3, 5, 5_000_000), (12, 5_000, 5), (0x80 | 10, 512, 500_000_000)],
)
def test_pcapng_times_follow_the_resolution_and_offset_of_their_interface(
    tmp_path: Path, order: str, resolution: int, ticks: int, ns: int
) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        h.section(order)
        + h.interface(1, resolution, 3, order)
        + h.enhanced(b"frame", ticks, 0, order)
    )
    assert h.read(path) == ([(3_000_000_000 + ns, 1, b"frame")], "")


def test_pcapng_sections_interfaces_and_unknown_blocks_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(
        h.section() + h.interface(1) + h.interface(101)
        + h.enhanced(b"one", 1, 0) + h.block(0xBAD, b"what?") + h.enhanced(b"two", 2, 1)
        + h.section(">") + h.interface(228, order=">") + h.enhanced(b"three", 3, 0, ">")
    )  # fmt: skip
    found, damage = h.read(path)
    assert damage == ""
    assert found == [(1000, 1, b"one"), (2000, 101, b"two"), (3000, 228, b"three")]


@given(st.lists(st.binary(max_size=80), max_size=12), st.data())
def test_a_file_that_is_cut_anywhere_keeps_every_whole_packet_and_says_so(frames, data) -> None:
    whole = h.pcap(frames)
    cut = data.draw(st.integers(24, len(whole)))
    source = Input(io.BytesIO(whole[:cut]), "x.pcap")
    from capture.packets.pcapfile import PcapFile

    reader = PcapFile(source)
    found = [n for batch in reader.frames() for n in batch.lengths.tolist()]
    ends = [24]
    for frame in frames:
        ends.append(ends[-1] + 16 + len(frame))
    assert found == [len(f) for f, end in zip(frames, ends[1:], strict=True) if end <= cut]
    assert bool(reader.damage) == (cut not in ends)


class _Trickle(io.RawIOBase):
    """A stream that gives some bytes at a time, as a pipe does."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def read(self, size: int = -1) -> bytes:
        del size
        return self._data.read(self._size)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("ng", [False, True])
def test_a_stream_reads_the_same_in_pieces_of_any_size(size: int, ng: bool) -> None:
    from capture.packets.pcapfile import PcapFile
    from capture.packets.pcapng import PcapngFile

    data = h.pcap(FRAMES)
    if ng:
        data = h.section() + h.interface() + b"".join(h.enhanced(f, 1) for f in FRAMES)
    source = Input(_Trickle(data, size), "pipe")
    reader = PcapngFile(source) if ng else PcapFile(source)
    found = [
        batch.data[s : s + n]
        for batch in reader.frames()
        for s, n in zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True)
    ]
    assert found == FRAMES
    assert reader.damage == ""


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(h.pcap(FRAMES)))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert len(h.read("-")[0]) == 3


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "is empty"), (b"GET / HTTP/1.1\r\n", "is no pcap"), (h.pcap([])[:20], "cut off")],
)
def test_a_file_without_packets_to_read_is_one_clear_sentence(
    tmp_path: Path, content: bytes, word: str
) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=word) as raised:
        h.read(path)
    assert str(path) in str(raised.value)


def test_a_damaged_record_ends_the_file_with_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(h.pcap([b"good"]) + b"\xff" * 40)
    found, damage = h.read(path)
    assert [frame for _, _, frame in found] == [b"good"]
    assert "damaged" in damage


@pytest.mark.skipif(not h.CORPUS.exists(), reason="the corpus is not here")
def test_every_capture_of_the_corpus_is_read_and_every_ledger_sums_up() -> None:
    from capture.ledger import Ledger
    from capture.packets.decap import Decapsulator

    for entry in json.loads((h.CORPUS / "pcaps" / "expected.json").read_text()):
        ledger = Ledger()
        decapsulator = Decapsulator(ledger)
        for batch in open_capture(str(h.CORPUS / "pcaps" / entry["file"])).frames():
            decapsulator.packets(batch)
        decapsulator.close()
        assert ledger.imbalances() == [], entry["file"]
        if entry["format"].startswith("pcap-"):
            assert ledger.count("packets") == entry["packets"], entry["file"]
