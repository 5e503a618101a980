"""Mix, users, concurrency and sampling against direct computation, whole, in blocks and merged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from capture.tape import Tape, Text
from shapes.arrivals import Arrivals
from shapes.cards import facts_of
from shapes.cli import shapes
from shapes.compare import differences
from shapes.connections import Connections
from shapes.in_flight import InFlight
from shapes.malformed import Runs
from shapes.mix import Mix
from shapes.sampling import Kin
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
            meter.add_users(meter.add(part))
        merged.merge(one)
    a, b = whole.render(), merged.render()
    for name in ("mix", "sessions", "clients"):
        assert a[name] == b[name]
    for name in ("idc", "allan", "gap_quantiles_s", "series", "peak_to_mean"):
        assert a["arrivals"][name] == b["arrivals"][name]
    assert a["arrivals"]["gap_scv"] == pytest.approx(b["arrivals"]["gap_scv"])


def sampled(seed: int, share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bursts of connections of 8 requests each: the arrivals of all, and as a sample tells them."""
    random = np.random.default_rng(seed)
    rates = np.repeat(np.where(random.random(120) < 0.2, 60.0, 12.0), 500) / 100
    opened = np.flatnonzero(random.random(rates.size) < rates) / 100
    counts = random.geometric(1 / 8, opened.size)
    connection = np.repeat(np.arange(opened.size), counts)
    waits = np.cumsum(random.exponential(0.03, connection.size))
    times = opened[connection] + waits - waits[np.cumsum(counts) - counts][connection]
    order = np.argsort(times)
    times, connection = BEGIN + (times[order] * 1e9).astype(np.int64), connection[order]
    kept = (random.random(opened.size) < share)[connection]
    whole, part, kin = Arrivals(), Arrivals(), Kin()
    whole.add(times)
    part.add(times[kept])
    kin.add(connection[kept], times[kept])
    return whole.render(), part.render(share, kin)


def test_a_sample_of_connections_tells_the_rate_and_the_dispersion_of_all() -> None:
    """Over seeds the mean is that of all: no bias, where the rule for thinning is off threefold."""
    both = [sampled(seed, 0.25) for seed in range(6)]
    for name in ("idc", "allan", "excess"):
        exact, found = ([dict(map(tuple, each[place][name])) for each in both] for place in (0, 1))
        for tau in (0.01, 0.1, 1.0):
            theirs, ours = (np.mean([each[tau] for each in side]) for side in (exact, found))
            assert ours == pytest.approx(theirs, rel=0.12), f"{name} at {tau} s"
    for name in ("rate_per_s", "dispersion_index"):
        theirs, ours = (np.mean([each[place][name] for each in both]) for place in (0, 1))
        assert ours == pytest.approx(theirs, rel=0.12)


def test_a_sampled_tape_says_what_of_it_is_the_samples_own(tmp_path: Path) -> None:
    found = []
    for share in (0.25, 1.0):
        path = write(tmp_path / f"{share}.tape", recorded(2000), sample_rate=share)
        with Tape.open(path) as tape:
            found.append(describe(tape))
        shown = CliRunner().invoke(shapes, [str(path)]).output
        assert ("of the sample" in shown) == (share < 1)
        assert ("of the sample" in str(facts_of(found[-1]))) == (share < 1)
    part, whole = found
    assert "gap_scv" in part["arrivals"]["uncorrected"]
    assert whole["arrivals"]["uncorrected"] == []
    assert part["arrivals"]["rate_per_s"] == pytest.approx(4 * whole["arrivals"]["rate_per_s"])
    assert "SCV of gaps" not in [each.what for each in differences(part, whole)]


def test_small_shares_of_what_is_wrong_are_told_by_a_comparison() -> None:
    shape = ShapeMeter().render()
    worse = ShapeMeter().render()
    worse["mix"] |= {"malformed_share": 0.01, "statuses": {"200": 97, "500": 3}, "key_reuse": 0.0}
    told = {each.what: each.meaning for each in differences(shape, worse)}
    assert told == {
        "server errors": "B has more server errors",
        "malformed share": "B has more malformed requests",
    }


