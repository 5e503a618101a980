"""Trace context: what the target sees of it, and what stays of the request."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from capture.tape import Tape
from replay.observe.trace import TraceParents
from replay.options import ReplayOptions
from replay.rewrite import Rewriter
from replay.run import replay
from tests.replay.recorder import recorder, write_tape

FORM = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-01")
TRACED = ReplayOptions(trace=True, host="keep")
BODY = b"tracestate: this is a body\r\n\r\n"


def test_each_request_is_a_trace_of_its_own_of_the_run(tmp_path: Path) -> None:
    raw = b"GET /%d HTTP/1.1\r\nHost: a\r\nTraceparent: 00-old\r\nTraceState: x=1\r\n\r\n"
    tape = write_tape(tmp_path / "t.tape", [(0, n * 20, raw % n) for n in range(5)])
    with recorder() as target:
        options = ReplayOptions(
            target=(target.url,), trace=True, run_id_header="X-Wiretape-Run", no_calibrate=True
        )
        summary = replay(tape, options, tmp_path / "run.tape")
    received = b"".join(piece for pieces in target.received for piece in pieces)
    with Tape.open(tmp_path / "run.tape") as run:
        run_id = run.header.tape_id
    found = FORM.findall(received)
    assert len(found) == len(set(found)) == 5
    assert all(trace.startswith(run_id.encode()) for trace, _ in found)
    assert received.lower().count(b"traceparent") == 5
    assert b"tracestate" not in received.lower()
    assert received.count(b"X-Wiretape-Run: " + run_id.encode()) == 5
    assert summary.rewritten["trace"] == summary.rewritten["run-id-header"] == 5


def test_without_trace_not_a_byte_is_added() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-kept\r\n\r\n"
    assert Rewriter(ReplayOptions(host="keep"))(raw, len(raw), "t") == raw


@given(st.lists(st.sampled_from([b"A: 1", b"tracestate: a=b", b"TRACEPARENT: x", b"Trace: y"])))
def test_all_else_stays_as_it_was_in_order(lines: list[bytes]) -> None:
    head = b"\r\n".join([b"POST /x HTTP/1.1", *lines]) + b"\r\n\r\n"
    sent = Rewriter(TRACED)(head + BODY, len(head), "t")
    assert sent is not None
    first, traced, *rest = sent[: -len(BODY)].split(b"\r\n")
    assert sent.endswith(BODY)
    assert first == b"POST /x HTTP/1.1"
    assert FORM.fullmatch(traced.removeprefix(b"traceparent: "))
    assert rest == [line for line in lines if line in (b"A: 1", b"Trace: y")] + [b"", b""]


def test_what_is_no_http_is_left_alone() -> None:
    assert Rewriter(TRACED)(b"\x16\x03\x01 not http", 0, "t") == b"\x16\x03\x01 not http"


def test_a_run_without_an_id_of_that_form_has_a_prefix_of_its_own() -> None:
    assert TraceParents("")().startswith(b"00-")
    assert TraceParents("").prefix != TraceParents("").prefix
    assert TraceParents("0123456789abcdef").prefix == b"0123456789abcdef"
