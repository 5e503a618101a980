"""How like its source is a tape made from its shape alone: |Δ ln IDC| from 10 ms to T/30.

The sample capture and both Azure traces, several seeds each; beside them a Poisson stream of the
same rate, which is what a load generator with a fixed rate sends. And how users pause: the median,
the 90 % and the 99 % quantile of the synthetic tape over those of its source, and the mean
requests of a session over those of its source (the users of the Azure traces are drawn at random
here, since the traces name none: their pauses are as long as the tape).

    python -m tests.bench.bench_synth [seeds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from capture.tape import Tape
from samples.services import wiretape
from shapes.shape import describe
from shapes.synth import synthesize
from tests.shapes.synthetic import AZURE, azure, furthest, tape_at

SAMPLE = Path(__file__).parents[2] / "samples" / "pcaps" / "shop.pcap.gz"


def sources(folder: Path) -> dict[str, Path]:
    """The tapes to be like."""
    sample = folder / "sample.tape"
    wiretape("capture", "pcap", SAMPLE, "-o", sample)
    found = {"sample capture": sample}
    for name, path in AZURE.items():
        if path.exists():
            found[f"Azure {name}"] = tape_at(folder / f"{name}.tape", azure(name))
    return found


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'source':16}{'requests':>10}{'synthetic, worst |Δ ln IDC|':>30}{'at τ':>9}"
          f"{'Poisson':>9}{'think p50':>11}{'p90':>6}{'p99':>6}{'session':>9}"
          f"{'made in':>9}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, path in sources(Path(folder)).items():
            with Tape.open(path) as tape:
                source = describe(tape)
            span_ns = round(source["arrivals"]["span_s"] * 1e9)
            apart, took, thinks = [], [], []
            for seed in range(seeds):
                made = Path(folder) / "made.tape"
                began = time.perf_counter()
                synthesize(source, str(made), span_ns, seed)
                took.append(time.perf_counter() - began)
                with Tape.open(made) as tape:
                    found = describe(tape)
                apart.append(furthest(source, found))
                theirs, mine = (each["sessions"]["think_s"] for each in (source, found))
                ratios = [mine[q] / theirs[q] for q in ("p50", "p90", "p99")]
                lengths = [each["sessions"]["mean_requests"] for each in (found, source)]
                thinks.append([*ratios, lengths[0] / lengths[1]])
            count = source["arrivals"]["exchanges"]
            times = np.sort(np.random.default_rng(1).integers(0, span_ns, count)) + 10**18
            with Tape.open(tape_at(Path(folder) / "even.tape", times)) as tape:
                poisson, _ = furthest(source, describe(tape))
            worst, tau = max(apart)
            p50, p90, p99, length = np.median(thinks, axis=0)
            print(f"{name:16}{count:10,}{worst:30.3f}{tau:8g}s{poisson:9.2f}"
                  f"{p50:11.2f}{p90:6.2f}{p99:6.2f}{length:9.2f}"
                  f"{np.median(took):8.1f}s")  # fmt: skip


if __name__ == "__main__":
    main()
