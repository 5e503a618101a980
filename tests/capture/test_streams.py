"""Odder ways of streams: urgent bytes, acknowledgements of what was not seen, second copies."""

from __future__ import annotations

from capture.accounts import APART, BYTES
from capture.exchange import Flag
from capture.packets.tcp import ACK, FIN, URG
from tests.capture.conversation import Talk, get, hear, ok, post


def _urgent(place: int) -> int:
    """TCP flags that make the byte before `place` of a segment urgent."""
    return ACK | URG | place << 16


def test_an_urgent_byte_is_no_part_of_the_request() -> None:
    talk = Talk()
    spoken = get("/malicious")
    at = spoken.index(b"cious")
    heard = hear([*talk.opening(), talk.up(spoken[:at] + b"X" + spoken[at:], _urgent(at + 1)),
                  talk.down(ok())])  # fmt: skip
    assert heard.requests() == [spoken]
    assert heard.ledger.count(BYTES, APART) == 1


def test_an_urgent_pointer_beyond_the_segment_takes_nothing() -> None:
    talk = Talk()
    heard = hear([*talk.opening(), talk.up(get(), _urgent(5000)), talk.down(ok())])
    assert heard.requests() == [get()]


def test_an_acknowledgement_tells_that_the_end_of_an_answer_was_not_seen() -> None:
    talk = Talk()
    answer = ok(b"x" * 1000)
    packets = [*talk.opening(), talk.up(get("/1")), talk.down(answer[:500])]
    talk.server_seq += len(answer) - 500
    talk.time_ns += 10**9
    heard = hear([*packets, talk.up(), *talk.closing()])
    (exchange,) = heard.exchanges
    assert exchange.flags & Flag.RESPONSE_GAP
    assert not exchange.flags & Flag.RESPONSE_CUT
    assert exchange.response_bytes == len(answer)
    assert heard.ledger.count("missing bytes") == len(answer) - 500


def test_an_acknowledgement_of_an_end_that_was_not_seen_makes_up_no_byte() -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get()), talk.down(ok())]
    talk.server_seq += 1  # its end, which the capture missed
    talk.time_ns += 10**9
    heard = hear([*packets, talk.up(), talk.up(flags=FIN | ACK)])
    (exchange,) = heard.exchanges
    assert exchange.flags == Flag.NONE
    assert heard.connections[0].server_bytes == len(ok())


def test_an_acknowledgement_that_overtakes_its_data_takes_nothing_from_it() -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get("/1"))]
    answered, acknowledged = talk.down(ok()), talk.up()
    heard = hear([*packets, acknowledged, answered, talk.up(get("/2")), talk.down(ok())])
    assert heard.requests() == [get("/1"), get("/2")]
    assert [one.response_bytes for one in heard.exchanges] == [len(ok())] * 2
    assert not heard.ledger.count("missing bytes")


def test_a_second_copy_that_differs_from_what_was_read_is_counted() -> None:
    for batch in (1, 2, 100):
        talk = Talk()
        data = post(b"pay 10 to ann")
        packets = [*talk.opening(), talk.up(data)]
        again = talk.up(data.replace(b"ann", b"eve"), at=-len(data))
        heard = hear([*packets, again, talk.down(ok())], batch=batch)
        assert heard.requests() == [data]
        assert heard.ledger.count("differing second copies") == 3


def test_a_second_copy_is_compared_with_what_came_before_it_not_with_what_comes_later() -> None:
    for batch in (1, 2, 100):
        talk = Talk()
        data = post(b"pay 10 to ann")
        packets = [*talk.opening(), talk.up(data), talk.up(data, at=-len(data))]
        third = talk.up(data.replace(b"ann", b"eve"), at=-len(data))
        heard = hear([*packets, third, talk.down(ok())], batch=batch)
        assert heard.requests() == [data]
        assert heard.ledger.count("differing second copies") == 3


def test_a_second_copy_that_is_the_same_is_only_repeated() -> None:
    talk = Talk()
    packets = [*talk.opening(), talk.up(get())]
    heard = hear([*packets, talk.up(get(), at=-len(get())), talk.down(ok())], batch=9)
    assert heard.requests() == [get()]
    assert not heard.ledger.count("differing second copies")
    assert heard.ledger.count(BYTES, "repeated") == len(get())


def test_a_closed_window_takes_nothing_and_its_probes_add_nothing() -> None:
    talk, data = Talk(), post(b"0123456789" * 400)
    packets = [*talk.opening(), talk.up(data[:1500]), talk.down()]
    packets.append(talk.up(data[1500:1501]))  # one byte asks whether the window is open
    talk.client_seq -= 1
    talk.time_ns += 5 * 10**9
    packets.append(talk.up(data[1500:1501]))
    talk.client_seq -= 1
    packets += [talk.down(), talk.up(data[1500:]), talk.down(ok()), *talk.closing()]
    heard = hear(packets)
    assert heard.requests() == [data]
    assert heard.exchanges[0].missing_bytes == 0
    assert heard.ledger.count("differing second copies") == 0


def test_segments_that_an_interface_put_together_are_one_segment() -> None:
    """Larger than any packet on the wire, as offload shows them, and larger than IPv4 may be."""
    talk, data = Talk(), post(b"x" * 200_000)
    heard = hear([*talk.opening(), talk.up(data), talk.down(ok(b"y" * 200_000)), *talk.closing()])
    assert heard.requests() == [data]
    assert heard.exchanges[0].response_bytes == len(ok(b"y" * 200_000))
