"""The parts of a report: requests to repeat, moments, concurrency, history, what was not shown."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import ReplayError
from capture.exchange import Outcome
from capture.ledger import Ledger
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.verdict.concurrency import concurrency_of
from replay.verdict.examples import curl_of, example_of, failures_of
from replay.verdict.history import Past, changes, keep, past_of, read_history
from replay.verdict.judge import Finding, judge
from replay.verdict.moments import moments_of
from replay.verdict.not_validated import not_validated
from replay.verdict.queueing import in_flight_at_send, same_wait_ns
from replay.verdict.report import as_html, as_markdown, report_of
from replay.verdict.report_cli import report
from tests.replay.runs import rows_of, run, run_columns
from tests.replay.verdict.kept import write_run

POST = (
    b"POST /pay?a=1 HTTP/1.1\r\nHost: shop\r\nX-Odd: it's\r\nContent-Type: application/json\r\n"
    b'Content-Length: 9\r\n\r\n{"a":"b"}'
)


def words_of(line: str, body: bytes = b"") -> tuple[list[str], bytes]:
    """What a shell makes of the line: curl's arguments, and what it is given to send."""
    script = "curl() { printf '%s\\n' \"$@\"; cat; }; TARGET=http://t; " + line
    done = subprocess.run(["bash", "-c", script], input=body, capture_output=True, check=True)
    words, _, sent = done.stdout.rpartition(b"\n")
    return words.decode().split("\n"), sent


def test_a_curl_line_carries_headers_and_body_through_a_real_shell() -> None:
    words, _ = words_of(curl_of(POST))
    assert words == ["--path-as-is", "-X", "POST", "-H", "X-Odd: it's",
                     "-H", "Content-Type: application/json", "--data-binary", '{"a":"b"}',
                     "http://t/pay?a=1"]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_any_body_arrives_as_it_was(body: bytes) -> None:
    head = b"PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    line = curl_of(head + body)
    if "base64" in line:
        encoded = shlex.split(line)[2]
        done = subprocess.run(["base64", "-d"], input=encoded.encode(), capture_output=True)
        assert done.stdout == body
    else:
        assert shlex.split(line)[5] == body.decode()


def test_a_chunked_body_is_sent_without_its_chunks_and_a_large_one_is_only_counted() -> None:
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert "--data-binary abc" in curl_of(chunked)
    assert "a body of 9,000 bytes" in curl_of(b"POST / HTTP/1.1\r\n\r\n" + b"x" * 9000)


def test_a_request_that_no_client_would_send_goes_as_its_bytes() -> None:
    assert curl_of(b"GET  / HTTP/1.1\r\n\r\n").endswith('| nc "$HOST" "$PORT"')


def test_failures_are_counted_by_endpoint_and_way_with_an_example_of_the_tape(
    tmp_path: Path,
) -> None:
    path = write_run(tmp_path / "t.tape", requests=[POST] * 300, count=300)
    columns = run_columns(count=300)
    columns["status"] = np.where(np.arange(300) < 30, 503, 200)
    columns["outcome"] = np.where(np.arange(300) >= 290, int(Outcome.RESET), 1)
    with Tape.open(path) as tape:
        told = failures_of(rows_of(columns), tape)
        lone = example_of(rows_of(columns), 3, None)
    assert {failure.what for failure in told} == {"answered 503", "reset"}
    assert sum(failure.count for failure in told) == 40
    assert all("X-Odd" in failure.example.curl for failure in told)
    assert lone.curl.startswith("curl --path-as-is -X GET")


def test_bursts_slow_stretches_aborts_and_findings_are_moments_in_order() -> None:
    columns = run_columns(count=4000)
    due = columns["due_ns"]
    start, burst = int(due[0]), int(due[2000])
    due[2000:2400] = burst
    for name in ("request_first_ns", "response_last_ns"):
        columns[name] = columns[name] - run_columns(count=4000)["due_ns"] + due
    columns["response_last_ns"][3000:3040] += 900_000_000
    columns["outcome"][3990:] = int(Outcome.UNSENT)
    rows = rows_of(columns)
    told = moments_of(rows, (Finding("slow", "x", "x broke", 1, (3001,)),))
    assert {moment.kind for moment in told} == {"burst", "slow", "abort", "finding"}
    assert [moment.at_s for moment in told] == sorted(moment.at_s for moment in told)
    (first,) = [moment for moment in told if moment.kind == "burst"][:1]
    assert first.at_s == pytest.approx((burst - start) / 1e9, abs=0.2)


def test_littles_law_is_told_and_a_full_pool_is_where_throughput_stays() -> None:
    free, full = run(count=4000), run(count=4000, pool=1)
    load = concurrency_of(free, in_flight_at_send(free))
    assert load is not None
    assert load.mean == pytest.approx(load.rate * load.service_ms / 1000)
    assert load.flat_from == 0
    told = concurrency_of(full, in_flight_at_send(full))
    assert told is not None
    assert told.flat_from > 0
    assert 90 < told.flat_rate < 140
    assert "is all there is" in told.sentence


def test_what_is_added_to_each_alike_is_a_wait_and_what_varies_is_not() -> None:
    columns = run_columns(count=600)
    recorded = columns["recorded_service_ns"]
    for added, same in ((400, True), (np.linspace(300, 500, 600), False)):
        extra = (np.full(600, 1) * added * 1_000_000).astype(np.int64)
        columns["response_last_ns"] = columns["request_first_ns"] + recorded + extra
        rows = rows_of(columns)
        waited = same_wait_ns(rows, rows.of("GET /search"), recorded, in_flight_at_send(rows))
        assert np.isfinite(waited) == same


