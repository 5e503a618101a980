"""Two tapes or runs side by side: times, failures, statuses and answers, endpoint by endpoint.

Ratios of quantiles have an interval by bootstrap over windows of time, because requests that are
near in time share their luck. Where both are runs of one tape, requests are paired by their place
on it: changes of status are counted by pair, and of those that failed on one side only McNemar's
test says whether it could be chance. One pair of runs is no experiment: it shows `suspect` at most.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from capture.exchange import Outcome
from capture.when import size
from shapes.tallies import tally

from .fidelity import fidelity_of_rows
from .judge import human
from .pairing import same_requests
from .pairs import NEEDED, QUANTILES
from .responses import Responses
from .rows import Array, Rows
from .silence import silence

WINDOWS = 40
DRAWS = 400
CHANCE = 0.001
NOTEWORTHY = 1.1
NOTEWORTHY_SIZE = 0.1
FEW = 3  # changes of status that chance alone may bring
RESOLVED_NS = 1000
DRAWN_FROM = 20_000  # requests of an endpoint: more make an interval no better, only later


@dataclass(frozen=True)
class Ratio:
    """B over A of one quantile of one endpoint. Times in ms."""

    endpoint: str
    quantile: str
    a: float
    b: float
    ratio: float
    low: float
    high: float
    word: str  # suspect, or empty


@dataclass(frozen=True)
class Change:
    """What the same requests were answered: so many pairs `a` → `b`."""

    endpoint: str
    a: int
    b: int
    count: int


@dataclass(frozen=True)
class Size:
    """The median size of an endpoint's requests and answers on the wire, A and B, in bytes."""

    endpoint: str
    requests: tuple[float, float]
    answers: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """B beside A."""

    ratios: tuple[Ratio, ...]
    changes: tuple[Change, ...]
    paired: int
    answers_differ: int  # of the pairs whose bodies were both digested
    only_a_failed: int
    only_b_failed: int
    chance: float  # of such a difference in failures; nan where nothing is paired
    rates: tuple[float, float]  # requests/s
    throughput: tuple[float, float]  # bytes/s of answers
    errors: dict[str, tuple[int, int]]  # by class: answered 503, timed out
    sizes: tuple[Size, ...]
    refused: str
    responses: Responses | None = None  # where bodies, heads or digests of both were kept

    @property
    def word(self) -> str:
        """INVALID, suspect or alike."""
        if self.refused:
            return "INVALID"
        slower = any(each.word for each in self.ratios)
        failing = self.only_b_failed > self.only_a_failed and self.chance < CHANCE
        other = any(each.a // 100 != each.b // 100 and each.count >= FEW for each in self.changes)
        said = self.responses is not None and bool(self.responses.differences)
        return "suspect" if slower or failing or other or said else "alike"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        plain = {"verdict": self.word, **asdict(self)}
        if math.isnan(self.chance):
            plain["chance"] = None
        return plain


def compare(a: Rows, b: Rows, seed: int = 1) -> Comparison:
    """B beside A."""
    left, right = same_requests(a, b)
    failed_a, failed_b = a.failed[left], b.failed[right]
    only_a, only_b = int((failed_a & ~failed_b).sum()), int((failed_b & ~failed_a).sum())
    digests = (a["response_digest"][left], b["response_digest"][right])
    # A recording's digests have a key of their own.
    both = (digests[0] != 0) & (digests[1] != 0) & (a.is_run and b.is_run)
    return Comparison(
        _ratios(a, b, np.random.default_rng(seed)),
        _changes(a, b, left, right),
        len(left),
        int((both & (digests[0] != digests[1])).sum()),
        only_a,
        only_b,
        mcnemar(only_a, only_b) if len(left) else float("nan"),
        (_rate(a), _rate(b)),
        (_throughput(a), _throughput(b)),
        _errors(a, b),
        _sizes(a, b),
        _refused(a, b),
    )


def _refused(a: Rows, b: Rows) -> str:
    """Why nothing is judged; empty where it is."""
    if silent := silence(a):
        where = ", for in A and in B" if silence(b) else " with, for in A"
        return f"there is nothing to compare{where} {silent}."
    for name, rows in (("A", a), ("B", b)):
        if rows.lost:
            return f"{name} is damaged: {rows.lost[0]}."
        kept = fidelity_of_rows(rows)
        if kept is not None and not kept.valid and kept.blame != "target":
            return f"{name} did not follow its plan: {'; '.join(kept.reasons[:2])}."
    if not set(a.endpoints) & set(b.endpoints):
        return "A and B have no endpoint in common, so nothing can be compared."
    return ""


def _throughput(rows: Rows) -> float:
    start, end = rows.span_ns
    return float(rows["response_bytes"].sum()) / ((end - start) / 1e9) if end > start else 0.0


def _errors(a: Rows, b: Rows) -> dict[str, tuple[int, int]]:
    counts = [_classes(rows) for rows in (a, b)]
    names = sorted(counts[0].keys() | counts[1].keys())
    return {name: (counts[0].get(name, 0), counts[1].get(name, 0)) for name in names}


def _classes(rows: Rows) -> dict[str, int]:
    """How many rows failed in which way."""
    failed = rows.failed
    outcomes, statuses = rows["outcome"][failed], rows["status"][failed]
    answered = np.isin(outcomes, (Outcome.ANSWERED, Outcome.NONE))
    found = {f"answered {status}": count for status, count in tally(statuses[answered])}
    for code, count in tally(outcomes[~answered]):
        found[Outcome(code).words] = count
    return found


def _sizes(a: Rows, b: Rows) -> tuple[Size, ...]:
    found = []
    for name in a.endpoints:
        both = [rows.of(name) for rows in (a, b)]
        if all(mask.any() for mask in both):
            told = [(float(np.median(a[column][both[0]])), float(np.median(b[column][both[1]])))
                    for column in ("request_bytes", "response_bytes")]  # fmt: skip
            found.append(Size(name, told[0], told[1]))
    return tuple(found)


def _rate(rows: Rows) -> float:
    start, end = rows.span_ns
    return len(rows) / ((end - start) / 1e9) if end > start else 0.0


def _ratios(a: Rows, b: Rows, rng: np.random.Generator) -> tuple[Ratio, ...]:
    found = []
    for name in a.endpoints:
        of_a, of_b = (rows.answered & rows.of(name) for rows in (a, b))
        count = min(int(of_a.sum()), int(of_b.sum()))
        wanted = [quantile for quantile, needed in NEEDED.items() if count >= needed]
        if not wanted:
            continue
        shares = [QUANTILES[quantile] for quantile in wanted]
        draws = [_bootstrap(rows, mask, shares, rng) for rows, mask in ((a, of_a), (b, of_b))]
        logs = np.log(draws[1] / draws[0])
        before, after = (np.quantile(_times_ms(rows, mask), shares)
                         for rows, mask in ((a, of_a), (b, of_b)))  # fmt: skip
        for place, quantile in enumerate(wanted):
            low, high = np.exp(np.quantile(logs[:, place], (0.025, 0.975)))
            ratio = after[place] / before[place]
            word = "suspect" if low > NOTEWORTHY else ""
            found.append(
                Ratio(name, quantile, float(before[place]), float(after[place]), float(ratio),
                      float(low), float(high), word)
            )  # fmt: skip
    return tuple(found)


def _times_ms(rows: Rows, places: Array) -> Array:
    """Service times; one that a coarse clock told as 0 has a ratio to others all the same."""
    return np.asarray(np.maximum(rows.service_ns[places], RESOLVED_NS) / 1e6)


def _bootstrap(rows: Rows, mask: Array, shares: list[float], rng: np.random.Generator) -> Array:
    """Quantiles in ms of draws of whole windows of time."""
    places = np.flatnonzero(mask)
    if len(places) > DRAWN_FROM:
        places = rng.choice(places, DRAWN_FROM, replace=False)
    sent, times = rows["request_first_ns"][places], _times_ms(rows, places)
    span = max(1, int(np.ptp(sent)))
    window = np.minimum((sent - sent.min()) * WINDOWS // (span + 1), WINDOWS - 1)
    groups = [group for n in range(WINDOWS) if len(group := times[window == n])]
    drawn = []
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(groups), len(groups))
        drawn.append(np.quantile(np.concatenate([groups[n] for n in chosen]), shares))
    return np.array(drawn)


def mcnemar(only_a: int, only_b: int) -> float:
    """The chance of so uneven a split of the pairs that differ."""
    if not only_a + only_b:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_b, only_a + only_b).pvalue)


