"""Reassembly: scripted conversations, and the same conversation however it was delivered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.exchange import Close, Flag, Kind, RequestEnd
from capture.flows import Flows
from capture.ledger import Ledger
from capture.packets.frames import Packet
from capture.packets.tcp import FIN, RST, SYN
from tests.capture.conversation import (
    CLIENT,
    MS,
    SERVER,
    Heard,
    Talk,
    check,
    get,
    hear,
    ok,
    post,
    summary,
)  # fmt: skip
from tests.fuzz.fuzz_flows import one_input

SECOND = 1000 * MS


def test_a_conversation_in_order_gives_its_exchanges_and_its_connection() -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.up(get("/1")), talk.down(ok()), talk.up(post(b"xyz")),
                  talk.down(ok(b"")), *talk.closing()])  # fmt: skip
    assert heard.requests() == [get("/1"), post(b"xyz")]
    assert [one.status for one in heard.exchanges] == [200, 200]
    (connection,) = heard.connections
    assert connection.open_seen
    assert (connection.client, connection.server) == (CLIENT, "10.0.0.2:80")
    assert connection.close == Close.FIN_CLIENT
    assert connection.client_bytes == len(get("/1") + post(b"xyz"))


def test_segments_out_of_order_are_put_in_order() -> None:
    talk, data = Talk(), post(b"0123456789" * 30)
    opening = talk.opening()
    parts = [talk.up(data[:100]), talk.up(data[100:200]), talk.up(data[200:])]
    heard = hear([*opening, parts[2], parts[0], parts[1], talk.down(ok())])
    assert heard.requests() == [data]
    assert heard.exchanges[0].missing_bytes == 0


def test_an_answer_seen_before_its_request_waits_for_it() -> None:
    talk = Talk()
    opening = talk.opening()
    asked, answered = talk.up(get()), talk.down(ok())
    heard = hear([*opening, answered, asked, *talk.closing()])
    assert [(one.request, one.status) for one in heard.exchanges] == [(get(), 200)]


def test_a_retransmission_changes_nothing_and_is_counted() -> None:
    talk = Talk()
    opening, asked = talk.opening(), talk.up(get())
    heard = hear([*opening, asked, asked, talk.down(ok()), asked])
    assert heard.requests() == [get()]
    assert heard.ledger.count("stream bytes", "repeated") == 2 * len(get())


def test_of_overlapping_segments_the_first_copy_wins_and_a_differing_one_is_counted() -> None:
    talk = Talk()
    opening = talk.opening()
    first = talk.up(b"T /first HTTP/1.1\r\nHost: a\r\n\r\n", at=2)
    forged = talk.up(b"T /other HTTP/1.1\r\nHost: a\r\n\r\n", at=2)
    heard = hear([*opening, first, forged, talk.up(b"GE")])
    assert heard.requests() == [b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"]
    assert heard.ledger.count("differing second copies") > 0


@pytest.mark.parametrize("back", [1, 5, 20])
def test_a_segment_that_overlaps_what_was_delivered_gives_only_what_is_new(back: int) -> None:
    talk, data = Talk(), get("/a-rather-long-target")
    packets = [*talk.opening(), talk.up(data[:30])]
    packets.append(talk.up(data[30 - back :], at=-back))
    assert hear([*packets, talk.down(ok())]).requests() == [data]


def test_sequence_numbers_wrap_in_both_directions() -> None:
    talk = Talk(client_seq=0xFFFFFFFF - 20, server_seq=0xFFFFFFFF - 30)
    packets = talk.opening()
    for number in range(4):
        packets += [talk.up(get(f"/{number}")), talk.down(ok())]
    heard = hear(packets)
    assert heard.requests() == [get(f"/{number}") for number in range(4)]
    assert all(one.status == 200 for one in heard.exchanges)


@pytest.mark.parametrize("server_first", [False, True])
def test_a_connection_from_the_middle_learns_its_direction_from_the_content(
    server_first: bool,
) -> None:
    talk = Talk()
    packets = [talk.down(ok())] if server_first else []
    heard = hear([*packets, talk.up(get()), talk.down(ok())])
    (connection,) = heard.connections
    assert (connection.client, connection.client_port) == (CLIENT, 40000)
    assert not connection.open_seen
    assert all(one.flags & Flag.MIDSTREAM for one in heard.exchanges)
    assert heard.requests() == [b""] * server_first + [get()]


def test_a_gap_in_a_body_keeps_the_exchange_and_measures_what_is_missing() -> None:
    talk, data = Talk(), post(b"b" * 300)
    packets = [*talk.opening(), talk.up(data[:100])]
    talk.up(data[100:250])
    packets += [talk.up(data[250:]), talk.down(ok()), talk.up(get("/next")), talk.down(ok())]
    heard = hear(packets)
    first, second = heard.exchanges
    assert (first.kind, first.missing_bytes, first.request_bytes) == (Kind.HTTP1, 150, len(data))
    assert (second.request, second.status) == (get("/next"), 200)
    assert heard.connections[0].missing_bytes == 150


def test_a_gap_in_a_head_gives_a_malformed_exchange_and_the_next_request_is_found() -> None:
    talk, data = Talk(), get("/" + "x" * 100)
    packets = [*talk.opening(), talk.up(data[:40])]
    talk.up(data[40:60])
    packets += [talk.up(data[60:]), talk.down(ok()), talk.up(get("/next")), talk.down(ok())]
    first, second = hear(packets).exchanges
    assert (first.kind, first.missing_bytes) == (Kind.MALFORMED, 20)
    assert (second.kind, second.request) == (Kind.HTTP1, get("/next"))


def test_the_last_acknowledgement_after_an_end_is_no_missing_byte_behind_a_gap() -> None:
    talk, data = Talk(), post(b"b" * 300)
    packets = [*talk.opening(), talk.up(data[:100])]
    talk.up(data[100:250])
    packets += [talk.up(data[250:]), talk.down(ok()), *talk.closing(), talk.up()]
    heard = hear(packets)
    assert [one.missing_bytes for one in heard.exchanges] == [150]
    assert heard.ledger.count("ends") == 0


def test_the_tail_of_an_answer_before_the_capture_began_takes_no_answer_from_a_request() -> None:
    talk = Talk()
    tail, asked = talk.down(b"tail of something\r\n"), talk.up(get("/1"))
    heard = hear([tail, asked, talk.down(ok()), talk.up(get("/2")), talk.down(ok())])
    assert heard.requests() == [b"", get("/1"), get("/2")]
    assert [one.status for one in heard.exchanges[1:]] == [200, 200]
    assert [one.response_bytes for one in heard.exchanges] == [19, len(ok()), len(ok())]


def test_a_request_that_was_never_seen_but_acknowledged_is_told_as_missing() -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get("/1")), talk.down(ok())]
    talk.up(get("/lost"))
    heard = hear([*packets, talk.down(ok(b"lost")), talk.up(get("/3")), talk.down(ok())])
    assert [one.missing_bytes for one in heard.exchanges] == [0, len(get("/lost")), 0]
    assert [one.status for one in heard.exchanges] == [200, 200, 200]


def test_bytes_missing_before_the_end_of_a_stream_are_told() -> None:
    talk, data = Talk(), post(b"b" * 100)
    packets = [*talk.opening(), talk.up(data[:-30])]
    talk.up(data[-30:])
    heard = hear([*packets, talk.up(flags=FIN | 16)])
    assert heard.exchanges[0].missing_bytes == 30
    assert heard.connections[0].missing_bytes == 30


@pytest.mark.parametrize("probe", [b"", b"\0"])
def test_a_keep_alive_probe_is_no_data(probe: bytes) -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get("/1")), talk.down(ok())]
    packets.append(talk.up(probe, at=-1))
    heard = hear([*packets, talk.up(get("/2")), talk.down(ok())])
    assert heard.requests() == [get("/1"), get("/2")]
    assert heard.ledger.count("differing second copies") == 0


@pytest.mark.parametrize("flags", [FIN | 16, RST])
@pytest.mark.parametrize("away", [1 << 28, -(1 << 28), 1 << 31])
def test_a_forged_end_outside_the_window_ends_nothing(flags: int, away: int) -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get("/1")), talk.down(ok())]
    packets.append(talk.down(flags=flags, at=away))
    heard = hear([*packets, talk.up(get("/2")), talk.down(ok()), *talk.closing()])
    assert [one.status for one in heard.exchanges] == [200, 200]
    assert heard.connections[0].close == Close.FIN_CLIENT


def test_an_end_that_later_data_contradicts_is_forged_and_ends_nothing() -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get("/1")), talk.down(ok())]
    packets.append(talk.up(flags=FIN | 16, at=10))
    heard = hear([*packets, talk.up(get("/2")), talk.down(ok()), *talk.closing()])
    assert [(one.status, one.missing_bytes) for one in heard.exchanges] == [(200, 0), (200, 0)]
    assert heard.ledger.count("ends") == 1
    assert heard.connections[0].close == Close.FIN_CLIENT


def test_a_reset_cuts_the_request_and_says_who_did_it() -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.up(post(b"b" * 100)[:-20]), talk.reset()])
    assert heard.exchanges[0].ended == RequestEnd.RST
    assert heard.connections[0].close == Close.RST_SERVER


def test_a_pair_of_ports_that_is_used_again_is_a_new_connection() -> None:
    first, second = Talk(), Talk(client_seq=777_000_000, server_seq=5, time_ns=2 * SECOND)
    heard = hear([*first.opening(), first.up(get("/1")), first.down(ok()),
                  *second.opening(), second.up(get("/2")), second.down(ok())])  # fmt: skip
    assert [one.close for one in heard.connections] == [Close.REUSED, Close.CAPTURE_END]
    assert heard.requests() == [get("/1"), get("/2")]


def test_a_repeated_opening_is_not_a_new_connection() -> None:
    talk = Talk()
    opening = talk.opening()
    heard = hear([*opening, *opening, talk.up(get()), *opening, talk.down(ok())])
    assert len(heard.connections) == 1
    assert heard.exchanges[0].status == 200


def test_an_answer_after_the_client_closed_its_side_still_counts() -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.up(get(), FIN | 16), talk.down(ok(b"b" * 50)[:30]),
                  talk.down(ok(b"b" * 50)[30:], FIN | 16)])  # fmt: skip
    (one,) = heard.exchanges
    assert (one.status, one.response_bytes) == (200, len(ok(b"b" * 50)))
    assert one.flags & Flag.HALF_CLOSED


def test_only_who_waits_for_an_answer_has_half_closed() -> None:
    talk, gave_up = Talk(), Talk(port=40_001)
    heard = hear([*talk.opening(), talk.up(get()), talk.down(ok()), *talk.closing(),
                  *gave_up.opening(), gave_up.up(get()), *gave_up.closing()])  # fmt: skip
    assert [one.flags & Flag.HALF_CLOSED for one in heard.exchanges] == [Flag.NONE] * 2


def test_bytes_lost_to_the_snap_length_are_missing_not_skipped() -> None:
    talk, data = Talk(), post(b"b" * 100)
    heard = hear([*talk.opening(), talk.up(data[:-40], cut=40), talk.down(ok()),
                  talk.up(get("/next")), talk.down(ok())])  # fmt: skip
    assert [one.missing_bytes for one in heard.exchanges] == [40, 0]
    assert heard.exchanges[0].request_bytes == len(data)


def test_what_is_not_http_is_counted_and_not_kept() -> None:
    tls, other = Talk(), Talk(port=40001)
    heard = hear([tls.up(b"\x16\x03\x01" + bytes(50)), other.up(b"SSH-2.0-x\r\n")])
    assert heard.exchanges == heard.connections == []
    assert heard.ledger.count("connections", "not HTTP: TLS") == 1
    assert heard.ledger.count("connections", "not HTTP") == 1


def test_on_a_port_that_was_asked_for_garbage_is_kept_as_malformed() -> None:
    garbage = b"\x01\x02\x03" * 20
    heard = hear([*(talk := Talk()).opening(), talk.up(garbage)], ports=[80])
    assert [(one.kind, one.request) for one in heard.exchanges] == [(Kind.MALFORMED, garbage)]
    assert hear([Talk().up(get())], ports=[81]).exchanges == []


def test_a_request_from_the_end_that_was_called_makes_it_the_client() -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.down(get()), talk.up(ok())])
    assert heard.exchanges[0].client == SERVER
    assert heard.exchanges[0].status == 200


def test_time_that_passes_without_packets_gives_up_what_waits_and_ends_silent_connections() -> None:
    talk, flows = Talk(), Flows(Ledger(), idle_ns=10 * SECOND)
    packets = [*talk.opening(), talk.up(post(b"b" * 100)[:-60])]
    talk.up(post(b"b" * 100)[-60:-30])
    assert flows.feed([*packets, talk.up(post(b"b" * 100)[-30:])]) == []
    (one,) = flows.expire(talk.time_ns + 2 * SECOND) + flows.expire(talk.time_ns + 20 * SECOND)
    assert one.missing_bytes == 30
    assert [each.close for each in flows.closed()] == [Close.IDLE]
    assert flows.open == 0


def test_a_closed_connection_is_forgotten_after_a_moment() -> None:
    talk, flows = Talk(), Flows(Ledger())
    flows.feed([*talk.opening(), talk.up(get()), talk.down(ok()), *talk.closing()])
    assert flows.open == 1
    flows.expire(talk.time_ns + 2 * SECOND)
    assert flows.open == 0


# --- the same conversation, however it was delivered

TURNS = [
    (get("/1"), ok()), (post(b"body" * 40), ok(b"r" * 90)), (get("/2"), ok(b"")),
    (b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
]  # fmt: skip


def whole() -> Heard:
    talk = Talk()
    packets = talk.opening()
    for asked, answered in TURNS:
        packets += [talk.up(asked), talk.down(answered)]
    return hear([*packets, *talk.closing()])


@st.composite
def deliveries(draw: st.DrawFn) -> list[Packet]:
    """The conversation in other segments, some delayed by a few places, some seen twice."""
    talk = Talk(client_seq=draw(st.integers(0, 0xFFFFFFFF)))
    packets = talk.opening()
    for turn in TURNS:
        for data, say in zip(turn, (talk.up, talk.down), strict=True):
            cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=4)))
            packets += [say(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    packets += talk.closing()
    later = draw(st.lists(st.integers(0, 6), min_size=len(packets), max_size=len(packets)))
    twice = draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
    seen = [(number + delay, packet) for number, (delay, packet) in enumerate(
        zip([0, 0, *later[2:]], packets, strict=True))]  # fmt: skip
    seen += [(at + 3, packet) for (at, packet), again in zip(seen, twice, strict=True) if again]
    seen.sort(key=lambda item: item[0])
    return [(SECOND + n * MS, *packet[1:]) for n, (_, packet) in enumerate(seen)]


@given(deliveries(), st.integers(1, 50))
def test_any_segmentation_order_and_repetition_gives_the_same_exchanges(
    packets: list[Packet], batch: int
) -> None:
    heard = hear(packets, batch=batch)
    assert summary(heard) == summary(whole())
    assert heard.connections[0].close in (Close.FIN_CLIENT, Close.FIN_SERVER)


@given(deliveries(), st.data())
def test_any_loss_of_packets_is_told_and_no_byte_is_counted_twice(
    packets: list[Packet], data: st.DataObject
) -> None:
    lost = data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=8))
    heard = hear([packet for number, packet in enumerate(packets) if number not in lost])
    for one in heard.exchanges:
        assert one.kind != Kind.HTTP1 or len(one.request) == one.request_bytes


PIECES = [
    b"", b"x", get(), ok(), post(b"abc"), get()[:9], ok()[9:], b"\r\n\r\n", b"HTTP/1.1 ",
    b"\x16\x03\x01", bytes(30), b"5\r\nhello\r\n0\r\n\r\n",
]  # fmt: skip


@st.composite
def anything(draw: st.DrawFn) -> Packet:
    ends = draw(st.sampled_from([(CLIENT, SERVER, 9, 80), (SERVER, CLIENT, 80, 9),
                                 (CLIENT, SERVER, 8, 80)]))  # fmt: skip
    near = st.integers(0, 200) | st.sampled_from([0xFFFFFFF0, 1 << 31, 70_000])
    flags = draw(st.sampled_from([16, 16, 16, 24, SYN, SYN | 16, FIN | 16, RST, 0, 255]))
    time_ns = draw(st.integers(0, 3000)) * MS
    cut = draw(st.sampled_from([0, 0, 0, 7]))
    data = draw(st.sampled_from(PIECES) | st.binary(max_size=30))
    return (time_ns, *ends, draw(near), draw(near), flags, data, cut)


@given(st.lists(anything(), max_size=40), st.integers(1, 9), st.booleans())
def test_random_packets_never_fail_and_every_byte_has_one_fate(
    packets: list[Packet], batch: int, asked: bool
) -> None:
    check(hear(packets, batch=batch, ports=[80] if asked else []))


@given(st.binary(max_size=400))
def test_what_the_fuzzer_makes_of_any_bytes_keeps_its_invariant(data: bytes) -> None:
    one_input(data)
