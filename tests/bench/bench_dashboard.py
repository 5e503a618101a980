"""What it costs in lateness to be looked at: the live page, metrics and OTLP, beside nobody.

A bursty tape at 2,000 requests/s is replayed in turns with each of them; the page has two readers,
the metrics are scraped each second, outcomes go to a real sink. Sender and readers share the
machine as they would; the sender runs with --realtime where that is allowed, so that what else the
machine does is not taken for a cost.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from replay.observe.observers import observers
from replay.observe.options import ObserveOptions
from tests.bench.bench_lateness import make_tape, may_run_in_real_time, recorder
from tests.bench.common import median

RATE = 2_000
ROUNDS = 3
ANY = ("127.0.0.1", 0)


@contextmanager
def reading(urls: list[str], each: Callable[[str], None], count: int) -> Iterator[None]:
    """So many readers of each address, until the block ends."""
    stop = threading.Event()

    def work(url: str) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                each(url)
            stop.wait(1)

    threads = [threading.Thread(target=work, args=(url,)) for url in urls for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def read_events(url: str) -> None:
    """Read a live page's events until it ends."""
    with urllib.request.urlopen(url + "/events", timeout=30) as answer:
        while answer.readline():
            pass


def scrape(url: str) -> None:
    """Read the metrics once."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        answer.read()


def measure(tape: Path, folder: Path, options: ObserveOptions) -> dict[str, float]:
    """Lateness in µs and fidelity of one replay that is looked at like this."""
    from replay.options import ReplayOptions
    from replay.run import replay

    said: list[str] = []
    with recorder() as (url, pipe), observers(options, "bench", said.append) as looking:
        pages = [line.split()[-1] for line in said if "page" in line]
        exposed = [line.split()[-1] for line in said if "Metrics" in line]
        with reading(pages, read_events, 2), reading(exposed, scrape, 1):
            began = time.process_time()
            chosen = ReplayOptions(target=(url,), realtime=may_run_in_real_time())
            summary = replay(tape, chosen, folder / "r.tape", observers=looking.calls)
            cpu = time.process_time() - began
            pipe.send(None)
            pipe.recv()
            if options.dashboard:  # its readers end with it
                looking.close()
    assert summary.answered == summary.planned, summary.outcomes
    assert summary.fidelity is not None
    figures = {f"lateness {name} µs": ns / 1e3 for name, ns in summary.lateness.items()}
    return figures | {"S": summary.fidelity["s"], "CPU s of our process": cpu}


def main() -> None:
    from tests.replay.observe.test_metrics import collector

    with tempfile.TemporaryDirectory() as name, collector() as (sink, _):
        folder = Path(name)
        make_tape(folder / "t.tape", RATE)
        hows = {
            "nobody": ObserveOptions(),
            "live page, 2 readers": ObserveOptions(dashboard=ANY),
            "metrics": ObserveOptions(metrics=ANY),
            "OTLP": ObserveOptions(otlp=sink),
            "all three": ObserveOptions(ANY, ANY, sink),
        }
        rounds: dict[str, list[dict[str, float]]] = {how: [] for how in hows}
        for _ in range(ROUNDS):
            for how, options in hows.items():
                rounds[how].append(measure(folder / "t.tape", folder, options))
        print(f"## A bursty tape at {RATE:,}/s, looked at by (medians of {ROUNDS})\n")
        names = list(rounds["nobody"][0])
        print("| who looks | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
        for how, each in rounds.items():
            values = [f"{median([one[name] for one in each]):,.4g}" for name in names]
            print(f"| {how} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
