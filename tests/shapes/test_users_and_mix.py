"""Mix, users, concurrency and sampling against direct computation, whole, in blocks and merged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.tape import Tape, Text
from shapes.arrivals import Arrivals
from shapes.in_flight import InFlight
from shapes.mix import Mix
from shapes.sessions import Users, gini
from shapes.shape import ShapeMeter, describe
from tests.shapes.shape_tapes import BEGIN, recorded, write

CUTS = (1, 7)


def parts(rows: dict[str, Any], pieces: int) -> list[dict[str, Any]]:
    """Blocks of rows as a tape gives them."""
    full = {"kind": np.zeros(3000, np.uint8), "defects": np.zeros(3000, np.uint64),
            "content_type": ["", "application/json"] * 1500, **rows}  # fmt: skip
    columns = {k: Text.of(v) if isinstance(v, list) else v for k, v in full.items()}
    size = len(rows["request_first_ns"])
    return [
        {k: v.take(at) if isinstance(v, Text) else v[at] for k, v in columns.items()}
        for at in np.array_split(np.arange(size), pieces)
    ]


def mixed(pieces: int, *, merged: bool = False) -> dict[str, Any]:
    mix = Mix()
    for part in parts(recorded(3000), pieces):
        one = Mix() if merged else mix
        one.add(part)
        if merged:
            mix.merge(one)
    return mix.render()


@pytest.mark.parametrize("merged", [False, True])
def test_the_mix_counts_what_a_direct_count_finds(merged: bool) -> None:
    rows, found = recorded(3000), mixed(7, merged=merged)
    names, status = np.array(rows["endpoint"]), rows["status"]
    for entry in found["endpoints"]:
        here = names == entry["endpoint"]
        assert entry["exchanges"] == here.sum()
        assert entry["share"] == pytest.approx(here.mean())
        assert entry["statuses"] == {
            str(code): int((status[here] == code).sum()) for code in (200, 500)
        }
        for name in ("request_bytes", "response_bytes"):
            exact = np.quantile(rows[name][here], 0.9, method="inverted_cdf")
            assert entry[name]["p90"] == pytest.approx(exact, rel=0.011)
        service = (rows["response_last_ns"] - rows["request_first_ns"])[here] / 1e9
        exact = np.quantile(service, 0.99, method="inverted_cdf")
        assert entry["service_s"]["p99"] == pytest.approx(exact, rel=0.011)
    assert found["content_types"] == {"": 1500, "application/json": 1500}
    assert found["key_reuse"] == pytest.approx(1 - np.unique(rows["key"]).size / 3000)
    assert found == mixed(1)


@pytest.mark.parametrize("pieces", CUTS)
@pytest.mark.parametrize("merged", [False, True])
def test_users_are_counted_as_a_loop_counts_them(pieces: int, merged: bool) -> None:
    rows = recorded(3000)
    users = Users()
    for part in parts(rows, pieces):
        one = Users() if merged else users
        one.add(part["session"], part["request_first_ns"], part["response_last_ns"])
        if merged:
            users.merge(one)
    thinks: list[int] = []
    ended: dict[int, int] = {}
    asked: dict[int, list[int]] = {}
    for who, begin, end in zip(rows["session"].tolist(), rows["request_first_ns"].tolist(),
                               rows["response_last_ns"].tolist(), strict=True):  # fmt: skip
        if who in ended:
            thinks.append(max(begin - ended[who], 0))
        ended[who] = end
        asked.setdefault(who, []).append(begin)
    found = users.render()
    counts = np.array([len(times) for times in asked.values()])
    assert found["count"] == len(asked)
    assert found["mean_requests"] == pytest.approx(counts.mean())
    assert users.thinks.total() == len(thinks)
    assert users.first.tolist() == [asked[who][0] for who in sorted(asked)]
    apart = np.abs(counts[:, None] - counts[None, :]).mean() / (2 * counts.mean())
    assert found["gini"] == pytest.approx(apart)
    exact = np.quantile(thinks, 0.9, method="inverted_cdf") / 1e9
    assert found["think_s"]["p90"] == pytest.approx(exact, rel=0.011)


def test_gini_is_nothing_for_equals_and_nearly_one_for_a_single_asker() -> None:
    assert gini(np.full(9, 4)) == pytest.approx(0)
    assert gini(np.append(np.zeros(99, np.int64), 5)) == pytest.approx(0.99)


@pytest.mark.parametrize("pieces", CUTS)
def test_concurrency_is_what_counting_open_requests_gives(pieces: int) -> None:
    random = np.random.default_rng(3)
    begins = BEGIN + np.sort(random.integers(0, 20 * 10**9, 2000))
    ends = begins + random.exponential(5e8, 2000).astype(np.int64)
    flying = InFlight()
    for at in np.array_split(np.arange(2000), pieces):
        flying.add(begins[at], ends[at])
    seen = [int(((begins <= t) & (ends >= t)).sum()) for t in begins]
    found = flying.render()
    assert found["peak"] == max(seen)
    assert found["p50"] == pytest.approx(np.quantile(seen, 0.5, method="inverted_cdf"), rel=0.011)
    first = begins[0] // 10**8 * 10**8
    step = round(found["series"]["step_s"] * 1e9)
    for place, value in enumerate(found["series"]["values"]):
        border = first + (place + 1) * step
        assert value == int(((begins < border) & (ends >= border)).sum())


def test_concurrency_over_time_merges_exactly() -> None:
    rows = recorded(3000)
    whole, merged = InFlight(), InFlight()
    whole.add(rows["request_first_ns"], rows["response_last_ns"])
    for part in parts(rows, 5):
        one = InFlight()
        one.add(part["request_first_ns"], part["response_last_ns"])
        merged.merge(one)
    assert merged.series() == whole.series()


def test_meters_of_consecutive_spans_merge_into_the_meter_of_all() -> None:
    whole, merged = ShapeMeter(), ShapeMeter()
    for part in parts(recorded(3000), 6):
        one = ShapeMeter()
        for meter in (whole, one):
            meter.add(part)
            meter.add_users(part)
        merged.merge(one)
    a, b = whole.render(), merged.render()
    for name in ("mix", "sessions", "clients"):
        assert a[name] == b[name]
    for name in ("idc", "allan", "gap_quantiles_s", "series", "peak_to_mean"):
        assert a["arrivals"][name] == b["arrivals"][name]
    assert a["arrivals"]["gap_scv"] == pytest.approx(b["arrivals"]["gap_scv"])


def test_a_sampled_tape_tells_the_rate_and_dispersion_of_the_whole(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    busy = np.repeat(random.random(3000) < 0.2, 40)
    times = BEGIN + np.cumsum(random.exponential(np.where(busy, 1e5, 2e6))).astype(np.int64)
    whole = Arrivals()
    whole.add(times)
    kept = times[random.random(times.size) < 0.25]
    rows = recorded(kept.size) | {"request_first_ns": kept, "response_last_ns": kept + 10**6}
    path = write(tmp_path / "sampled.tape", rows, sample_rate=0.25)
    with Tape.open(path) as tape:
        found = describe(tape)["arrivals"]
    exact = whole.render()
    assert found["exchanges"] == kept.size
    assert found["rate_per_s"] == pytest.approx(exact["rate_per_s"], rel=0.02)
    ours, theirs = dict(map(tuple, found["idc"])), dict(map(tuple, exact["idc"]))
    for tau in (0.01, 0.1, 1.0):
        assert ours[tau] == pytest.approx(theirs[tau], rel=0.1)
    assert max(found["series"]["per_s"]) > 2 * kept.size / found["span_s"]
