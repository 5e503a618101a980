"""One replay from beginning to end: workers started, rows collected, the run written, summed up."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from capture.columns import EXCHANGES
from capture.errors import ReplayError
from capture.ledger import Ledger
from capture.tape import Tape, TapeHeader, TapeWriter

from .clock import noise_floor
from .options import ReplayOptions
from .outcome import Summary, Tally
from .safety import raise_file_limit, refuse_production
from .targets import targets_of
from .workers import HEAD_START_NS, worker_main

_NAMES = frozenset(column.name for column in EXCHANGES)


@dataclass(frozen=True)
class Progress:
    """Where a running replay is."""

    elapsed_s: float
    sent: int
    answered: int
    in_flight: int
    planned: int
    errors: int
    lateness_p99_ns: int


OnProgress = Callable[[Progress], None]


def replay(
    tape_path: str | Path,
    options: ReplayOptions,
    run_path: str | Path,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Send a tape as the options say; what happened is written to `run_path` and summed up."""
    targets = targets_of(options)
    with Tape.open(tape_path) as tape:
        if not options.yes_this_is_production:
            refuse_production(tape, targets)
        planned = tape.exchange_count
        if not planned:
            raise ReplayError(f"{tape_path}: holds no exchange, so there is nothing to replay.")
        header = TapeHeader(
            kind="run", source=tape.header.tape_id, level=tape.header.level,
            policy=tape.header.policy, options=_plain(options),
        )  # fmt: skip
        warnings = [f"The tape is damaged: {loss}" for loss in tape.losses]
    floor = [] if options.no_calibrate else noise_floor()
    collector = _Collector(Path(run_path), header, planned, on_progress)
    collector.warnings += warnings
    _run_workers(str(tape_path), options, collector)
    return collector.end(options, floor)


def _plain(options: ReplayOptions) -> dict[str, Any]:
    return {name: str(value) for name, value in asdict(options).items() if value not in ("", ())}


def start_instant(options: ReplayOptions) -> int:
    """When due time 0 is, in ns since the epoch."""
    if not options.start_at:
        return time.time_ns() + HEAD_START_NS
    try:
        return round(float(options.start_at) * 1e9)
    except ValueError:
        pass
    try:
        return round(datetime.fromisoformat(options.start_at).timestamp() * 1e9)
    except ValueError:
        raise ReplayError(f"--start-at {options.start_at!r} is not a time.") from None


class _Collector:
    """Takes what workers send: writes rows to the run, keeps the tally, tells the progress."""

    def __init__(
        self, path: Path, header: TapeHeader, planned: int, on_progress: OnProgress | None
    ) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._writer = TapeWriter(path, header)
        self._tally = Tally()
        self._ledger = Ledger()
        self._planned = planned
        self._on_progress = on_progress
        self._counts: dict[int, tuple[int, int, int]] = {}
        self._began = time.monotonic()
        self._told = 0.0

    def take(self, message: tuple[str, Any]) -> None:
        """One message of a worker."""
        kind, value = message
        if kind == "rows":
            self._tally.add(value)
            self._writer.append_rows(_storable(value))
        elif kind == "count":
            self._counts[value[0]] = value[1:]
            self._tell()
        elif kind == "done":
            self._tally.rewritten.update(value)
        else:
            self.warnings.append(f"A worker failed: {value}")

    def _tell(self) -> None:
        now = time.monotonic()
        if self._on_progress is None or now - self._told < 0.5:
            return
        self._told = now
        sent, answered, flying = (sum(n) for n in zip(*self._counts.values(), strict=True))
        booked = self._tally.planned - self._tally.outcomes["ANSWERED"]
        late = self._tally.lateness.quantile(0.99)
        self._on_progress(
            Progress(now - self._began, sent, answered, flying, self._planned, booked, late)
        )

    def end(self, options: ReplayOptions, floor: list[int]) -> Summary:
        """Close the run and sum it up."""
        for outcome, count in self._tally.outcomes.items():
            self._ledger.book("planned requests", outcome.lower().replace("_", " "), count)
        self._writer.close(self._ledger)
        noise = {}
        if floor:
            noise = {"p50": floor[len(floor) // 2], "p99": floor[len(floor) * 99 // 100]}
        if not self._tally.planned and self.warnings:
            raise ReplayError(self.warnings[-1])
        return self._tally.summary(
            noise_floor=noise,
            fidelity=None if options.at_max else _fidelity(self.path, noise),
            warnings=self.warnings,
            run=str(self.path),
        )


def _fidelity(path: Path, noise: dict[str, int]) -> dict[str, Any]:
    from shapes.fidelity import fidelity_of

    with Tape.open(path) as run:
        return fidelity_of(run, noise_p99_ns=noise.get("p99")).to_json()


def _storable(rows: dict[str, Any]) -> dict[str, Any]:
    return {
        name: column.strings() if hasattr(column, "codes") else column
        for name, column in rows.items()
        if name in _NAMES
    }


def _run_workers(tape_path: str, options: ReplayOptions, collector: _Collector) -> None:
    raise_file_limit()
    count = options.workers or multiprocessing.cpu_count()
    context = multiprocessing.get_context("fork")
    start = start_instant(options)
    processes: dict[Any, Any] = {}
    for shard in range(count):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=worker_main, args=(theirs, tape_path, options, shard, count, start)
        )
        process.start()
        theirs.close()
        processes[ours] = process
    with _interrupts(list(processes.values())):
        while processes:
            for pipe in multiprocessing.connection.wait(list(processes)):
                _take_from(pipe, processes, collector)


def _take_from(pipe: Any, processes: dict[Any, Any], collector: _Collector) -> None:
    try:
        collector.take(pipe.recv())
    except (EOFError, ConnectionResetError):
        process = processes.pop(pipe)
        pipe.close()
        process.join()
        if process.exitcode:
            collector.warnings.append(
                f"Worker {process.name} died (exit {process.exitcode}): its share is incomplete."
            )


@contextmanager
def _interrupts(processes: list[Any]) -> Iterator[None]:
    """Ctrl-C is passed on as SIGTERM: drain; a second one: end at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(_number: int, _frame: object) -> None:
        for process in processes:
            if process.is_alive():
                process.terminate()

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
