"""No command shows or writes a secret that was in the traffic: not in its output, not in a file.

A capture with a new secret of each detector in many places is recorded, and every command is run
over the tape and over a run of it. All that they print and every file that they leave is looked
through, decompressed and decrypted where need be, for each secret in each spelling.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import random
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import hyperscan
import numpy as np
import pyrage
import pytest

from capture.columns import EXCHANGES
from capture.tape import Tape
from capture.tape.block import Text
from capture.tape.opening import IDENTITY_VARIABLE
from samples.packets import Conversations, Talker, frame_of, pcap_head, pcap_record
from tests.capture.sanitize.planting import Maker, Secret
from tests.replay.recorder import answering, recorder

ROOT = Path(__file__).resolve().parents[1]
START_NS = 1_700_000_000 * 10**9
JSON_TYPE = b"Content-Type: application/json\r\n"
# What no request may hold in these places without being another request.
UNFIT = {"pem", "url-credentials", "coordinates", "in-aadhaar", "uk-nhs", "basic-auth", "bearer"}
Said = tuple[bytes, bytes]


def whole(head: bytes, body: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body) if body else b""
    return head + b"Host: shop.test\r\n" + size + b"\r\n" + body


def quoted(plain: bytes) -> bytes:
    return urllib.parse.quote_from_bytes(plain, safe="").encode()


def requests(plant: Callable[[str], Secret], name: str) -> Iterator[Said]:
    """Exchanges with new secrets of this kind, each at another place."""

    def draw() -> bytes:
        return plant(name).whole

    def answer() -> bytes:
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: sid=%s\r\nX-Told: %s\r\n"
        )
        return whole(head % (quoted(draw()), draw()), b"you said " + draw())

    yield whole(b"GET /find?q=%s HTTP/1.1\r\n" % quoted(draw())), answer()
    cookie = b"Cookie: token=%s\r\nX-Note: %s\r\n" % (quoted(draw()), draw())
    yield whole(b"GET / HTTP/1.1\r\n" + cookie), answer()
    body = b'{"password":"%s","note":"%s"}' % (draw(), draw())
    yield whole(b"POST /json HTTP/1.1\r\n" + JSON_TYPE, body), answer()
    form = b"secret=%s&comment=%s" % (quoted(draw()), quoted(draw()))
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    yield whole(b"POST /form HTTP/1.1\r\n" + kind, form), answer()
    zipped = gzip.compress(b"dear all, " + draw())
    coded = b"Content-Encoding: gzip\r\nContent-Type: text/plain\r\n"
    yield whole(b"POST /zip HTTP/1.1\r\n" + coded, zipped), answer()
    chunk = b"note: " + draw()
    chunked = b"Transfer-Encoding: chunked\r\n"
    yield (
        whole(b"POST /chunks HTTP/1.1\r\n" + chunked)
        + b"%x\r\n%s\r\n0\r\nX-After: %s\r\n\r\n" % (len(chunk), chunk, draw()),
        answer(),
    )  # fmt: skip
    if name not in UNFIT:
        yield whole(b"GET /users/%s/orders HTTP/1.1\r\n" % quoted(draw())), answer()
        yield b"GET /%s\r\n" % draw(), b"plain " + draw()
        yield b"G(T /%s HTTP/1.1\r\nHost: a\r\nno colon %s\r\n\r\n" % (draw(), draw()), b""


def record(path: Path) -> list[bytes]:
    """Write the capture; the secrets that are in it."""
    maker, planted = Maker(random.SystemRandom().randrange(1 << 30)), []

    def plant(name: str) -> Secret:
        secret = maker.all()[name]
        planted.append(secret.secret)
        return secret

    frames, at, number = [], START_NS, 0
    what = Conversations(connections=1)
    for turn, name in enumerate(maker.all()):
        for request, response in itertools.islice(requests(plant, name), turn % 3, None, 3):
            number += 1
            talker = Talker(number, random.Random(1))
            packets = [*talker.open(), *talker.say(True, request)]
            packets += talker.say(False, response) if response else []
            for packet in [*packets, *talker.close()]:
                frames.append(pcap_record(at, frame_of(what, number, packet)))
                at += 40_000
            at += 2_000_000
    path.write_bytes(pcap_head() + b"".join(frames))
    return planted


def spellings(secret: bytes) -> set[bytes]:
    """The secret as it may be spelt where it is shown."""
    text = secret.decode("latin-1")
    shifted = (base64.b64encode(b"\0" * n + secret)[(0, 2, 3)[n] : -4] for n in range(3))
    found = {
        secret, quoted(secret), secret.hex().encode(), text.encode("utf-16-le"),
        json.dumps(text)[1:-1].encode(), json.dumps(json.dumps(text))[3:-3].encode(),
        *(each for each in shifted if len(each) > 10),
    }  # fmt: skip
    return {each for each in found if len(each) > 5}


def inside(path: Path) -> Iterator[bytes]:
    """What a file holds: as it is, and of a tape or a run all its texts and payloads."""
    yield path.read_bytes()
    if path.suffix != ".tape":
        return
    with Tape.open(path) as tape:
        yield json.dumps([tape.ledger.as_dict(), tape.summary]).encode()
        yield repr(tape.header).encode()
        chosen = [column.name for column in EXCHANGES if column.dtype == "text"]
        for block in (*tape.columns(chosen), *tape.connections(["server"])):
            for column in block.values():
                assert isinstance(column, Text)
                yield "\n".join(column.values).encode("utf-8", "surrogateescape")
        for payload in tape.payloads(np.arange(tape.exchange_count)):
            yield payload.request
            yield payload.response


def commands(url: str) -> list[list[str]]:
    """Every command over the tape `x.tape`, the encrypted `sealed.tape` and the run `run.tape`."""
    replayed = ["--target", url, "--speed", "50", "--host", "keep", "--timeout", "2s"]
    lines = [
        "tape info x.tape", "tape info x.tape --json", "tape verify x.tape", "tape cat x.tape",
        "tape cat sealed.tape", "tape cut x.tape --from 1s -o cut.tape",
        "tape merge cut.tape x.tape -o merged.tape",
        "tape filter sealed.tape --only POST* -o posts.tape",
        "sanitize audit x.tape --json", "shapes x.tape", "shapes x.tape --json",
        "shapes x.tape --html shape.html", "shapes save x.tape -o x.shape",
        "shapes compare x.shape cut.tape", "shapes synth x.shape -o made.tape --for 2s",
        "plan x.tape", "plan x.tape --json", "plan x.tape --html plan.html --scale 2",
        "report run.tape --tape x.tape --html report.html",
        "report run.tape --tape x.tape --markdown report.md",
        "report run.tape --tape x.tape --json",
        "report run.tape --tape x.tape --junit report.xml --fail-if p99(*)<1us",
        "compare x.tape run.tape", "compare x.tape run.tape --json", f"drift {url} {url}",
    ]  # fmt: skip
    first = ["replay", "x.tape", "-o", "run.tape", "--hgrm", "times", "--responses", "body"]
    second = ["replay", "sealed.tape", "-o", "second.tape", "--json"]
    return [[*first, *replayed], [*second, *replayed], *(line.split() for line in lines)]


def test_no_command_shows_or_writes_what_was_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    secrets = record(tmp_path / "x.pcap")
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(str(key))
    monkeypatch.setenv(IDENTITY_VARIABLE, str(tmp_path / "identity"))
    heard: dict[str, bytes] = {}

    def run(*words: str) -> int:
        command = [sys.executable, "-m", "wiretape", *words]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        heard[" ".join(words)] = done.stdout + done.stderr
        assert b"Traceback" not in done.stderr, done.stderr
        return done.returncode

    keeping = ["--responses", "body", "--log-format", "json"]
    assert run("capture", "pcap", "../x.pcap", "-o", "x.tape", *keeping) == 0
    sealed = ["--encrypt-to", str(key.to_public())]
    assert run("capture", "pcap", "../x.pcap", "-o", "sealed.tape", *sealed) == 0
    with recorder(answering()) as target:
        codes = {" ".join(words): run(*words) for words in commands(target.url)}
    wrong = {words: heard[words] for words, code in codes.items() if code == 2}
    assert not wrong
    assert codes["sanitize audit x.tape --json"] == 0, heard["sanitize audit x.tape --json"]

    for path in folder.rglob("*"):
        if path.is_file():
            heard[path.name] = b"\n".join(inside(path))
    assert {"report.html", "plan.html", "shape.html", "x.shape", "report.xml"} <= set(heard)
    seeks = seeker({spelt for secret in secrets for spelt in spellings(secret)})
    assert seeks(b"..." + secrets[0] + b"...")
    shown = {where: found for where, what in heard.items() if (found := seeks(what))}
    assert not shown


def seeker(spelt: set[bytes]) -> Callable[[bytes], list[bytes]]:
    """What finds which of many texts stand in another, in one pass."""
    texts = sorted(spelt)
    database = hyperscan.Database()
    database.compile(
        expressions=[b"".join(b"\\x%02x" % byte for byte in each) for each in texts],
        ids=list(range(len(texts))),
        elements=len(texts),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL] * len(texts),
    )

    def seek(what: bytes) -> list[bytes]:
        found: list[bytes] = []
        database.scan(what, lambda number, *_: found.append(texts[number]))
        return found

    return seek