def _changes(a: Rows, b: Rows, left: Array, right: Array) -> tuple[Change, ...]:
    was, now = a["status"][left].astype(np.int64), b["status"][right].astype(np.int64)
    differ = (was != now) & (was > 0) & (now > 0)  # what was not answered at all failed
    words = a.endpoint[left][differ].astype(np.int64) * 1_000_000 + was[differ] * 1000 + now[differ]
    found = [
        Change(a.endpoints[value // 1_000_000], value // 1000 % 1000, value % 1000, count)
        for value, count in tally(words)
    ]
    return tuple(sorted(found, key=lambda change: -change.count))


def _answers(told: Responses) -> list[str]:
    """What the answers said, for a person."""
    learnt = f", noise learnt from {told.learnt:,}" if told.learnt else ""
    lines = [
        f"answers     {told.pairs:,} pairs, {told.differing:,} differ{learnt}; "
        f"{told.suppressed:,} differences are noise"
    ]
    for each in told.differences[:20]:
        lines.append(
            f"answer      {each.endpoint} {each.path}: {each.kind}, {each.count:,} of "
            f"{each.compared:,}"
        )
        lines += [
            f"              exchange {example.exchange:,}: {example.a} → {example.b}"
            for example in each.examples[:1]
            if example.a or example.b
        ]
    return lines


def as_text(told: Comparison) -> str:
    """The comparison, for a person."""
    a, b = told.rates
    before, after = (f"{size(each)}/s" for each in told.throughput)
    lines = [
        f"{told.word}{': ' + told.refused if told.refused else ''}",
        f"rate        {a:,.1f}/s, then {b:,.1f}/s; answers {before}, then {after}",
    ]
    if told.paired:
        lines.append(
            f"paired      {told.paired:,} requests: {told.only_a_failed:,} failed in A only, "
            f"{told.only_b_failed:,} in B only"
            + (f"; {told.answers_differ:,} answers differ" if told.answers_differ else "")
        )
    lines += [
        f"status      {change.endpoint}: {change.a} → {change.b}, {change.count:,} times"
        for change in told.changes[:10]
    ]
    lines += [
        f"errors      {name}: {was:,}, then {now:,}" for name, (was, now) in told.errors.items()
    ]
    lines += [
        f"size        {each.endpoint}: answers of {size(was)}, then {size(now)}"
        for each in told.sizes
        for was, now in [each.answers]
        if abs(now - was) > NOTEWORTHY_SIZE * max(was, 1)
    ]
    lines += _answers(told.responses) if told.responses else []
    lines += ["", f"{'endpoint':<40}{'':<5}{'A':>9} {'B':>9} {'ratio':>8}  95 %"]
    for each in told.ratios:
        lines.append(
            f"{each.endpoint[:39]:<40}{each.quantile:<5}{human(each.a):>9} {human(each.b):>9}"
            f" {_times(each.ratio):>8}  "
            f"[{each.low:.2f}, {each.high:.2f}] {each.word}".rstrip()
        )
    return "\n".join(lines)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio < 1000 else f"{ratio:.0f}×"
