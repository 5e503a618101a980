"""The classes of defects agree with the verdicts of other projects' corpora, but for a table.

`accepted` there is `valid` here; what is refused there is `ambiguous` or worse here, or cut off.
The projects contradict each other on a few classes: those are `ambiguous` here and count, for each,
as it takes them. Every other difference stands in a table with the reason why it is right. A
difference that is gone fails, too, and so does a figure of docs/malformed.md that is not so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.defects import HARMLESS, Defect, verdict
from capture.exchange import Close
from tests.capture.conversations import Turn, byte_by_byte, client, converse, server
from tests.capture.malformed_corpora import (
    LENIENT,
    MALFORMED,
    READERS,
    Sample,
    completed,
    llhttp,
    llhttp_messages,
    needs_corpus,
    ours,
    samples,
)

DOC = Path(__file__).parents[2] / "docs" / "malformed.md"
AGREEMENT = 0.98
ACCEPTED = {
    "llhttp": Defect.CONTENT_UNEXPECTED,
    "gunicorn": Defect.AFTER_CLOSE
    | Defect.CONTENT_UNEXPECTED
    | Defect.TARGET_8BIT
    | Defect.UNKNOWN_METHOD,
    "http-desync-guardian": Defect.TARGET_8BIT,
}
"""What a project accepts that another refuses: `ambiguous` here, since parsers disagree on it."""
KNOWN: dict[str, dict[str, str]] = {
    "llhttp": {},
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


def agrees(sample: Sample, excepted: int) -> bool:
    """Whether it is accepted there as here, if `excepted` classes are no reason to refuse it."""
    defects = ours(sample)
    if sample.unfinished and defects & Defect.CUT:
        return True
    found = verdict(defects & ~excepted)
    if sample.tier == "Acceptable":
        return found in ("valid", "ambiguous")  # some refuse it
    return (found == "valid") == sample.accepted


def figure(label: str) -> list[tuple[int, int]]:
    """Counts `m of n` of docs/malformed.md in the row that begins with `label`."""
    row = re.search(rf"^\| {label} \|(.*)$", DOC.read_text(), re.M)
    assert row, label
    return [(int(m), int(n)) for m, n in re.findall(r"(\d+) of (\d+)", row[1])]


@needs_corpus
@pytest.mark.parametrize("corpus", READERS)
def test_the_classes_agree_with_the_verdicts_but_for_the_known_differences(corpus: str) -> None:
    judged = samples(corpus)
    different = {sample.name for sample in judged if not agrees(sample, ACCEPTED[corpus])}
    assert different == set(KNOWN[corpus])
    assert len(different) <= (1 - AGREEMENT) * len(judged)
    place = list(READERS).index(corpus)
    told = figure("agree, each with its own view of those four")[place]
    assert told == (len(judged) - len(different), len(judged))
    alike = sum(agrees(sample, 0) for sample in judged)
    assert figure("agree, with one view for all")[place] == (alike, len(judged))


@needs_corpus
def test_what_llhttp_accepts_leniently_is_left_out_because_strict_parsers_refuse_it() -> None:
    strict = {
        case["raw"]: case["verdict"] for case in llhttp_messages() if case["type"] == "request"
    }
    left = [sample for sample in llhttp() if sample.beside == LENIENT]
    assert left
    for sample in left:
        refused = strict.get(sample.raw) == "error"
        assert refused or verdict(completed(sample.raw)) != "valid", sample.name


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
    for case in llhttp_messages():
        for split in (lambda data: [data], byte_by_byte):
            converse([client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), server(case["raw"])], split)


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
