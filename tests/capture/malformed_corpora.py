"""Malformed messages of other projects' test suites, with what each project makes of them.

Cases that say nothing about framing are left out, each for a reason.
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

from capture.defects import Defect
from capture.exchange import Close
from tests.capture.conversations import client, converse

CORPUS = Path(
    os.environ.get("WIRETAPE_CORPUS", Path(__file__).parents[2] / ".." / "shared" / "corpus")
)
MALFORMED = CORPUS / "malformed"
needs_corpus = pytest.mark.skipif(not MALFORMED.is_dir(), reason="the corpus is absent")


class Sample(NamedTuple):
    """A message with what another project makes of it."""

    name: str
    raw: bytes
    accepted: bool
    tier: str = ""  # as http-desync-guardian has them
    unfinished: bool = False  # refused because it has no end
    beside: str = ""  # why it says nothing about framing


LENIENT = "a lenient mode, switched on, accepts what it would refuse"
OTHER_PROTOCOL = "another protocol that llhttp reads too, and capture recognises as none of HTTP/1"


def llhttp_messages() -> Iterator[dict[str, Any]]:
    for line in (MALFORMED / "llhttp_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        yield {**case, "raw": base64.b64decode(case["raw_b64"])}


def llhttp() -> Iterator[Sample]:
    """Requests of llhttp's tests. What only a lenient mode accepts, strict parsers refuse."""
    for case in llhttp_messages():
        kind, raw = case["type"] or "", case["raw"]
        if not kind.startswith("request"):
            continue
        accepted = case["verdict"] in ("ok", "pause")
        beside = ""
        if "lenient" in kind and accepted:
            beside = LENIENT
        elif accepted and re.search(rb" (ICE|RTSP)/|^PRI ", raw):
            beside = OTHER_PROTOCOL
        yield Sample(f"{Path(case['file']).stem}:{case['line']}", raw, accepted, beside=beside)


def gunicorn() -> Iterator[Sample]:
    """Requests of gunicorn's tests."""
    for line in (MALFORMED / "gunicorn_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        path = Path(case["file"])
        beside = ""
        if path.stem == "pp_03" and case["label"] == "valid":
            pass  # allows the PROXY protocol, but speaks plain HTTP
        elif case["cfg"]:
            beside = "a setting decides: " + ", ".join(case["cfg"])
        elif str(case["expected_exception"]).startswith("Limit"):
            beside = "a limit of gunicorn on the size of lines or the number of headers"
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
            if not case["uri"]:
                beside = "given in parts: no request line holds an empty target"
            elif not case["version"] and case["method"] == "GET":
                beside = "given in parts: a request of HTTP/0.9 ends before its headers"
            accepted = tier in ("Compliant", "Acceptable")
            name = f"{path.stem}: {case['name']}"
            yield Sample(name, _on_the_wire(case), accepted, tier, beside=beside)


def _on_the_wire(case: dict[str, Any]) -> bytes:
    line = " ".join(str(case[part]) for part in ("method", "uri", "version") if case[part])
    headers = "".join(
        f"{header['name']}:{'' if header['value'] is None else header['value']}\r\n"
        for header in case.get("headers") or []
    )
    return f"{line}\r\n{headers}\r\n".encode()


READERS = {"llhttp": llhttp, "gunicorn": gunicorn, "http-desync-guardian": desync_guardian}


def samples(corpus: str) -> list[Sample]:
    return [sample for sample in READERS[corpus]() if not sample.beside]


def defects_of(raw: bytes) -> int:
    defects = 0
    for exchange in converse([client(raw)], close=Close.FIN_CLIENT):
        defects |= exchange.defects
    return defects


def completed(raw: bytes) -> int:
    """The defects of a message whose head, at least, has its end."""
    return defects_of(raw.rstrip(b"\r\n") + b"\r\n\r\n") & ~Defect.CUT


def ours(sample: Sample) -> int:
    """The defects that we find, less an end that is missing for another reason.

    Many samples end where their parser gave up: that they end is not what is wrong with them.
    """
    defects = defects_of(sample.raw)
    if defects & Defect.CUT and not (sample.accepted or sample.unfinished):
        return completed(sample.raw)
    return defects
