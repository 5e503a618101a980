"""Conversations of HTTP/1 come out as the same exchanges however they were cut into segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from capture.defects import Defect
from capture.exchange import Close, Exchange, Flag, Kind, RequestEnd
from tests.capture.conversations import (
    SPLITS,
    Split,
    Turn,
    client,
    converse,
    pause,
    server,
    server_gap,
    whole,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
TWO = b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b'5;name="a;b"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Sum: x\r\n\r\n'
EXPECT = b"PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
CONNECT = b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"
UPGRADE = b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %b\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n"
HEAD = b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
NO_BODY = b"HTTP/1.1 %b\r\nContent-Length: 99\r\n\r\n"


class Want(NamedTuple):
    """What an exchange is to be, as far as a case cares."""

    request: bytes
    status: int = 200
    kind: Kind = Kind.HTTP1
    defects: Defect = Defect.NONE
    flags: Flag = Flag.NONE
    ended: RequestEnd = RequestEnd.COMPLETE
    response_bytes: int | None = None


def post(headers: bytes, body: bytes = b"", line: bytes = b"POST / HTTP/1.1") -> bytes:
    return line + b"\r\nHost: a\r\n" + headers + b"\r\n" + body


class Case(NamedTuple):
    """A conversation and its exchanges."""

    script: Sequence[Turn]
    want: Sequence[Want]
    close: Close = Close.FIN_CLIENT


BAD = Kind.MALFORMED
CONFLICT = post(b"Content-Length: 1\r\nContent-Length: 2\r\n")
EVIL_CODING = post(b"Transfer-Encoding: chunked, gzip\r\n")
FOLDED = b"GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n"
CASES = {
    "one request, one answer": Case([client(GET), server(OK)], [Want(GET, response_bytes=len(OK))]),
    "requests in turn on one connection": Case(
        [client(GET), server(OK), client(POST), server(OK)], [Want(GET), Want(POST)]
    ),
    "pipelined, several in one segment": Case(
        [client(GET + POST + TWO), server(OK + OK + OK)],
        [Want(GET), Want(POST, flags=Flag.PIPELINED), Want(TWO, flags=Flag.PIPELINED)],
    ),
    "pipelined, each in a segment": Case(
        [client(GET), client(TWO), server(OK), server(OK)],
        [Want(GET), Want(TWO, flags=Flag.PIPELINED)],
    ),
    "chunks with extensions and trailers": Case(
        [client(CHUNKED + CHUNKS + GET), server(OK + OK)],
        [Want(CHUNKED + CHUNKS), Want(GET, flags=Flag.PIPELINED)],
    ),
    "a chunked answer with trailers": Case(
        [
            client(GET),
            server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS),
            client(TWO),
            server(OK),
        ],
        [Want(GET), Want(TWO)],
    ),
    "interim responses count towards the final one": Case(
        [client(GET), server(HINTS * 2), server(OK)],
        [Want(GET, response_bytes=len(OK) + 2 * len(HINTS))],
    ),
    "100-continue": Case(
        [client(EXPECT), server(b"HTTP/1.1 100 Continue\r\n\r\n"), client(b"abc"), server(OK)],
        [Want(EXPECT + b"abc", flags=Flag.EXPECT_CONTINUE)],
    ),
    "HEAD has no body whatever its length": Case(
        [client(HEAD), server(NO_BODY % b"200 OK"), client(GET), server(OK)],
        [Want(HEAD), Want(GET)],
    ),
    "204 and 304 have no body": Case(
        [
            client(GET),
            server(NO_BODY % b"204 None"),
            client(TWO),
            server(NO_BODY % b"304 Same"),
            client(GET),
            server(OK),
        ],
        [Want(GET, 204), Want(TWO, 304), Want(GET)],
    ),
    "CONNECT opens a tunnel": Case(
        [client(CONNECT), server(b"HTTP/1.1 200 OK\r\n\r\n"), client(b"\x16\x03"), server(b"s")],
        [Want(CONNECT, flags=Flag.UPGRADED), Want(b"\x16\x03", 0, Kind.TCP, response_bytes=1)],
    ),
    "a refused CONNECT opens none": Case(
        [client(CONNECT), server(OK.replace(b"200", b"407")), client(GET), server(OK)],
        [Want(CONNECT, 407), Want(GET)],
    ),
    "bytes sent before a CONNECT is granted are of the tunnel": Case(
        [client(CONNECT + b"early"), server(b"HTTP/1.1 200 OK\r\n\r\n")],
        [
            Want(CONNECT, flags=Flag.UPGRADED),
            Want(b"early", 0, Kind.TCP, flags=Flag.NO_RESPONSE),
        ],
    ),
    "an upgrade to websocket": Case(
        [
            client(UPGRADE % b"websocket"),
            server(SWITCH % b"websocket" + b"\x81\x01a"),
            client(b"\x81\x81xxxxy"),
        ],
        [
            Want(UPGRADE % b"websocket", 101, flags=Flag.UPGRADED),
            Want(b"\x81\x81xxxxy", 0, Kind.WEBSOCKET, response_bytes=3),
        ],
    ),
    "an upgrade to something else": Case(
        [client(UPGRADE % b"moo"), server(SWITCH % b"moo"), client(b"moo!"), server(b"moo")],
        [
            Want(UPGRADE % b"moo", 101, flags=Flag.UPGRADED),
            Want(b"moo!", 0, Kind.TCP, response_bytes=3),
        ],
    ),
    "an upgrade that the server ignores": Case(
        [client(UPGRADE % b"h2c" + GET), server(OK + OK)],
        [Want(UPGRADE % b"h2c"), Want(GET, flags=Flag.PIPELINED)],
    ),
    "HTTP/0.9": Case(
        [client(b"GET /old\r\n"), server(b"<html>\n</html>")],
        [Want(b"GET /old\r\n", 0, defects=Defect.HTTP09, response_bytes=14)],
        Close.FIN_SERVER,
    ),
    "bare LF": Case(
        [client(b"GET / HTTP/1.1\nHost: a\n\n"), server(OK)],
        [Want(b"GET / HTTP/1.1\nHost: a\n\n", defects=Defect.BARE_LF)],
    ),
    "a folded header": Case(
        [client(FOLDED), server(OK)], [Want(FOLDED, defects=Defect.OBS_FOLD)]
    ),
    "empty lines before a request belong to it": Case(
        [client(b"\r\n\n" + GET), server(OK)],
        [Want(b"\r\n\n" + GET, defects=Defect.LEADING_BLANK_LINES)],
    ),
    "equal lengths": Case(
        [client(post(b"Content-Length: 2, 2\r\n", b"ab")), server(OK)],
        [Want(post(b"Content-Length: 2, 2\r\n", b"ab"), defects=Defect.LENGTH_REPEATED)],
    ),
    "conflicting lengths, until the next request line": Case(
        [client(CONFLICT + b"ab\r\n" + GET), server(OK)],
        [
            Want(CONFLICT + b"ab\r\n", kind=BAD, defects=Defect.LENGTH_CONFLICT),
            Want(GET, 0, flags=Flag.PIPELINED | Flag.NO_RESPONSE),
        ],
    ),
    "conflicting lengths, until the answer": Case(
        [client(CONFLICT + b"ab"), server(OK), client(GET), server(OK)],
        [
            Want(CONFLICT + b"ab", kind=BAD, defects=Defect.LENGTH_CONFLICT),
            Want(GET),
        ],
    ),
    "a length beside a coding: the coding counts": Case(
        [client(post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", CHUNKS)), server(OK)],
        [
            Want(
                post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
                defects=Defect.LENGTH_AND_CODING,
            )
        ],
    ),
    "a coding after chunked": Case(
        [client(EVIL_CODING + b"x"), server(OK.replace(b"200", b"400"))],
        [Want(EVIL_CODING + b"x", 400, BAD, Defect.CODING_INVALID)],
    ),
    "a chunk that is none": Case(
        [client(CHUNKED + b"zz\r\nabc\r\n" + GET), server(OK + OK)],
        [
            Want(CHUNKED + b"zz\r\nabc\r\n", kind=BAD, defects=Defect.CHUNK_INVALID),
            Want(GET, flags=Flag.PIPELINED),
        ],
    ),
    "an unknown method": Case(
        [client(GET.replace(b"GET", b"BREW")), server(OK)],
        [Want(GET.replace(b"GET", b"BREW"), defects=Defect.UNKNOWN_METHOD)],
    ),
    "garbage before a request": Case(
        [client(b"\x00\x01\xff junk\n" + GET), server(OK)],
        [
            Want(b"\x00\x01\xff junk\n", kind=BAD, defects=Defect.GARBAGE),
            Want(GET, 0, flags=Flag.PIPELINED | Flag.NO_RESPONSE),
        ],
    ),
    "an answer that lasts until the server closes": Case(
        [client(GET), server(b"HTTP/1.1 200 OK\r\n\r\nall of it")],
        [Want(GET, response_bytes=28)],
        Close.FIN_SERVER,
    ),
    "an answer that lasts, but is reset": Case(
        [client(GET), server(b"HTTP/1.1 200 OK\r\n\r\nall of it")],
        [Want(GET, flags=Flag.RESPONSE_CUT)],
        Close.RST_SERVER,
    ),
    "an answer cut short": Case(
        [client(GET), server(OK[:-1])], [Want(GET, flags=Flag.RESPONSE_CUT)], Close.FIN_SERVER
    ),
    "an answer before the request has ended": Case(
        [client(POST[:-3]), server(OK), client(POST[-3:] + GET), server(OK)],
        [Want(POST, flags=Flag.EARLY_RESPONSE), Want(GET)],
    ),
    "an answer that nobody asked for": Case(
        [client(GET), server(OK), server(OK.replace(b"200", b"408"))],
        [Want(GET), Want(b"", 408, flags=Flag.UNSOLICITED_RESPONSE)],
        Close.FIN_SERVER,
    ),
    "too few answers": Case(
        [client(GET + TWO), server(OK)],
        [Want(GET), Want(TWO, 0, flags=Flag.PIPELINED | Flag.NO_RESPONSE)],
    ),
    "nothing but an interim answer": Case(
        [client(GET), server(b"HTTP/1.1 100 Continue\r\n\r\n")],
        [Want(GET, 0, flags=Flag.NO_RESPONSE)],
    ),
    "an answer that is none": Case(
        [client(GET), server(b"SSH-2.0-x\r\n")],
        [Want(GET, 0, flags=Flag.RESPONSE_MALFORMED, response_bytes=11)],
    ),
    "a body left unsent after a refusal": Case(
        [client(EXPECT), server(OK.replace(b"200", b"417"))],
        [
            Want(
                EXPECT, 417, defects=Defect.CUT, ended=RequestEnd.FIN,
                flags=Flag.EARLY_RESPONSE | Flag.EXPECT_CONTINUE,
            )
        ],
    ),
}  # fmt: skip


def seen(exchange: Exchange, want: Want) -> Want:
    size = exchange.response_bytes if want.response_bytes is not None else None
    return Want(
        exchange.request, exchange.status, exchange.kind, Defect(exchange.defects),
        Flag(exchange.flags), exchange.ended, size,
    )  # fmt: skip


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
@pytest.mark.parametrize("name", CASES)
def test_a_conversation_gives_its_exchanges_however_it_is_cut(name: str, split: Split) -> None:
    script, want, close = CASES[name]
    got = converse(script, split, close)
    for each in got:
        assert len(each.response) >= each.response_head_bytes > 0 or not each.status
    padded = [*want, *[Want(b"?")] * (len(got) - len(want))]
    assert [seen(each, wanted) for each, wanted in zip(got, padded, strict=False)] == list(want)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
@pytest.mark.parametrize(
    ("close", "ended"),
    [
        (Close.FIN_CLIENT, RequestEnd.FIN),
        (Close.RST_CLIENT, RequestEnd.RST),
        (Close.RST_SERVER, RequestEnd.RST),
        (Close.IDLE, RequestEnd.SILENCE),
        (Close.REUSED, RequestEnd.SILENCE),
        (Close.CAPTURE_END, RequestEnd.CAPTURE_END),
    ],
)
@pytest.mark.parametrize("kept", [POST[:-2], POST[:30], POST[:10], CHUNKED + CHUNKS[:20]])
def test_a_request_that_is_cut_off_says_how(
    kept: bytes, close: Close, ended: RequestEnd, split: Split
) -> None:
    (exchange,) = converse([client(kept)], split, close)
    assert exchange.request == kept
    assert exchange.ended == ended
    assert exchange.defects == Defect.CUT
    assert exchange.kind == (Kind.MALFORMED if b"\n" not in kept else Kind.HTTP1)


def test_every_prefix_of_a_request_is_kept_when_it_is_cut_off() -> None:
    for size in range(1, len(CHUNKED + CHUNKS)):
        (exchange,) = converse([client((CHUNKED + CHUNKS)[:size])], whole, Close.FIN_CLIENT)
        assert exchange.request == (CHUNKED + CHUNKS)[:size]
        assert exchange.defects == Defect.CUT


def test_pieces_of_a_slow_client_are_kept_with_their_times() -> None:
    script = [client(POST[:9]), pause(5), client(POST[9:40]), client(POST[40:45]), pause(9),
              client(POST[45:]), server(OK)]  # fmt: skip
    (exchange,) = converse(script)
    assert exchange.pieces == ((9, 8_000_000), (45, 20_000_000))
    assert exchange.request_first_ns == 1_000_000
    assert exchange.request_last_ns == 20_000_000
    assert exchange.response_first_ns == exchange.response_last_ns == 21_000_000


def test_what_a_client_says_in_a_tunnel_is_kept_with_its_times() -> None:
    script = [client(CONNECT), server(b"HTTP/1.1 200 OK\r\n\r\n"), client(b"one"), pause(3),
              server(b"two"), client(b"three"), pause(8), client(b"four")]  # fmt: skip
    _, tunnel = converse(script)
    assert tunnel.request == b"onethreefour"
    assert tunnel.pieces == ((3, 9_000_000), (8, 19_000_000))
    assert (tunnel.response_bytes, tunnel.response_first_ns) == (3, 8_000_000)


def test_a_request_that_follows_a_refused_expectation_is_one_of_its_own() -> None:
    refusal = OK.replace(b"200", b"417")
    first, second = converse([client(EXPECT), server(refusal), client(GET), server(OK)])
    assert (first.request, first.status, first.defects) == (EXPECT, 417, Defect.CUT)
    assert (second.request, second.status) == (GET, 200)


def test_a_request_line_within_a_lost_stretch_keeps_the_time_of_its_first_byte() -> None:
    lost, kept = converse([client(CONFLICT + b"ab\r\nGET /a HT"), pause(5), client(GET[9:])])
    assert lost.request == CONFLICT + b"ab\r\n"
    assert lost.pieces == ()
    assert (kept.request, kept.request_first_ns) == (GET, 1_000_000)
    assert kept.pieces == ((9, 8_000_000),)


def test_answers_lost_in_a_gap_do_not_shift_the_ones_after_it() -> None:
    script = [client(GET), server(OK), client(TWO), server_gap(len(OK)), client(POST),
              server_gap(len(OK)), client(HEAD), server(NO_BODY % b"304 Same")]  # fmt: skip
    got = converse(script)
    assert [each.request for each in got] == [GET, TWO, POST, HEAD]
    assert [each.status for each in got] == [200, 0, 0, 304]
    assert [each.flags for each in got] == [0, Flag.RESPONSE_GAP, Flag.RESPONSE_GAP, 0]


def test_a_gap_before_the_head_of_the_only_answer_awaited_leaves_it_that_answer() -> None:
    script = [client(GET), server(OK[:-1]), client(TWO), server_gap(1), server_gap(5), server(OK)]
    got = converse(script)
    assert [(each.request, each.status) for each in got] == [(GET, 200), (TWO, 200)]
    assert got[1].flags & Flag.RESPONSE_GAP


def test_a_gap_within_the_body_of_an_answer_is_counted_and_leaves_no_digest() -> None:
    script = [client(GET), server(OK[:-2]), server_gap(1), server(b"k"), client(TWO), server(OK)]
    first, second = converse(script)
    assert (first.status, first.flags, first.response_bytes) == (200, Flag.RESPONSE_GAP, len(OK))
    assert first.response_digest == 0 != second.response_digest


@pytest.mark.parametrize("before", [CONFLICT + b"x\r\nGET /a", GET[:9], POST[:-2], EXPECT])
def test_a_switch_that_the_request_at_hand_did_not_ask_for_loses_none_of_it(before: bytes) -> None:
    script = [client(GET), client(before), server(SWITCH % b"moo"), client(b"moo")]
    got = converse(script)
    assert [each.request for each in got] == [GET, before, b"moo"]
    assert [each.status for each in got] == [101, 0, 0]
    assert got[2].kind == Kind.TCP
