"""Port pairs used again, the opening not seen: told from old copies, gaps and forgery."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.exchange import Close
from capture.packets.frames import Packet
from capture.packets.sources import open_capture
from capture.packets.tcp import ACK, FIN, RST
from tests.capture import packet_helpers as h
from tests.capture.conversation import MASK, MS, Heard, Talk, get, hear, ok, post

SECOND = 1000 * MS
BYTES = "stream bytes"
NEW = {"client_seq": 0x9000_0000, "server_seq": 0xE000_0000}
numbers = st.integers(0, MASK)


def again(after: Talk, seconds: float = 0.2, **numbers: int) -> Talk:
    """The same ends, later, with other numbers."""
    return Talk(time_ns=after.time_ns + int(seconds * SECOND), **{**NEW, **numbers})


def asked_and_answered(talk: Talk, target: str) -> list[Packet]:
    return [talk.up(get(target)), talk.down(ok())]


def whole(heard: Heard, *targets: str) -> None:
    assert heard.requests() == [get(target) for target in targets]
    assert [one.status for one in heard.exchanges] == [200] * len(targets)
    assert [one.missing_bytes for one in heard.connections] == [0] * len(heard.connections)
    assert heard.ledger.count(BYTES, "repeated") == 0


@pytest.mark.parametrize("ended", ["by both", "by one", "by a reset", "not at all"])
@pytest.mark.parametrize("seconds", [0.01, 0.5, 3])
def test_a_second_connection_of_the_same_ends_is_kept_whole(ended: str, seconds: float) -> None:
    talk = Talk()
    first = [*talk.opening(), *asked_and_answered(talk, "/1")]
    first += {"by both": talk.closing, "by one": lambda: talk.closing()[1:],
              "by a reset": lambda: [talk.reset()], "not at all": list}[ended]()  # fmt: skip
    second = again(talk, seconds)
    heard = hear([*first, *asked_and_answered(second, "/2"), *asked_and_answered(second, "/3")])
    whole(heard, "/1", "/2", "/3")
    assert [one.open_seen for one in heard.connections] == [True, False]
    assert heard.connections[0].close != Close.CAPTURE_END


@given(numbers, numbers)
def test_whatever_its_numbers_its_exchanges_are_found(client_seq: int, server_seq: int) -> None:
    talk = Talk()
    first = [*talk.opening(), *asked_and_answered(talk, "/1"), *talk.closing()]
    second = again(talk, client_seq=client_seq, server_seq=server_seq)
    near = any(
        -4 <= ((new - old + 1 << 31) & MASK) - (1 << 31) <= 300
        for new, old in ((client_seq, 1000), (server_seq, 9000))
    )
    if not near and not (client_seq - 1000) & MASK < 300 and not (server_seq - 9000) & MASK < 300:
        whole(hear([*first, *asked_and_answered(second, "/2")]), "/1", "/2")


def test_many_connections_after_one_another_are_each_one() -> None:
    packets, targets = [], [f"/{number}" for number in range(20)]
    at = Talk()
    for number, target in enumerate(targets):
        at = again(at, 0.01, client_seq=number * 100_000_000, server_seq=number * 70_000_000)
        packets += asked_and_answered(at, target)
    heard = hear(packets)
    whole(heard, *targets)
    assert len(heard.connections) == 20


def test_an_old_copy_from_far_behind_stays_an_old_copy() -> None:
    talk, body = Talk(), bytes(1 << 16)
    asked = talk.up(get("/old"))
    packets = [asked, talk.down(ok())]
    for _ in range(200):
        packets += [talk.up(post(body)), talk.down(ok())]
    late = (talk.time_ns + 400 * MS, *asked[1:])
    heard = hear([*packets, late, talk.up(get("/new")), talk.down(ok())])
    assert len(heard.connections) == 1
    assert heard.requests()[-1] == get("/new")
    assert heard.ledger.count(BYTES, "repeated") == len(get("/old"))


def test_an_old_copy_after_the_end_stays_an_old_copy() -> None:
    talk = Talk()
    opening, asked, answered = talk.opening(), talk.up(get()), talk.down(ok())
    ended = talk.closing()
    heard = hear([*opening, asked, answered, *ended, asked, answered])
    assert len(heard.connections) == len(heard.exchanges) == 1
    assert heard.ledger.count(BYTES, "repeated") == len(get()) + len(ok())


@pytest.mark.parametrize("live_after", [True, False])
def test_a_forged_request_does_not_end_the_connection_that_it_claims(live_after: bool) -> None:
    talk = Talk()
    opening = [*talk.opening(), *asked_and_answered(talk, "/1"), talk.up(get("/slow"))]
    forged = again(talk, 0.01)
    evil = [forged.up(get("/evil")), forged.up(get("/evil2"))]
    talk.time_ns = forged.time_ns
    challenge = talk.down()  # the true server acknowledges what it has, not the forged bytes
    rest = [challenge, talk.down(ok())] if live_after else [challenge]
    heard = hear([*opening, *evil, *rest])
    assert heard.requests() == [get("/1"), get("/slow")]
    assert heard.exchanges[1].status == (200 if live_after else 0)
    refused = heard.ledger.count(BYTES, "outside the window")
    assert refused == len(get("/evil")) + len(get("/evil2"))


def test_where_only_the_client_is_heard_the_second_request_is_kept_too() -> None:
    talk = Talk()
    first, second = talk.up(get("/1")), again(talk, 2).up(get("/2"))
    heard = hear([first, second])
    assert heard.requests() == [get("/1"), get("/2")]
    assert len(heard.connections) == 2


def test_a_download_of_which_much_was_missed_is_still_the_same_connection() -> None:
    talk = Talk()
    opening = [*talk.opening(), talk.up(get("/big"))]
    head = talk.down(b"HTTP/1.1 200 OK\r\nContent-Length: 400000100\r\n\r\n")
    talk.server_seq += 400_000_000
    heard = hear([*opening, head, talk.up(), talk.down(bytes(100)), *asked_and_answered(talk, "/")])
    assert len(heard.connections) == 1
    assert heard.connections[0].missing_bytes == 400_000_000
    assert heard.requests() == [get("/big"), get("/")]


def test_what_waits_to_succeed_is_bounded_and_every_byte_of_it_is_booked() -> None:
    packets = []
    for port in range(2000, 2600):
        talk = Talk(port=port)
        packets += [*talk.opening(), *asked_and_answered(talk, "/1")]
        forged = Talk(port=port, time_ns=talk.time_ns, **NEW)
        packets += [forged.up(get(f"/{number}")) for number in range(40)]
    heard = hear(packets)  # it checks that the ledger balances
    assert heard.ledger.count(BYTES, "outside the window") > 500 * 40 * len(get("/1"))
    assert len(heard.exchanges) <= 600 + 256 * 16


def test_a_rival_that_opens_after_all_is_one_connection_more() -> None:
    talk = Talk()
    first = [*talk.opening(), *asked_and_answered(talk, "/1")]
    second, third = again(talk, 0.1), again(talk, 0.3, client_seq=5, server_seq=77_000_000)
    heard = hear([*first, second.up(get("/2")), *third.opening(), *asked_and_answered(third, "/3")])
    assert heard.requests() == [get("/1"), get("/2"), get("/3")]
    assert len(heard.connections) == 3


steps = st.tuples(
    st.sampled_from(["up", "down"]),
    numbers,
    numbers,
    st.sampled_from([ACK, ACK, FIN | ACK, RST, 0]),
    st.sampled_from([b"", get(), ok(), b"x" * 50]),
)


@given(st.lists(steps, max_size=30))
def test_packets_with_any_numbers_never_lose_a_byte_from_the_ledger(steps: list) -> None:
    packets, talk = Talk().opening(), Talk()
    for way, seq, ack, flags, data in steps:
        talk.client_seq, talk.server_seq = (seq, ack) if way == "up" else (ack, seq)
        packets.append(getattr(talk, way)(data, flags))
    hear(packets)


def test_in_a_capture_file_the_second_connection_is_found(tmp_path: Path) -> None:
    file, records = tmp_path / "again.pcap", []
    talk = Talk()
    packets = [*talk.opening(), *asked_and_answered(talk, "/1"), *talk.closing()]
    packets += asked_and_answered(again(talk), "/2")
    for time_ns, src, dst, sport, dport, seq, ack, flags, payload, _ in packets:
        frame = h.ethernet(h.ipv4(h.tcp(payload, sport, dport, flags, seq, ack), src=src, dst=dst))
        seconds, rest = divmod(time_ns, SECOND)
        records.append(struct.pack("<4I", seconds, rest // 1000, len(frame), len(frame)) + frame)
    file.write_bytes(h.pcap([]) + b"".join(records))
    found = [one for frames in open_capture(str(file)).frames() for one in h.decoded(frames)[0]]
    assert hear(found).requests() == [get("/1"), get("/2")]
