"""Answers that differ are told by path and kind; what differs between like runs is noise."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from replay.keeping import MOST_OF_A_BODY
from replay.verdict.bodies import Message, message_of, unchunked
from replay.verdict.compare_cli import compare
from replay.verdict.responses import Differ, Ignored, differences, form_of, unreadable
from tests.bench.bench_responses import measure
from tests.replay.verdict.kept import write_run

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


def spots(a: Any, b: Any) -> set[tuple[str, str]]:
    return {(path, kind) for path, kind, _, _ in differences(a, b)}


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"a": 1}, {"a": 2}, {("$.a", "value")}),
        ({"a": 1}, {}, {("$.a", "removed")}),
        ({}, {"a b": 1}, {('$["a b"]', "added")}),
        ({"a": 1}, {"a": "1"}, {("$.a", "type")}),
        ({"a": True}, {"a": 1}, {("$.a", "type")}),
        ({"a": [True]}, {"a": [1]}, {("$.a[*]", "type")}),
        ([1, 2], [1], {("$", "length")}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, {("$.a[*].b", "value")}),
        ({"a": 1}, {"a": 1.0}, set()),
    ],
)
def test_values_of_json_differ_by_path_and_kind(
    a: Any, b: Any, found: set[tuple[str, str]]
) -> None:
    assert spots(a, b) == found


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert spots(value, json.loads(json.dumps(value))) == set()


@given(JSON, JSON)
def test_what_json_writes_otherwise_differs(a: Any, b: Any) -> None:
    told = json.dumps(a, sort_keys=True) != json.dumps(b, sort_keys=True)
    assert bool(spots(a, b)) == told


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("$.timestamp", "$.timestamp", True),
        ("$.timestamp", "$.timestamps", False),
        ("$.a", "$.a.b[*]", True),
        ("$..id", "$.items[*].id", True),
        ("$..id", "$.id", True),
        ("$..id", "$.idx", False),
        ("$.items[*].*", "$.items[*].price", True),
        ("$.*.price", "$.a.price", True),
        ("$.*.price", "$.a.b.price", False),
        ("header Date", "header date", True),
    ],
)
def test_a_pattern_covers_its_path_and_what_is_below(
    pattern: str, path: str, covered: bool
) -> None:
    assert (path in Ignored((pattern,))) is covered


@pytest.mark.parametrize(
    "pattern", ["", "timestamp", "$..", "$.", "$[", "$.a b", "$.a[0]", "$.a[", '$["a', "header"]
)
def test_a_pattern_that_can_cover_no_path_is_a_usage_error(tmp_path: Path, pattern: str) -> None:
    for name in ("a.tape", "b.tape"):
        (tmp_path / name).touch()
    given = [str(tmp_path / "a.tape"), str(tmp_path / "b.tape"), "--ignore", pattern]
    done = CliRunner().invoke(compare, given)
    assert done.exit_code == 2
    assert "--ignore" in done.output


@pytest.mark.parametrize(
    "pattern", ["$", "$.a", "$..id", "$.items[*].*", '$["a.b"].c', '$["\\u202e"]', "Header Date"]
)
def test_a_pattern_that_can_cover_a_path_is_taken(pattern: str) -> None:
    assert unreadable(pattern) == ""


def test_nan_is_like_nan_and_a_name_that_comes_again_is_not_lost() -> None:
    def told(a: bytes, b: bytes) -> list[tuple[str, str]]:
        differ = Differ()
        differ.see("GET /", 1, Message((), a), Message((), b))
        return [(each.path, each.kind) for each in differ.render().differences]

    assert told(b'{"a": NaN, "b": 1}', b'{"a": NaN, "b": 2}') == [("$.b", "value")]
    assert told(b'{"a": NaN}', b'{"a": Infinity}') == [("$.a", "value")]
    assert told(b'{"k": 1, "k": 2, "k": 3}', b'{"k": 1, "k": 9, "k": 3}') == [
        ('$["k (no. 2)"]', "value")
    ]
    assert told(b'{"k": 1}', b'{"k": 0, "k": 1}') == [
        ("$.k", "value"), ('$["k (no. 2)"]', "added")
    ]  # fmt: skip


def message(value: Any) -> Message:
    return Message((), json.dumps(value).encode())


def test_a_path_that_differs_between_baselines_is_noise_until_its_form_changes() -> None:
    differ = Differ()
    for n in range(20):
        differ.learn("GET /", message({"id": f"{n:08x}"}), message({"id": f"{n + 99:08x}"}))
    differ.see("GET /", 1, message({"id": "0000abcd"}), message({"id": "0000abce"}))
    assert differ.render().differences == ()
    differ.see("GET /", 2, message({"id": "0000abcd"}), message({"id": "no-id"}))
    (found,) = differ.render().differences
    assert (found.path, found.kind, found.examples[0].exchange) == ("$.id", "form", 2)


def test_a_path_that_rarely_differs_in_the_baseline_and_always_now_is_no_noise() -> None:
    differ = Differ()
    for n in range(200):
        differ.learn("GET /", message({"a": 0}), message({"a": int(n == 7)}))
    for n in range(200):
        differ.see("GET /", n, message({"a": 0}), message({"a": 1}))
    assert [each.count for each in differ.render().differences] == [200]


def test_bodies_that_are_no_json_differ_where_they_part() -> None:
    differ = Differ()
    differ.see("GET /", 0, Message((), b"<p>12 items</p>"), Message((), b"<p>13 items</p>"))
    differ.see("GET /", 1, Message((), b"\0\1"), Message((), b"\0\2"))
    differ.see_digest("GET /", 2, same=False)
    assert {each.kind for each in differ.render().differences} == {"text", "bytes", "digest"}


def test_a_body_is_taken_out_of_its_chunks_and_its_coding() -> None:
    packed = gzip.compress(b'{"a":1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
    assert message_of(head + chunked, len(head)).body == b'{"a":1}'
    assert unchunked(b"nonsense") == b""


@pytest.mark.parametrize(
    ("value", "form"),
    [("", "empty"), ("12", "digits"), ("deadbeef", "hex"), ("2026-01-02T03:04:05Z", "time"),
     ("hello", "text"), (1.5, "number"), (True, "true"), ([], "list")],
)  # fmt: skip
def test_a_value_has_a_form(value: Any, form: str) -> None:
    assert form_of(value) == form


def test_of_thousands_of_pairs_every_planted_fault_is_found_and_noise_is_not_told() -> None:
    told, planted, suppressed, wrong = measure(6_000)
    found = {(each.endpoint, each.path, each.kind) for each in told.differences}
    assert planted <= found
    assert wrong <= 0.01 * suppressed


def test_compare_learns_noise_from_another_run_and_tells_what_answers_say(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: a\r\n\r\n"

    def answers(run: int, price: int) -> Any:
        return lambda n: (head, json.dumps({"at": n * 10 + run, "price": price + n}).encode())

    a = write_run(tmp_path / "a.tape", answers(1, 5), count=60)
    again = write_run(tmp_path / "again.tape", answers(2, 5), count=60, seed=2)
    b = write_run(tmp_path / "b.tape", answers(3, 6), count=60, seed=3)

    def told(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(compare, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    first = told(str(a), str(b), "--noise", str(again))
    paths = {each["path"] for each in first["responses"]["differences"]}
    assert paths == {"$.price"}
    assert first["verdict"] == "suspect"
    assert told(str(a), str(again), "--ignore", "$.at")["responses"]["differences"] == []
    text = CliRunner().invoke(compare, [str(a), str(b)]).output
    assert "$.at: value, " in text


@pytest.mark.parametrize("kept", [MOST_OF_A_BODY, 0])
def test_what_was_cut_off_a_body_differs_by_its_digest(kept: int, tmp_path: Path) -> None:
    body = json.dumps(list(range(30_000))).encode()[:kept]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    size, digests = np.full(40, 200_000), np.arange(1, 41)
    rows = {"count": 40, "answer": lambda _: (head, body), "response_bytes": size}
    a = write_run(tmp_path / "a.tape", response_digest=digests, **rows)
    b = write_run(tmp_path / "b.tape", response_digest=digests + (digests == 7), **rows)
    told = json.loads(CliRunner().invoke(compare, [str(a), str(b), "--json"]).stdout)["responses"]
    assert (told["pairs"], told["differing"]) == (40, 1)
    assert [each["kind"] for each in told["differences"]] == ["digest"]


def test_bodies_of_another_spelling_that_were_kept_whole_are_alike(tmp_path: Path) -> None:
    head, digests = b"HTTP/1.1 200 OK\r\n\r\n", np.arange(1, 41)
    bodies = (b'{"a":1}', b'{ "a": 1.0 }')
    a, b = (
        write_run(
            tmp_path / f"{name}.tape", lambda _, body=body: (head, body), count=40,
            response_digest=digests + place, response_bytes=np.full(40, len(head + body)),
        )
        for place, (name, body) in enumerate(zip("ab", bodies, strict=True))
    )  # fmt: skip
    told = json.loads(CliRunner().invoke(compare, [str(a), str(b), "--json"]).stdout)["responses"]
    assert (told["pairs"], told["differing"]) == (40, 0)


def test_digests_stand_in_for_bodies_that_were_not_kept(tmp_path: Path) -> None:
    digests = np.arange(1, 41)
    a = write_run(tmp_path / "a.tape", count=40, response_digest=digests)
    b = write_run(tmp_path / "b.tape", count=40, response_digest=digests + (digests == 7))
    done = CliRunner().invoke(compare, [str(a), str(b), "--json"])
    told = json.loads(done.stdout)["responses"]
    assert (told["pairs"], told["differing"]) == (40, 1)
    assert [each["kind"] for each in told["differences"]] == ["digest"]
