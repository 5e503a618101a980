"""The classes of defects agree with the verdicts of other projects' corpora, but for a table.

`accepted` there is `valid` here; what is refused there is `ambiguous` or `fatal` here, or cut off.
The projects contradict each other on a few classes: those are `ambiguous` here and count, for each,
as it takes them. Cases that say nothing about framing are left out, each for a reason; every other
difference stands in a table with the reason why it is right. A difference that is gone fails, too.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from capture.defects import HARMLESS, Defect, verdict
from capture.exchange import Close
from tests.capture.conversations import Turn, byte_by_byte, client, converse, server

CORPUS = Path(
    os.environ.get("WIRETAPE_CORPUS", Path(__file__).parents[2] / ".." / "shared" / "corpus")
)
MALFORMED = CORPUS / "malformed"
needs_corpus = pytest.mark.skipif(not MALFORMED.is_dir(), reason="the corpus is absent")
AGREEMENT = 0.98


class Sample(NamedTuple):
    """A message with what another project makes of it."""

    name: str
    raw: bytes
    accepted: bool
    tolerable: bool = False  # refused by strict parsers only
    unfinished: bool = False  # refused because it has no end
    beside: str = ""  # why it says nothing about framing


OTHER_PROTOCOL = "another protocol that llhttp reads too, and capture recognises as none of HTTP/1"
ACCEPTED = {
    "llhttp": Defect.CONTENT_UNEXPECTED,
    "gunicorn": Defect.AFTER_CLOSE | Defect.CONTENT_UNEXPECTED | Defect.TARGET_8BIT,
    "http-desync-guardian": Defect.TARGET_8BIT,
}
"""What a project accepts that another refuses: `ambiguous` here, since parsers disagree on it."""
KNOWN = {
    "llhttp": dict.fromkeys(
        ("invalid:69", "invalid:359"),
        "RFC 9110 16.1: methods are open; llhttp knows a list of them",
    ),
    "gunicorn": {
        "valid/009": "RFC 9112 6.3: a request whose last coding is not chunked has no length; "
        "gunicorn takes the identity of RFC 2616 for none",
        "valid/040": "gunicorn drops Content_Length, servers behind it may not: a look-alike",
    },
    "http-desync-guardian": {
        "more-compliant-tests: TE with custom parameters OK": "RFC 9112 7: chunked has no "
        "parameters; nginx and llhttp refuse it, so parsers disagree on the length",
        "rfc-compliant: Transfer-Encoding with a param: chunked;custom_param": "the same",
    },
}


def llhttp() -> Iterator[Sample]:
    """Requests of llhttp's tests. What only a lenient mode accepts, strict parsers refuse."""
    for line in (MALFORMED / "llhttp_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        kind = case["type"] or ""
        if not kind.startswith("request"):
            continue
        accepted = case["verdict"] in ("ok", "pause")
        beside = ""
        if "lenient" in kind and accepted:
            beside = "a lenient mode, switched on, accepts what it would refuse"
        elif re.search(rb" (ICE|RTSP)/|^PRI ", base64.b64decode(case["raw_b64"])):
            beside = OTHER_PROTOCOL
        name = f"{Path(case['file']).stem}:{case['line']}"
        yield Sample(name, base64.b64decode(case["raw_b64"]), accepted, beside=beside)


def gunicorn() -> Iterator[Sample]:
    """Requests of gunicorn's tests."""
    for line in (MALFORMED / "gunicorn_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        path = Path(case["file"])
        beside = ""
        if case["cfg"]:
            beside = "a setting decides: " + ", ".join(case["cfg"])
        elif str(case["expected_exception"]).startswith("Limit"):
            beside = "a limit of gunicorn on the size of lines or the number of headers"
        elif path.stem == "003c":
            beside = "a setting decides: methods of three letters are accepted where it says so"
        yield Sample(
            f"{path.parent.name}/{path.stem}",
            base64.b64decode(case["raw_b64"]),
            case["label"] == "valid",
            unfinished=case["expected_exception"] in ("NoMoreData", "ChunkMissingTerminator"),
            beside=beside,
        )


def desync_guardian() -> Iterator[Sample]:
    """Parsed requests of http-desync-guardian, written as they would have come."""
    for path in sorted((MALFORMED / "http-desync-guardian").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()) or []:
            tier, beside = case["expected"]["tier"], ""
            if not case["uri"] or not case["version"]:
                beside = "given in parts that no request line can be put together from"
            yield Sample(
                f"{path.stem}: {case['name']}",
                _on_the_wire(case),
                tier in ("Compliant", "Acceptable"),
                tolerable=tier == "Acceptable",
                beside=beside,
            )


def _on_the_wire(case: dict[str, Any]) -> bytes:
    line = " ".join(str(case[part] or "") for part in ("method", "uri", "version"))
    headers = "".join(
        f"{header['name']}:{'' if header['value'] is None else header['value']}\r\n"
        for header in case.get("headers") or []
    )
    return f"{line}\r\n{headers}\r\n".encode()


READERS = {"llhttp": llhttp, "gunicorn": gunicorn, "http-desync-guardian": desync_guardian}


def defects_of(raw: bytes) -> int:
    defects = 0
    for exchange in converse([client(raw)], close=Close.FIN_CLIENT):
        defects |= exchange.defects
    return defects


def ours(sample: Sample) -> int:
    """The defects that we find, less an end that is missing for another reason.

    Many samples end where their parser gave up: that they end is not what is wrong with them.
    """
    defects = defects_of(sample.raw)
    if defects & Defect.CUT and not (sample.accepted or sample.unfinished):
        return defects_of(sample.raw.rstrip(b"\r\n") + b"\r\n\r\n") & ~Defect.CUT
    return defects


def agrees(corpus: str, sample: Sample) -> bool:
    defects = ours(sample)
    if sample.unfinished and defects & Defect.CUT:
        return True
    found = verdict(defects & ~ACCEPTED[corpus])
    if sample.tolerable:
        return found != "fatal"
    return (found == "valid") == sample.accepted


def samples(corpus: str) -> list[Sample]:
    return [sample for sample in READERS[corpus]() if not sample.beside]


@needs_corpus
@pytest.mark.parametrize("corpus", READERS)
def test_the_classes_agree_with_the_verdicts_but_for_the_known_differences(corpus: str) -> None:
    judged = samples(corpus)
    different = {sample.name for sample in judged if not agrees(corpus, sample)}
    assert different == set(KNOWN[corpus])
    assert len(different) <= (1 - AGREEMENT) * len(judged)
    print(f"{corpus}: {len(judged) - len(different)} of {len(judged)} agree")


@needs_corpus
@pytest.mark.parametrize("corpus", READERS)
def test_what_one_project_accepts_of_the_ambiguous_another_refuses(corpus: str) -> None:
    for each in ACCEPTED[corpus]:
        accepting = [s for s in samples(corpus) if s.accepted and ours(s) & each]
        assert accepting, f"{corpus} accepts no {each.name}: it has no place in the table"
        refusing = [
            sample.name
            for other in READERS
            if other != corpus and not ACCEPTED[other] & each
            for sample in samples(other)
            if not sample.accepted and ours(sample) & ~int(HARMLESS) == each
        ]
        assert refusing, f"no project refuses {each.name}"


@needs_corpus
@pytest.mark.parametrize("corpus", READERS)
def test_samples_come_out_the_same_whole_and_byte_by_byte(corpus: str) -> None:
    for sample in READERS[corpus]():
        script = [client(sample.raw)]
        whole = converse(script, close=Close.FIN_CLIENT)
        parts = converse(script, byte_by_byte, Close.FIN_CLIENT)
        seen = [[(e.request, e.defects, e.kind, e.ended) for e in out] for out in (whole, parts)]
        assert seen[0] == seen[1], sample.name


@needs_corpus
def test_responses_of_llhttp_raise_nothing_whole_or_byte_by_byte() -> None:
    for line in (MALFORMED / "llhttp_cases.jsonl").read_text().splitlines():
        raw = base64.b64decode(json.loads(line)["raw_b64"])
        for split in (lambda data: [data], byte_by_byte):
            converse([client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), server(raw)], split)


def transcript(text: bytes) -> list[Turn]:
    """A transcript of libhtp: a line `>>>` begins what the client says, `<<<` the server."""
    parts = re.split(rb"(?:^|\r?\n)(>>>|<<<)\r?\n", text)
    speaks = {b">>>": client, b"<<<": server}
    return [speaks[who](said) for who, said in zip(parts[1::2], parts[2::2], strict=True)]


@needs_corpus
def test_transcripts_of_libhtp_lose_no_byte() -> None:
    paths = sorted((MALFORMED / "libhtp").iterdir())
    told = 0
    for path in paths:
        script = transcript(path.read_bytes())
        if not script:
            continue  # an empty file and the programs that ran them
        for close in (Close.FIN_CLIENT, Close.FIN_SERVER, Close.RST_SERVER):
            out = converse(script, close=close)
            assert out, path.name
        converse(script, byte_by_byte)
        told += 1
    assert told > 90
