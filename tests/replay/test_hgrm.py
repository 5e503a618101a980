"""The times of a run in the files of HdrHistogram: read back by its library, equal to numpy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.exchange import NEVER, Outcome
from capture.tape import Tape
from replay.cli import replay as command
from replay.hgrm import KINDS, LONGEST_NS, as_hdr, tag_of
from replay.outcome import Histogram
from tests.replay.recorder import get, recorder, write_tape

LONG = st.integers(0, LONGEST_NS // 2)


def counted(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    return histogram


def read(path: Path) -> dict[str, Any]:
    """The histograms of a log by tag, as the library reads them."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, LONGEST_NS, 3))
    found = {}
    while (each := reader.get_next_interval_histogram()) is not None:
        found[each.get_tag() or ""] = each
    reader.close()
    return found


def of_rank(values: Any, percentile: float) -> int:
    """The value that the library means by a percentile: its rank is rounded, not rounded up."""
    rank = max(1, int(percentile / 100 * len(values) + 0.5))
    return int(np.sort(values)[rank - 1])


@settings(max_examples=30, deadline=None)
@given(st.lists(LONG, min_size=1, max_size=200), st.sampled_from([50, 90, 99, 99.9]))
def test_percentiles_equal_numpys_within_three_digits(values: list[int], percentile: float) -> None:
    exact = float(np.percentile(values, percentile, method="inverted_cdf"))
    histogram = counted(values)
    assert histogram.quantile(percentile / 100) == pytest.approx(exact, rel=1e-3, abs=2)
    theirs = as_hdr(histogram).get_value_at_percentile(percentile)
    assert theirs == pytest.approx(of_rank(values, percentile), rel=1e-3, abs=2)


@settings(max_examples=20, deadline=None)
@given(st.lists(LONG, max_size=80), st.lists(LONG, max_size=80))
def test_merging_here_and_merging_there_are_the_same(one: list[int], two: list[int]) -> None:
    merged = counted(one)
    merged.merge(counted(two))
    there = as_hdr(counted(one))
    there.add(as_hdr(counted(two)))
    assert there.get_total_count() == len(one) + len(two) == merged.total
    ours = as_hdr(merged)
    for percentile in (10, 50, 99, 100):
        assert ours.get_value_at_percentile(percentile) == there.get_value_at_percentile(percentile)


@settings(max_examples=20, deadline=None)
@given(st.lists(LONG, min_size=1, max_size=100))
def test_what_is_encoded_is_read_back_the_same(values: list[int]) -> None:
    made = as_hdr(counted(values))
    assert HdrHistogram.decode(made.encode()).equals(made)


@given(st.text(max_size=30))
def test_a_tag_has_nothing_that_ends_it(name: str) -> None:
    assert not set(tag_of(name)) & set(", \r\n\t")


def test_the_files_of_a_run_hold_its_times_by_endpoint(tmp_path: Path) -> None:
    requests = [(n % 3, n * 2, get(f"/items/{n}" if n % 2 else "/cart")) for n in range(60)]
    tape = write_tape(tmp_path / "x.tape", requests)
    folder = tmp_path / "times"
    run = tmp_path / "run.tape"
    with recorder() as target:
        args = [str(tape), "--target", target.url, "-o", str(run), "--no-calibrate"]
        said = CliRunner().invoke(command, [*args, "--hgrm", str(folder)])
    assert said.exit_code == 0, said.output
    names = ["due_ns", "request_first_ns", "response_last_ns", "outcome", "endpoint"]
    with Tape.open(run) as opened:
        blocks = list(opened.columns(names))
    due, sent, last, outcome = (
        np.concatenate([np.asarray(block[name]) for block in blocks]) for name in names[:4]
    )
    endpoints = [name for block in blocks for name in block["endpoint"].strings()]
    whole = (outcome == Outcome.ANSWERED) & (last != NEVER)
    times = {
        "response": (last - due)[whole],
        "service": (last - sent)[whole],
        "lateness": sent - due,
    }
    for kind in KINDS:
        found = read(folder / f"{kind}.hlog")
        assert set(found) == {"", *(tag_of(name) for name in endpoints)}
        for percentile in (50, 90, 99):
            ours = found[""].get_value_at_percentile(percentile)
            assert ours == pytest.approx(of_rank(times[kind], percentile), rel=1e-3, abs=2)
        assert sum(found[tag].get_total_count() for tag in found if tag) == len(times[kind])
        shown = (folder / f"{kind}.hgrm").read_text()
        assert f"TotalCount     = {len(times[kind]):12.3f}" in shown
    assert len(list(folder.glob("*.hgrm"))) == 3 * (1 + len(set(endpoints)))
