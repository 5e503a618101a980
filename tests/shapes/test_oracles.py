"""The statistics of arrivals against numpy, statsmodels and nolds, on streams of many kinds."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from shapes.arrivals import Arrivals, hurst
from shapes.counts import Counts
from shapes.sessions import gini
from tests.shapes.synthetic import AZURE, azure
from tests.shapes.test_counts import stamps

KINDS = ("poisson", "mmpp", "pareto", "code", "conv")


def stream(kind: str) -> np.ndarray:
    if kind in AZURE:
        if not AZURE[kind].exists():
            pytest.skip(f"{AZURE[kind].name} is not there")
        return azure(kind)
    return stamps(kind)


def measures_of_nolds() -> ModuleType:
    """The measures of nolds without its data sets, which Python 3.11 cannot load."""
    package = importlib.util.find_spec("nolds")
    if package is None or not package.submodule_search_locations:
        pytest.skip("nolds is not installed")
    file = Path(package.submodule_search_locations[0]) / "measures.py"
    spec = importlib.util.spec_from_file_location("nolds_measures", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_off(sources: int = 40, span_s: float = 2000, alpha: float = 1.4) -> np.ndarray:
    """Arrivals of sources that are on and off for Pareto times: H = (3 - alpha) / 2."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(sources):
        lengths = 0.2 * (1 + random.pareto(alpha, 20_000))
        edges = np.cumsum(lengths)
        begins, ends = edges[0::2], edges[1::2]
        at = np.cumsum(random.exponential(0.05, int(span_s / 0.02)))
        at = at[at < span_s]
        place = np.searchsorted(begins, at, "right") - 1
        found.append(at[(place >= 0) & (at < ends[np.maximum(place, 0)])])
    return (np.sort(np.concatenate(found)) * 1e9).astype(np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_of_gaps_are_those_of_numpy(kind: str) -> None:
    times = stream(kind)
    arrivals = Arrivals()
    for block in np.array_split(times, 7):
        arrivals.add(block)
    gaps, found = np.diff(times), arrivals.render()
    assert found["gap_scv"] == pytest.approx(gaps.var() / gaps.mean() ** 2, rel=1e-6)
    for q, value in found["gap_quantiles_s"]:
        exact = np.quantile(gaps, q, method="inverted_cdf") / 1e9
        assert value == pytest.approx(exact, rel=0.011, abs=1e-9)
    sums = gaps[: gaps.size // 16 * 16].reshape(-1, 16).sum(1) / 1e9
    blocks = dict(map(tuple, found["idi"]))
    mean = sums.mean() / 16
    assert blocks[16.0] == pytest.approx(sums.var() / (16 * mean**2), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_dispersion_at_every_timescale_equals_a_direct_count(kind: str) -> None:
    times = stream(kind)
    counts = Counts()
    counts.add(times)
    first, last = int(times[0]) // 100_000, int(times[-1]) // 100_000 + 1
    for found in counts.cascade():
        step = round(found.tau_s * 1e9) // 100_000
        low, high = -(-first // step), last // step
        if high - low > 3_000_000:
            continue
        at = times // 100_000 // step - low
        n = np.bincount(at[(at >= 0) & (at < high - low)], minlength=high - low).astype(float)
        assert found.bins == n.size
        assert found.idc == pytest.approx(n.var() / n.mean(), rel=1e-6)
        assert found.allan == pytest.approx(np.mean(np.diff(n) ** 2) / (2 * n.mean()), rel=1e-6)
        assert found.peak_to_mean == pytest.approx(n.max() / n.mean(), rel=1e-9)
        assert found.excess == pytest.approx((n.var() - n.mean()) / n.mean() ** 2, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_autocorrelation_of_a_stream_equals_statsmodels(kind: str) -> None:
    stattools = pytest.importorskip("statsmodels.tsa.stattools")
    arrivals = Arrivals()
    arrivals.add(stream(kind))
    found = arrivals.render()["autocorrelation"]
    step_s, rates = arrivals.series(4096)
    assert found["step_s"] == step_s
    exact = stattools.acf(np.array(rates), nlags=199, fft=True)
    assert found["values"] == pytest.approx(exact.tolist(), abs=1e-9)


@pytest.mark.parametrize("kind", ["pareto", "code", "on/off"])
def test_hurst_and_its_interval_equal_a_weighted_regression_of_statsmodels(kind: str) -> None:
    regression = pytest.importorskip("statsmodels.regression.linear_model")
    counts = Counts()
    counts.add(on_off() if kind == "on/off" else stream(kind))
    points = [(m.tau_s, m.allan, m.bins) for m in counts.cascade()]
    used = [point for point in points if point[1] > 1.5]
    found = hurst(points)
    if len(used) < 4 or math.log10(used[-1][0] / used[0][0]) < 1.5:
        assert found is None
        return
    assert found is not None
    x = np.log([tau for tau, _, _ in used])
    fit = regression.WLS(
        np.log([allan - 1 for _, allan, _ in used]),
        np.stack([np.ones_like(x), x], axis=1),
        weights=[bins for _, _, bins in used],
    ).fit()
    assert found["value"] == pytest.approx((fit.params[1] + 1) / 2, rel=1e-9)
    assert found["high"] - found["value"] == pytest.approx(1.96 * fit.bse[1] / 2, rel=1e-9)
    assert found["value"] - found["low"] == pytest.approx(1.96 * fit.bse[1] / 2, rel=1e-9)


def test_hurst_of_on_off_sources_is_that_of_theory_and_near_what_nolds_finds() -> None:
    nolds = measures_of_nolds()
    times = on_off()
    counts = Counts()
    counts.add(times)
    found = hurst([(m.tau_s, m.allan, m.bins) for m in counts.cascade()])
    assert found is not None
    assert found["value"] == pytest.approx(0.8, abs=0.1)
    per_s = np.bincount(times // 10**9).astype(float)
    assert found["value"] == pytest.approx(nolds.dfa(per_s, order=1, fit_exp="poly"), abs=0.15)


def test_hurst_of_a_stream_without_memory_is_not_claimed() -> None:
    counts = Counts()
    counts.add(stamps("poisson"))
    assert hurst([(m.tau_s, m.allan, m.bins) for m in counts.cascade()]) is None


def test_the_period_of_a_stream_is_found_and_of_a_poisson_stream_none() -> None:
    random = np.random.default_rng(1)
    at = np.sort(random.random(200_000) * 600)
    kept = random.random(at.size) < (1 + 0.8 * np.sin(2 * np.pi * at / 30)) / 2
    arrivals = Arrivals()
    arrivals.add((at[kept] * 1e9).astype(np.int64))
    assert arrivals.render()["autocorrelation"]["period_s"] == pytest.approx(30, rel=0.02)
    even = Arrivals()
    even.add((at * 1e9).astype(np.int64))
    assert even.render()["autocorrelation"]["period_s"] is None


def test_gini_of_clients_equals_the_mean_difference() -> None:
    values = np.random.default_rng(2).zipf(1.7, 500)
    apart = np.abs(values[:, None] - values[None, :]).mean() / (2 * values.mean())
    assert gini(values) == pytest.approx(apart)