def history_of(values: list[float]) -> list[Past]:
    return [Past(f"run {n}", n, "PASS", {"p99(GET /)": value}) for n, value in enumerate(values)]


def test_a_series_that_changed_is_told_with_the_run_it_changed_in() -> None:
    rng = np.random.default_rng(5)
    values = [*(12 * rng.lognormal(0, 0.03, 8)), *(24 * rng.lognormal(0, 0.03, 4))]
    (change,) = changes(history_of(values))
    assert (change.series, change.run) == ("p99(GET /)", "run 8")
    assert "from run 8 on" in change.sentence
    assert [each.run for each in changes(history_of([5.0] * 6 + [9.0] * 6))] == ["run 6"]


def test_histories_that_only_have_noise_change_nowhere() -> None:
    rng = np.random.default_rng(6)
    told = [changes(history_of(list(12 * rng.lognormal(0, 0.05, 20)))) for _ in range(200)]
    assert sum(map(bool, told)) <= 2


def test_the_same_run_is_kept_once_and_a_strange_file_is_refused(tmp_path: Path) -> None:
    past = past_of("a.tape", run(), judge(run()))
    keep(tmp_path / "h", "1", past)
    keep(tmp_path / "h", "1", past)
    assert read_history(tmp_path / "h").runs == (past,)
    (tmp_path / "h" / "x.json").write_text("{}")
    with pytest.raises(ReplayError, match=r"x\.json"):
        read_history(tmp_path / "h")


def test_what_could_not_be_shown_names_sampling_caches_losses_and_what_was_not_reached() -> None:
    columns = run_columns(count=400)
    columns["outcome"][:3] = int(Outcome.NO_RESOURCES)
    columns["recorded_status"][:5] = 0
    ledger = Ledger()
    ledger.book("packets", "carried nothing (acknowledgements)", 9)
    ledger.book("exchanges", "filtered", 4)
    rows = rows_of(columns)
    text = "\n".join(not_validated(rows, judge(rows), ledger, 0.1))
    for part in ("Data volume", "Third parties", "Caches:", "3 requests found no descriptor",
                 "10% of the connections", "4 exchanges filtered", "5 requests have no recorded",
                 "sanitized away", "no digests"):  # fmt: skip
        assert part in text
    assert "acknowledgements" not in text


def test_markdown_cannot_be_broken_by_a_request() -> None:
    columns = run_columns(count=300, slow=100)
    columns["endpoint"] = ["GET /a|b`c\n<script>"] * 300
    text = as_markdown(report_of("run.tape", rows_of(columns)))
    assert "<script>" not in text.replace(r"`` GET /a\|b`c <script> ``", "")
    assert all(line.count("|") - line.count("\\|") in (0, 6, 5) for line in text.split("\n"))


def test_a_report_of_the_tape_shows_headers_history_and_drift(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: %s\r\n\r\n"
    tape = write_run(tmp_path / "t.tape", lambda _: (head % b"a/1", b""), [POST] * 200, count=200)
    with Tape.open(tape) as opened:
        source = opened.header.tape_id
    ran = write_run(tmp_path / "r.tape", lambda _: (head % b"b/2", b""), count=200, slow=100)
    page = tmp_path / "r.html"
    arguments = [str(ran), "--tape", str(tape), "--history", str(tmp_path / "h"), "--json",
                 "--html", str(page)]  # fmt: skip
    assert source
    done = CliRunner().invoke(report, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["drift"]["differences"][0]["name"] == "Server"
    assert {finding["kind"] for finding in told["findings"]} == {"slow", "drift"}
    assert "X-Odd" in told["findings"][0]["examples"][0]["curl"]
    assert len(told["history"]["runs"]) == 1
    assert "is set up differently" in page.read_text()


def test_a_page_shows_what_json_tells() -> None:
    rows = replace(run(slow=100), tape_id="x")
    made = report_of("run.tape", rows)
    page = as_html(made)
    for part in ("Timeline", "Concurrency", "Fidelity in full", "Ledger", "could not validate"):
        assert part in page
    assert made.load is not None
    assert made.load.sentence in page.replace("&#39;", "'")


def test_another_tape_than_the_one_that_was_replayed_is_refused(tmp_path: Path) -> None:
    ran = tmp_path / "r.tape"
    writer = TapeWriter(ran, TapeHeader(kind="run", source="another"))
    writer.append_rows(run_columns(count=30))
    writer.close()
    other = write_run(tmp_path / "t.tape", count=30)
    done = CliRunner().invoke(report, [str(ran), "--tape", str(other)])
    assert isinstance(done.exception, ReplayError)
    assert "is not the tape that" in str(done.exception)


def test_what_is_no_drift_is_refused_in_one_sentence(tmp_path: Path) -> None:
    ran = write_run(tmp_path / "r.tape", count=30)
    (tmp_path / "d.json").write_text("[]")
    done = CliRunner().invoke(report, [str(ran), "--drift", str(tmp_path / "d.json")])
    assert isinstance(done.exception, ReplayError)
    assert "wiretape drift --json" in str(done.exception)
