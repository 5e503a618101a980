"""A tape made from a shape alone: as bursty, of the same mix, valid, and nobody's."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.cli import capture
from capture.exchange import Kind
from capture.tape import Tape
from shapes.cascade import arrivals
from shapes.cli import shapes as command
from shapes.counts import Counts
from shapes.pauses import Pauses
from shapes.quantiles import Quantiles
from shapes.shape import describe, save
from shapes.synth import synthesize
from shapes.walks import Chain, walks
from tests.shapes.shape_tapes import BEGIN, recorded, write
from tests.shapes.synthetic import AZURE, azure, furthest, tape_at

S = 10**9


def shape_of(path: Path) -> dict[str, Any]:
    with Tape.open(path) as tape:
        return describe(tape)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """The shape of a source, that of what was made of it, and the tape that was."""
    folder = tmp_path_factory.mktemp("synth")
    source = shape_of(write(folder / "x.tape", recorded(6_000, gap_ns=8e6)))
    path = folder / "made.tape"
    synthesize(source, str(path), round(source["arrivals"]["span_s"] * S), seed=1)
    return source, shape_of(path), path


def test_a_synthetic_tape_is_as_bursty_as_its_source_at_every_timescale(made: Any) -> None:
    source, found, _ = made
    assert furthest(source, found)[0] <= 0.25
    assert found["arrivals"]["rate_per_s"] == pytest.approx(
        source["arrivals"]["rate_per_s"], rel=0.02
    )


@pytest.mark.parametrize("name", ["code", "conv"])
def test_a_synthetic_tape_is_as_bursty_as_a_real_trace(name: str, tmp_path: Path) -> None:
    if not AZURE[name].exists():
        pytest.skip(f"{AZURE[name].name} is not there")
    source = shape_of(tape_at(tmp_path / "x.tape", azure(name)))
    synthesize(source, str(tmp_path / "y.tape"), round(source["arrivals"]["span_s"] * S), seed=1)
    assert furthest(source, shape_of(tmp_path / "y.tape"))[0] <= 0.25


def test_a_synthetic_tape_is_as_bursty_as_the_sample_and_its_users_pause_alike(
    tmp_path: Path,
) -> None:
    sample = Path(__file__).parents[2] / "samples" / "pcaps" / "shop.pcap.gz"
    args = ["pcap", str(sample), "-o", str(tmp_path / "x.tape")]
    assert CliRunner().invoke(capture, args).exit_code == 0
    source = shape_of(tmp_path / "x.tape")
    synthesize(source, str(tmp_path / "y.tape"), round(source["arrivals"]["span_s"] * S), seed=1)
    found = shape_of(tmp_path / "y.tape")
    assert furthest(source, found)[0] <= 0.25
    theirs, mine = source["sessions"]["think_s"], found["sessions"]["think_s"]
    for q in ("p50", "p75", "p90"):
        assert mine[q] == pytest.approx(theirs[q], rel=0.15), f"users pause otherwise at {q}"
    assert mine["p99"] <= 1.25 * theirs["p99"], "users wait out lulls"
    assert mine["p10"] < 0.001, "requests that follow at once came apart"


def test_of_the_few_who_stay_very_long_there_are_as_many_as_in_the_shape(tmp_path: Path) -> None:
    times = np.sort(np.random.default_rng(5).integers(0, 20 * S, 1000)) + BEGIN
    users = np.where(np.arange(1000) % 4 == 0, 1, 2 + np.arange(1000) // 4)  # one asks all the time
    rows = {
        "connection": users, "session": users.astype(np.uint64), "request_first_ns": times,
        "response_last_ns": times, "request_bytes": np.full(1000, 90),
        "endpoint": ["GET /"] * 1000,
    }  # fmt: skip
    source = shape_of(write(tmp_path / "x.tape", rows, blocks=4))
    lengths = []
    for seed in range(6):
        synthesize(source, str(tmp_path / "y.tape"), 20 * S, seed)
        lengths.append(shape_of(tmp_path / "y.tape")["sessions"]["mean_requests"])
    assert np.median(lengths) == pytest.approx(source["sessions"]["mean_requests"], rel=0.15)


def test_endpoints_sizes_statuses_and_users_are_those_of_the_shape(made: Any) -> None:
    source, found, _ = made
    theirs = {each["endpoint"]: each for each in found["mix"]["endpoints"]}
    for each in source["mix"]["endpoints"]:
        mine = theirs[each["endpoint"]]
        assert mine["share"] == pytest.approx(each["share"], abs=0.02)
        assert mine["request_bytes"]["p75"] == pytest.approx(each["request_bytes"]["p75"], rel=0.1)
        assert mine["response_bytes"]["p50"] == pytest.approx(
            each["response_bytes"]["p50"], rel=0.1
        )
        assert mine["statuses"].keys() == each["statuses"].keys()
    assert found["sessions"]["mean_requests"] == pytest.approx(
        source["sessions"]["mean_requests"],
        rel=0.35,  # the end of the tape cuts users off
    )
    pairs = {(a, b): n for a, b, n in source["mix"]["bigrams"]}
    assert all((a, b) in pairs for a, b, _ in found["mix"]["bigrams"])


def test_users_leave_after_what_they_leave_after_and_do_not_repeat_it() -> None:
    """Who has paid leaves: a mix in which every session is A, B…, pay stays that mix."""
    shape = {
        "mix": {
            "endpoints": [
                {
                    "endpoint": "GET /a",
                    "exchanges": 100,
                    "share": 0.25,
                    "service_s": {"p50": 0.001},
                },
                {"endpoint": "GET /b", "exchanges": 200, "share": 0.5, "service_s": {"p50": 0.001}},
                {
                    "endpoint": "POST /pay",
                    "exchanges": 100,
                    "share": 0.25,
                    "service_s": {"p50": 0.001},
                },
            ],
            "bigrams": [
                ["GET /a", "GET /b", 100],
                ["GET /b", "GET /b", 100],
                ["GET /b", "POST /pay", 98],
                ["POST /pay", "POST /pay", 2],
            ],
        },
        "sessions": {
            "count": 100,
            "requests": {"p10": 3, "p50": 4, "p90": 5},
            "mean_requests": 4.0,
            "think_s": {"p10": 0.01, "p50": 0.1, "p90": 0.3},
            "first": {"GET /a": 100},
        },
    }
    chain = Chain(shape["mix"], shape["sessions"]["first"], 100)
    arrivals = np.arange(20_000, dtype=np.int64) * 10_000_000
    steps = list(walks(shape, chain, arrivals, np.random.default_rng(1)))
    asked = np.bincount([step.endpoint for step in steps]) / len(steps)
    assert asked == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    assert len(steps) / (steps[-1].user + 0.0) == pytest.approx(4.0, rel=0.15)


def test_its_requests_are_whole_http_and_sound(made: Any) -> None:
    _, _, path = made
    with Tape.open(path) as tape:
        assert tape.verify() == []
        kinds = np.concatenate([block["kind"] for block in tape.columns(("kind",))])
        assert set(kinds.tolist()) == {Kind.HTTP1}
        for payload in tape.payloads(np.arange(0, 6_000, 97)):
            head, _, body = payload.request.partition(b"\r\n\r\n")
            assert head.split(b"\r\n")[0].endswith(b" HTTP/1.1")
            if head.startswith(b"POST"):
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r")[0])
                assert length == len(body)
                assert set(json.loads(body)) == {"filler"}


def test_the_same_seed_makes_the_same_requests_and_another_makes_others(tmp_path: Path) -> None:
    source = shape_of(write(tmp_path / "x.tape", recorded(3000)))

    def digests(seed: int) -> Any:
        path = tmp_path / f"{seed}.tape"
        synthesize(source, str(path), 2 * S, seed)
        with Tape.open(path) as tape:
            blocks = list(tape.columns(("request_digest", "request_first_ns")))
        return [np.concatenate([b[name] for b in blocks]).tolist() for name in blocks[0]]

    assert digests(1) == digests(1)
    assert digests(1) != digests(2)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 10**9), min_size=2, max_size=60),
    st.lists(st.floats(0, 2), min_size=3, max_size=3),
    st.integers(0, 2**40),
)
def test_every_arrival_is_taken_once_and_nobody_asks_before_they_asked(
    times: list[int], quantiles: list[float], seed: int
) -> None:
    known = dict(zip(("p10", "p50", "p99"), sorted(quantiles), strict=True))
    arrivals = sorted(times)
    pauses = Pauses(Quantiles(known), arrivals, np.random.default_rng(seed))
    taken = 0
    for number, at in enumerate(arrivals):
        if pauses.free(number):
            pauses.use(number)
            again = pauses.take(at, at + 1000)
            assert again is None or at <= again <= arrivals[-1]
            taken += again is not None
    assert sum(pauses.free(number) for number in range(len(arrivals))) == 0
    assert taken < len(arrivals)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1, 4), min_size=4, max_size=8),
    st.integers(0, 5000),
    st.integers(0, 2**40),
)
def test_a_cascade_makes_so_many_arrivals_within_the_span_whatever_the_curve(
    logs: list[float], total: int, seed: int
) -> None:
    curve = [[10.0 ** (at - 3), math.exp(value)] for at, value in enumerate(logs)]
    found = arrivals(curve, total, 100 * S, seed)
    assert found.size == total
    assert np.all(np.diff(found) >= 0)
    assert not found.size or (found[0] >= 0 and found[-1] <= 100 * S)


@pytest.mark.parametrize("idc", [0.5, 1.0, 8.0])
def test_a_cascade_keeps_a_flat_curve(idc: float) -> None:
    counts = Counts()
    counts.add(arrivals([[10.0**at, idc] for at in (-4, -3, -2, -1, 0)], 20_000, 100 * S, seed=3))
    for tau in (10**7, 10**8, 10**9):
        assert counts.moments(tau).idc == pytest.approx(idc, rel=0.15)


def test_draws_have_the_quantiles_that_are_known() -> None:
    known = {"p10": 5.0, "p50": 10.0, "p90": 100.0}
    drawn = Quantiles(known).draw(np.random.default_rng(1), 20_000)
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx([5, 10, 100], rel=0.03)


def test_the_command_makes_a_tape_from_a_saved_shape(tmp_path: Path) -> None:
    shape = tmp_path / "x.shape"
    save(shape_of(write(tmp_path / "x.tape", recorded(2000))), str(shape))
    args = ["synth", str(shape), "-o", str(tmp_path / "y.tape"), "--for", "2s", "--json"]
    found = CliRunner().invoke(command, args)
    assert found.exit_code == 0, found.exception
    told = json.loads(found.stdout)
    with Tape.open(tmp_path / "y.tape") as tape:
        assert tape.exchange_count == told["exchanges"] > 0
        assert tape.connection_count == told["connections"]
    assert "Cookie" not in shape.read_text()
    same = CliRunner().invoke(command, ["synth", str(shape), "-o", str(shape)])
    assert same.exit_code == 2
    assert "name another tape" in same.output
    args[args.index("2s")] = "0s"
    assert CliRunner().invoke(command, args).exit_code == 2
