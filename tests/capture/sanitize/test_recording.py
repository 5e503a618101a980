"""Sanitizing as `wiretape capture pcap` does it: responses, audits, and bytes that add up."""

from __future__ import annotations

import base64
import gzip
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import wiretape
from capture.exchange import Flag
from capture.tape import Tape
from samples.packets import Conversations, Talker, frame_of, pcap_head, pcap_record

DRAW = random.Random(11)
START_NS = 1_700_000_000 * 10**9
LEAKY = """
level = "standard"
detectors = ["jwt"]
default = "keep"
"""

Capture = Callable[..., tuple[int, str, str]]


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Capture:
    """Runs `wiretape capture pcap …` as the command does, in this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wiretape", "capture", "pcap", *map(str, arguments)])
        code = wiretape._run()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def talk(path: Path, *said: tuple[bytes, bytes]) -> Path:
    """A capture of one connection with these requests and responses."""
    talker, what = Talker(1, random.Random(1)), Conversations(connections=1)
    packets = talker.open()
    for request, response in said:
        packets += talker.say(True, request)
        packets += talker.say(False, response)
    packets += talker.close()
    frames = (
        pcap_record(START_NS + 1000 * at, frame_of(what, 1, packet))
        for at, packet in enumerate(packets)
    )
    path.write_bytes(pcap_head() + b"".join(frames))
    return path


def text(size: int) -> bytes:
    return bytes(DRAW.choice(b"abcdefghjkmnpqrstuvwxyz23456789") for _ in range(size))


def mail() -> bytes:
    return b"%s@%s.com" % (text(9), text(8))


def post(body: bytes, more: bytes = b"") -> bytes:
    head = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
    return head + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def answer(body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nServer: sample\r\nContent-Type: application/json\r\n"
    return head + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def payloads(path: Path) -> list[tuple[bytes, bytes]]:
    with Tape.open(path) as tape:
        numbers = np.arange(tape.exchange_count, dtype=np.int64)
        return [(each.request, each.response) for each in tape.payloads(numbers)]


def test_an_audit_during_capture_keeps_a_block_with_a_secret_from_the_disk(
    tmp_path: Path, capture: Capture
) -> None:
    secret = mail()
    pcap = talk(tmp_path / "a.pcap", (post(b'{"to":"%s"}' % secret), answer(b"{}")))
    (tmp_path / "leaky.toml").write_text(LEAKY)
    tape = tmp_path / "a.tape"
    common = ("--policy", tmp_path / "leaky.toml", "--json", "-o", tape)
    code, out, err = capture(pcap, "--audit", *common)
    assert code == 1
    assert "the audit found what looks like a secret (e-mail in body application/json (to))" in err
    assert "Traceback" not in err
    ledger = json.loads(out)["ledger"]
    assert ledger["exchanges"]["refused by the audit"] == 1
    assert "kept" not in ledger["exchanges"] or ledger["exchanges"]["kept"] == 0
    assert secret not in tape.read_bytes()
    assert payloads(tape) == []
    assert capture(pcap, *common)[0] == 0
    assert secret in payloads(tape)[0][0]


def test_a_canary_keeps_its_block_from_the_disk_and_is_not_shown(
    tmp_path: Path, capture: Capture
) -> None:
    word, canaries = text(9), tmp_path / "canaries"
    canaries.write_bytes(b"never here\n%s\n" % word)
    body = b'{"note":"%s"}' % base64.b64encode(b"a " + word + b" b")
    pcap = talk(tmp_path / "a.pcap", (post(body), answer(b"{}")))
    common = (pcap, "--canary", canaries, "-o", tmp_path / "a.tape")
    code, _, err = capture(*common, "--audit")
    assert code == 1
    assert "canary 2 in body application/json" in err
    assert word.decode() not in err
    assert payloads(tmp_path / "a.tape") == []
    code, _, err = capture(*common)
    assert (code, "nothing looks for it; add --audit" in err) == (2, True)


def test_an_audit_during_capture_lets_pass_what_was_sanitized(
    tmp_path: Path, capture: Capture
) -> None:
    said = [(post(b'{"to":"%s","n":"%s"}' % (mail(), text(40))), answer(b"{}")) for _ in range(50)]
    pcap = talk(tmp_path / "a.pcap", *said)
    code, _, err = capture(pcap, "--audit", "-o", tmp_path / "a.tape")
    assert code == 0, err
    assert len(payloads(tmp_path / "a.tape")) == 50


@pytest.mark.parametrize("mode", ["short", "headers", "body"])
def test_what_a_response_hands_out_has_the_pseudonym_it_has_where_it_comes_back(
    tmp_path: Path, capture: Capture, mode: str
) -> None:
    token, note = text(32), mail()
    first = answer(b'{"token":"%s","to":"%s"}' % (token, note), b"X-Auth-Token: %s\r\n" % token)
    second = post(b'{"token":"%s"}' % token)
    pcap = talk(tmp_path / "a.pcap", (post(b"{}"), first), (second, answer(b"{}")))
    code, _, err = capture(pcap, "--responses", mode, "--audit", "-o", tmp_path / "a.tape")
    assert code == 0, err
    (_, response), (request, _) = payloads(tmp_path / "a.tape")
    pseudonym = json.loads(request.partition(b"\r\n\r\n")[2])["token"].encode()
    assert token not in request + response
    assert note not in response
    head, _, body = response.partition(b"\r\n\r\n")
    assert (b"X-Auth-Token: %s" % pseudonym in head) == (mode != "short")
    assert b"Server: sample" in head
    assert bool(body) == (mode == "body")
    if body:
        assert json.loads(body)["token"].encode() == pseudonym
        assert len(body) == len(first.partition(b"\r\n\r\n")[2])


def test_the_bytes_of_a_connection_add_up_where_a_compressed_body_was_closed_again(
    tmp_path: Path, capture: Capture
) -> None:
    bodies = [gzip.compress(b'{"to":"%s","x":"%s"}' % (mail(), b"a" * 500), 0) for _ in range(20)]
    said = [(post(body, b"Content-Encoding: gzip\r\n"), answer(b"{}")) for body in bodies]
    tape = tmp_path / "a.tape"
    assert capture(talk(tmp_path / "a.pcap", *said), "-o", tape)[0] == 0
    with Tape.open(tape) as opened:
        (chunk,) = opened.columns(("request_bytes", "request_kept", "flags"))
        (connection,) = opened.connections(("client_bytes",))
    assert chunk["request_bytes"].tolist() == [len(request) for request, _ in said]
    assert chunk["request_bytes"].sum() == connection["client_bytes"][0]
    resized = (chunk["flags"] & Flag.RESIZED) != 0
    assert resized.tolist() == (chunk["request_kept"] != chunk["request_bytes"]).tolist()
    assert resized.any()
    for request, _ in payloads(tape):
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(body) in head
        assert json.loads(gzip.decompress(body))["x"]
