"""The pages of a shape and of a plan of N exchanges: how large they are, how soon they are open.

The limits are 6 MB and 2 s, on a desk and on a phone, from the begin of loading until all is drawn.
`first`: something can be read; `zoomed`: from the press of the button until Plotly drew all anew.

    python -m tests.bench.bench_pages [exchanges]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from capture.tape import Tape
from replay.options import PlanOptions
from replay.planning.figures import figures_of
from replay.planning.page import write_page
from shapes.cards import cards_of, facts_of
from shapes.plots import page as page_of
from shapes.shape import describe
from tests.bench.bench_report import opened
from tests.bench.bench_shapes import make
from tests.browser.chromium import chromium

_ROUNDS = 3


def pages(folder: Path, exchanges: int) -> list[tuple[Path, float]]:
    """The two pages, and how many seconds each took to be made."""
    make(folder / "big.tape", exchanges)
    shape, plan = folder / "shape.html", folder / "plan.html"
    options = PlanOptions(scale=2.0)
    with Tape.open(folder / "big.tape") as tape:
        began = time.perf_counter()
        said = describe(tape)
        shape.write_text(page_of("The shape of big.tape", cards_of(said), facts_of(said)))
        described = time.perf_counter()
        write_page(str(plan), tape, options, figures_of(tape, options))
    return [(shape, described - began), (plan, time.perf_counter() - described)]


def main() -> None:
    """Print the table."""
    exchanges = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    if chromium() is None:
        sys.exit("No Chromium is installed here.")
    print(f"{'page':>8}{'exchanges':>13}{'made in':>10}{'size':>9}{'width':>7}{'first':>8}"
          f"{'drawn':>8}{'CPU':>8}{'zoomed':>8}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for path, took in pages(Path(folder), exchanges):
            for width, dark in ((1440, False), (390, True)):
                seen = [asyncio.run(opened(path.as_uri(), width, dark)) for _ in range(_ROUNDS)]
                times = np.median([(s.first, s.drawn, s.busy, s.live) for s in seen], axis=0)
                faults = sum(each.errors for each in seen)
                size = path.stat().st_size / 1e6
                print(f"{path.stem:>8}{exchanges:13,}{took:8.1f} s{size:6.2f} MB{width:7}"
                      + "".join(f"{each:6.2f} s" for each in times)
                      + f"  {faults} console errors")  # fmt: skip


if __name__ == "__main__":
    main()
