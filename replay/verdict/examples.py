"""Requests of a run as a reader can repeat them: a `curl` line with the tape's headers and body.

What is shown is what the tape holds, so it is sanitized. A body that is no text goes through
base64; a request that no client would send goes as its bytes, through nc. `$TARGET` is the reader's
to set.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capture.exchange import Kind, Outcome
from capture.tape import Tape

from .bodies import unchunked
from .judge import Finding, human
from .rows import Rows

MOST = 6_000  # bytes of a request in a line: what is longer is not shown
OWN = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"))


@dataclass(frozen=True)
class Example:
    """One row of a run: what was asked, what came, and how to ask it again."""

    exchange: int  # its number on the tape
    endpoint: str
    status: str  # recorded → replayed
    took: str
    curl: str


@dataclass(frozen=True)
class Failure:
    """One way in which an endpoint failed, and how often that was recorded."""

    endpoint: str
    what: str
    count: int
    recorded: int
    example: Example


def example_of(rows: Rows, place: int, tape: Tape | None) -> Example:
    """The example that one row makes; without the tape only method and target are known."""
    source = int(rows["source"][place])
    request = b""
    if tape is not None and 0 <= source < tape.exchange_count:
        request = tape.payload(source).request
    endpoint = rows.endpoints[rows.endpoint[place]]
    if not request:
        line = _curl(endpoint.partition(" ")[0], rows.targets[rows.target[place]])
    elif int(rows["kind"][place]) != Kind.HTTP1:
        line = _bytes(request)
    else:
        line = curl_of(request)
    status = f"{rows['recorded_status'][place] or '–'} → {rows['status'][place] or '–'}"
    took = human(float(rows.service_ns[place]) / 1e6) if rows.service_ns[place] >= 0 else "–"
    return Example(source if source >= 0 else place, endpoint, status, took, line)


def _curl(method: str, target: str, *more: str) -> str:
    words = ["curl --path-as-is", f"-X {shlex.quote(method)}", *more]
    path = target if target.startswith("/") else f"/{target}"
    return f'{" ".join(words)} "$TARGET"{shlex.quote(path)}'


def curl_of(request: bytes) -> str:
    """The line that sends this request again."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or not all(line.isascii() for line in (first, *lines)):
        return _bytes(request)
    fields = [line.partition(b":") for line in lines]
    chunked = any(name.strip().lower() == b"transfer-encoding" for name, _, _ in fields)
    whole = unchunked(body) if chunked else body
    more = [
        f"-H {shlex.quote(f'{name.decode()}: {value.strip().decode()}')}"
        for name, _, value in fields
        if name.strip().lower() not in OWN
    ]
    method, target = parts[0].decode(), parts[1].decode()
    if not whole:
        return _curl(method, target, *more)
    if len(whole) > MOST:
        return _curl(method, target, *more) + f"  # and a body of {len(whole):,} bytes"
    try:
        text = whole.decode()
    except UnicodeDecodeError:
        text = "\0"
    if text.replace("\n", "").replace("\t", "").isprintable() and not text.startswith("@"):
        return _curl(method, target, *more, f"--data-binary {shlex.quote(text)}")
    return f"{_decoded(whole)} | {_curl(method, target, *more, '--data-binary @-')}"


def _decoded(data: bytes) -> str:
    return f"printf %s {base64.b64encode(data).decode()} | base64 -d"


def _bytes(request: bytes) -> str:
    if len(request) > MOST:
        return f"# {len(request):,} bytes that no client would send; the tape holds them"
    return f'{_decoded(request)} | nc "$HOST" "$PORT"'


def examples_of(
    rows: Rows, findings: tuple[Finding, ...], tape: Tape | None
) -> dict[Finding, tuple[Example, ...]]:
    """The examples of each finding."""
    return {
        finding: tuple(example_of(rows, place, tape) for place in finding.rows)
        for finding in findings
    }


def failures_of(rows: Rows, tape: Tape | None, most: int = 20) -> tuple[Failure, ...]:
    """Every way in which endpoints failed, commonest first."""
    failed = np.flatnonzero(rows.failed)
    whats: Mapping[int, str] = {
        **{int(code): f"answered {code}" for code in np.unique(rows["status"]).tolist()},
        **{-int(code): code.words for code in Outcome},
    }
    answered = np.isin(rows["outcome"], (Outcome.ANSWERED, Outcome.NONE))
    codes = np.where(answered, rows["status"].astype(np.int64), -rows["outcome"].astype(np.int64))
    words = rows.endpoint[failed].astype(np.int64) * 2000 + codes[failed] + 1000
    values, first, counts = np.unique(words, return_index=True, return_counts=True)
    found = []
    for each in np.argsort(-counts, kind="stable")[:most].tolist():
        value, place = int(values[each]), int(failed[first[each]])
        code = value % 2000 - 1000
        before = (rows["recorded_status"] == code) & (rows.endpoint == value // 2000)
        recorded = int(before.sum()) if code > 0 else 0
        example = example_of(rows, place, tape)
        found.append(Failure(example.endpoint, whats[code], int(counts[each]), recorded, example))
    return tuple(found)
