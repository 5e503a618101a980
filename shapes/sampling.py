"""What a sample of the connections says of all of them.

A capture that keeps a share p of the connections keeps each with all of its requests. Counts in a
bin are sums over connections, N = Σ n(c), so Var N has a part of the pairs within a connection,
which comes out times p, and one of the pairs between connections, times p². With

    own(τ) = Σ n(c)² / Σ n(c)     over all connections c and bins of width τ

(the IDC that the connections would have if they came independently of each other; the sample shows
it as it is) IDC = own + (IDC of the sample − own) / p. So it is for the Allan factor, with
own(τ) = Σ (n(c, k+1) − n(c, k))² / (2 Σ n). Where every connection carries one request, own is 1,
and this is the rule for thinned streams. The index of dispersion for intervals at m gaps is, for
many gaps, the IDC of the time they take, and is put right by the own of that time.

Gaps cannot be put right: of a renewal stream 1 + (SCV − 1)/p would be that of the whole, but where
gaps hang together (bursts, the requests of a connection) what a sample shows of a gap is the sum of
many, and no figure of it says how single ones vary. The same goes for peaks and shares of gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .counts import Ints

UNCORRECTED = (
    "gap_scv", "gap_quantiles_s", "zero_gap_share", "peak_to_mean", "q999_to_mean",
    "autocorrelation",
)  # fmt: skip
Own = Sequence[tuple[float, float, float]]
"""Of each timescale: τ in seconds, own of the IDC, own of the Allan factor."""


class Kin:
    """Requests by the connection they came on; add in any order."""

    def __init__(self) -> None:
        self._connections: list[Ints] = []
        self._times: list[Ints] = []

    def add(self, connections: NDArray[np.int64], times_ns: Ints) -> None:
        """Add requests."""
        self._connections.append(np.asarray(connections, np.int64))
        self._times.append(times_ns)

    def merge(self, other: Kin) -> None:
        """Add what another saw of the same connections."""
        self._connections += other._connections
        self._times += other._times

    def own(self, taus_s: Sequence[float]) -> list[tuple[float, float, float]]:
        """What each timescale owes to the pairs within connections."""
        if not self._times or not taus_s:
            return []
        times, connections = np.concatenate(self._times), np.concatenate(self._connections)
        order = np.lexsort((times, connections))
        times, connections = times[order], connections[order]
        other = np.concatenate(([True], np.diff(connections) != 0))
        return [(tau, *_own(times // round(tau * 1e9), other)) for tau in taus_s]


def of_all(found: float, own: float, kept_share: float) -> float:
    """An IDC or Allan factor of all connections, from that of the share that was kept."""
    return own + (found - own) / kept_share


def at(own: Own, tau_s: float) -> float:
    """The own of the IDC at a timescale between or beyond those known; 1 where none is."""
    if not own:
        return 1.0
    taus = np.log([tau for tau, _, _ in own])
    return float(np.interp(np.log(tau_s), taus, [idc for _, idc, _ in own]))


def _own(bins: Ints, other: NDArray[np.bool_]) -> tuple[float, float]:
    step = np.diff(bins, prepend=bins[:1])
    begins = np.flatnonzero(other | (step != 0))
    counts = np.diff(np.append(begins, bins.size)).astype(np.float64)
    squares, total = float(counts @ counts), float(bins.size)
    near = ~other[begins[1:]] & (step[begins[1:]] == 1)
    products = float((counts[1:] * counts[:-1]).sum(where=near))
    return squares / total, (squares - products) / total