def test_bigrams_and_first_requests_are_those_of_a_direct_count(tmp_path: Path) -> None:
    rows = recorded(3000)
    with Tape.open(write(tmp_path / "x.tape", rows, blocks=5)) as tape:
        shape = describe(tape)
    pairs: dict[tuple[str, str], int] = {}
    last: dict[int, str] = {}
    first: dict[str, int] = {}
    for user, name in zip(rows["session"].tolist(), rows["endpoint"], strict=True):
        if user in last:
            pairs[last[user], name] = pairs.get((last[user], name), 0) + 1
        else:
            first[name] = first.get(name, 0) + 1
        last[user] = name
    assert {(a, b): n for a, b, n in shape["mix"]["bigrams"]} == pairs
    assert shape["sessions"]["first"] == first


def test_meters_merge_in_any_grouping() -> None:
    names = ("a", "b", "c", "d")
    pieces = []
    for place, part in enumerate(parts(recorded(3000), 3)):
        # Each part meets endpoints in another order, so their numbers differ.
        part["endpoint"] = Text.of([names[(place + code) % 4] for code in part["endpoint"].codes])
        pieces.append(part)

    def meter(*chosen: int) -> ShapeMeter:
        found = ShapeMeter()
        for at in chosen:
            found.add_users(found.add(pieces[at]))
        return found

    left, right = meter(0), meter(1)
    left.merge(meter(1))
    left.merge(meter(2))
    right.merge(meter(2))
    first = meter(0)
    first.merge(right)
    whole = meter(0, 1, 2).render()
    for found in (left.render(), first.render()):
        for name in ("sessions", "clients", "connections"):
            assert found[name] == whole[name]
        assert found["mix"]["bigrams"] == whole["mix"]["bigrams"]
        assert found["mix"]["malformed"] == whole["mix"]["malformed"]


@pytest.mark.parametrize("pieces", [1, 13])
def test_runs_of_malformed_requests_are_counted_by_class_and_client(pieces: int) -> None:
    random = np.random.default_rng(4)
    clients = random.integers(1, 6, 2000).astype(np.uint64)
    defects = np.where(random.random(2000) < 0.4, np.uint64(1 << 3), np.uint64(0))
    defects |= np.where(random.random(2000) < 0.02, np.uint64(1 << 7), np.uint64(0))
    found = Runs()
    for at in np.array_split(np.arange(2000), pieces):
        found.add(clients[at], defects[at])
    rendered = list(found.render(2000).values())
    for entry, bit in zip(rendered, (3, 7), strict=True):
        lengths = []
        for client in range(1, 6):
            has = (defects[clients == client] >> np.uint64(bit) & np.uint64(1)).astype(int)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], has, [0]))))
            lengths += (edges[1::2] - edges[::2]).tolist()
        assert entry["exchanges"] == sum(lengths)
        assert entry["runs"] == len(lengths)
        assert entry["longest_run"] == max(lengths)


def test_connections_tell_how_long_they_live_and_what_they_carry() -> None:
    found = Connections()
    rows = {
        "opened_ns": np.array([0, 10, -1, 5]), "closed_ns": np.array([10**9, 20, 30, -1]),
        "close": np.array([1, 1, 2, 0], np.uint8), "exchanges": np.array([3, 1, 1, 7]),
    }  # fmt: skip
    found.add(rows)
    other = Connections()
    other.merge(found)
    assert other.render() == found.render()
    shown = found.render()
    assert (shown["count"], shown["mean_requests"], shown["reused_share"]) == (4, 3.0, 0.5)
    assert shown["closes"] == {"capture_end": 1, "fin_client": 2, "fin_server": 1}
    assert shown["life_s"]["p99"] == pytest.approx(1.0, rel=0.01)
