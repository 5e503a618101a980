"""Dispersion over timescales against direct computation, and accumulators that merge."""

import os
from pathlib import Path

import numpy as np
import pytest

from shapes import counts as counting
from shapes.arrivals import Arrivals, autocorrelation
from shapes.counts import Counts
from shapes.sketch import Sketch

MS = 1_000_000


def stamps(kind: str, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    if kind == "poisson":
        gaps = random.exponential(1e6, 40_000)
    elif kind == "mmpp":
        state = np.repeat(random.random(400) < 0.2, 100)
        gaps = random.exponential(np.where(state, 1e5, 3e6))
    else:  # bursts of Pareto length, Pareto silences between
        gaps = np.where(random.random(40_000) < 0.02, 1e7 * (1 + random.pareto(1.4, 40_000)), 2e5)
    return (1_700_000_000_000_000_000 + np.cumsum(gaps)).astype(np.int64)


@pytest.mark.parametrize("kind", ["poisson", "mmpp", "pareto"])
@pytest.mark.parametrize("tau_ns", [MS, 10 * MS, 100 * MS])
def test_moments_equal_a_direct_count_of_every_bin(kind: str, tau_ns: int) -> None:
    times = stamps(kind)
    counts = Counts()
    counts.add(times)
    first = -(-(times[0] // 100_000 * 100_000) // tau_ns)
    at = times // tau_ns - first
    whole = (times[-1] // 100_000 + 1) * 100_000 // tau_ns - first
    n = np.bincount(at[(at >= 0) & (at < whole)], minlength=whole).astype(float)
    found = counts.moments(tau_ns)
    assert found.idc == pytest.approx(n.var() / n.mean(), rel=1e-9)
    assert found.allan == pytest.approx(np.mean(np.diff(n) ** 2) / (2 * n.mean()), rel=1e-9)
    assert found.peak_to_mean == pytest.approx(n.max() / n.mean())
    by_cascade = {round(m.tau_s, 9): m for m in counts.cascade()}[tau_ns / 1e9]
    assert by_cascade == found


def test_counts_merge_in_any_order_and_grouping() -> None:
    times = stamps("mmpp")
    parts = np.array_split(np.random.default_rng(3).permutation(times), 7)
    whole = Counts()
    whole.add(times)
    merged = Counts()
    for part in reversed(parts):
        one = Counts()
        one.add(part)
        merged.merge(one)
    for ours, theirs in zip(whole.occupied(), merged.occupied(), strict=True):
        assert np.array_equal(ours, theirs)


def test_arrivals_are_the_same_whole_and_in_blocks() -> None:
    times = stamps("pareto")
    whole, parts = Arrivals(), Arrivals()
    whole.add(times)
    for block in np.array_split(times, 13):
        parts.add(block)
    a, b = whole.render(), parts.render()
    gaps = np.diff(times)
    assert a["gap_scv"] == pytest.approx(gaps.var() / gaps.mean() ** 2, rel=1e-6)
    assert a["idc"] == b["idc"]
    assert a["gap_quantiles_s"] == b["gap_quantiles_s"]
    assert [v for _, v in a["idi"]] == pytest.approx([v for _, v in b["idi"]], rel=1e-9)


def test_the_autocorrelation_is_that_of_statsmodels() -> None:
    stattools = pytest.importorskip("statsmodels.tsa.stattools")
    values = np.random.default_rng(5).poisson(4, 2000).astype(float)
    assert autocorrelation(values)[:50] == pytest.approx(
        stattools.acf(values, nlags=49, fft=True), abs=1e-9
    )


def test_quantiles_of_a_sketch_are_within_one_percent() -> None:
    values = np.random.default_rng(2).lognormal(12, 2, 50_000).astype(np.int64)
    sketch = Sketch()
    sketch.add(values)
    for q in (0.01, 0.5, 0.99, 0.999):
        exact = np.quantile(values, q, method="inverted_cdf")
        assert sketch.quantile(q) == pytest.approx(exact, rel=0.011)


@pytest.mark.parametrize(("name", "idc", "cv"), [("code", 13.2, 13.2), ("conv", 1.33, 1.09)])
def test_the_azure_traces_have_the_known_idc_in_seconds_of_the_clock_and_the_known_cv_of_gaps(
    name: str, idc: float, cv: float
) -> None:
    """The CV is that of gaps. The IDC depends on where seconds begin: elsewhere it is another."""
    corpus = Path(os.environ.get("WIRETAPE_CORPUS", "../shared/corpus"))
    file = corpus / "logs" / f"AzureLLMInferenceTrace_{name}.csv"
    if not file.exists():
        pytest.skip("no corpus: set WIRETAPE_CORPUS")
    lines = file.read_text().splitlines()[1:]
    times = np.array([line.split(",")[0][:26] for line in lines], "datetime64[ns]")
    arrivals = Arrivals()
    arrivals.add(np.sort(times.astype(np.int64)))
    assert arrivals.counts.moments(1_000_000_000).idc == pytest.approx(idc, rel=0.01)
    assert arrivals.render()["gap_scv"] ** 0.5 == pytest.approx(cv, rel=0.01)
    elsewhere = []
    for shift in range(100_000_000, 1_000_000_000, 100_000_000):
        counts = Counts()
        counts.add(np.sort(times.astype(np.int64)) + shift)
        elsewhere.append(counts.moments(1_000_000_000).idc)
    assert max(elsewhere) / idc == pytest.approx(1.0, abs=0.08)
    assert min(elsewhere) / idc == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("piece", [1, 2, 7, 100])
@pytest.mark.parametrize("step", [1, 2, 5, 10, 2000])
def test_sums_and_products_do_not_depend_on_the_pieces_they_are_made_in(
    step: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    bins = np.unique(random.integers(0, 5000, 3000))
    n = random.integers(1, 9, bins.size).astype(np.int32)
    whole, products = counting._sum(bins, n, step), counting._products(bins, n)
    monkeypatch.setattr(counting, "_PIECE", piece)
    found = counting._sum(bins, n, step)
    assert np.array_equal(found[0], whole[0])
    assert np.array_equal(found[1], whole[1])
    assert counting._products(bins, n) == products
    assert int(found[1].sum()) == int(n.sum())
