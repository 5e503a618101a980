"""The times of a run as HdrHistogram writes them: logs that its tools read and merge, and `.hgrm`
files of percentiles that its plotters draw.

A folder holds `response.hlog`, `service.hlog` and `lateness.hlog`, each with one line of all
requests and one a endpoint, whose tag is its name with spaces as %20; and the same as percentiles
in `.hgrm` files, in ms. Values in logs are ns, to three significant digits, up to a day. Our own
buckets are those of HdrHistogram, so nothing is lost on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from capture.errors import ReplayError

from .outcome import Histogram

if TYPE_CHECKING:
    from .outcome import Tally

KINDS = ("response", "service", "lateness")
LONGEST_NS = 86_400_000_000_000
_DIGITS = 3
_MS = 1e6
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")
_VERSION = "1.3"


def write_histograms(folder: Path, tally: Tally, start_ns: int) -> None:
    """Write the times of a run that began then (ns since the epoch) to a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            _write_kind(folder, kind, tally, start_ns)
    except OSError as failure:
        raise ReplayError(
            f"{folder}: histograms cannot be written there ({failure.strerror}); the run is."
        ) from None


def _write_kind(folder: Path, kind: str, tally: Tally, start_ns: int) -> None:
    start_s, lasted_s = start_ns / 1e9, tally.lasted_ns / 1e9
    lines = [
        f"#[Histogram log format version {_VERSION}]\n",
        f"#[wiretape: {kind} times in ns]\n",
        f"#[StartTime: {start_s:.3f} (seconds since epoch)]\n",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n',
    ]
    for name, stem, found in _named(kind, tally):
        made = as_hdr(found)
        tag = f"Tag={tag_of(name)}," if name else ""
        most_ms = made.get_max_value() / _MS
        payload = made.encode().decode()
        lines.append(f"{tag}{start_s:.3f},{lasted_s:.3f},{most_ms:.3f},{payload}\n")
        with open(folder / f"{stem}.hgrm", "wb") as file:
            made.output_percentile_distribution(file, _MS)
    (folder / f"{kind}.hlog").write_text("".join(lines))


def tag_of(endpoint: str) -> str:
    """An endpoint as a tag: without spaces, commas and line ends."""
    return quote(endpoint, safe="/{}*:()~!@$")


def _named(kind: str, tally: Tally) -> Iterator[tuple[str, str, Histogram]]:
    """(endpoint, file name, histogram), first of all requests together."""
    whole = Histogram()
    for times in tally.endpoints.values():
        whole.merge(getattr(times, kind))
    yield "", kind, whole
    taken: set[str] = set()
    for name, times in tally.endpoints.items():
        stem = f"{kind}.{_UNFIT.sub('_', name).strip('_')[:100]}"
        while stem.lower() in taken:  # two names may differ in what a file name cannot hold
            stem += "_"
        taken.add(stem.lower())
        yield name, stem, getattr(times, kind)


def as_hdr(histogram: Histogram) -> Any:
    """One of ours as one of HdrHistogram's."""
    from hdrh.histogram import HdrHistogram

    made = HdrHistogram(1, LONGEST_NS, _DIGITS)
    for value, count in histogram.bars():
        made.record_value(min(value, LONGEST_NS), count)
    return made
