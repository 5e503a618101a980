"""Workers: processes that each carry out one shard of the plan and hand its rows to their parent.

Sharding is by connection, so order within one never depends on another process. The parent alone
writes the run and keeps the books: the process that sends does nothing else. A worker gets SIGTERM
to stop sending and drain, and a second one to end at once.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from typing import Any

from capture.errors import WiretapeError
from capture.tape import Tape

from .batch import Ahead, Batch, batches
from .clock import NS, WallClock, now_ns
from .engine import Engine
from .options import ReplayOptions
from .plan import plan_chunks
from .rewrite import Rewriter
from .targets import targets_of

Emit = Callable[[tuple[str, Any]], None]
REPORT_S = 0.25


def run_shard(
    tape_path: str, options: ReplayOptions, shard: int, of: int, start_at: int, emit: Emit
) -> None:
    """Send one shard of the plan, from `start_at` (ns since the epoch); rows go to `emit`."""
    targets = targets_of(options)
    rewriter = Rewriter(options)
    wall = WallClock()
    settled: queue.Queue[Batch | None] = queue.Queue()
    with Tape.open(tape_path) as tape:
        source = batches(
            plan_chunks(tape, options, shard, of), tape, rewriter, [t.authority for t in targets]
        )
        ahead = Ahead(source)
        engine = Engine(ahead, targets, options, settled.put)
        _obey_signals(engine)
        reporter = threading.Thread(
            target=_report, args=(settled, engine, emit, start_at, wall.offset, shard)
        )
        reporter.start()
        try:
            engine.run(max(wall.monotonic(start_at), now_ns()))
        finally:
            settled.put(None)
            reporter.join()
            ahead.close()
    emit(("done", dict(rewriter.counts)))


def _report(
    settled: queue.Queue[Batch | None],
    engine: Engine,
    emit: Emit,
    start: int,
    offset: int,
    worker: int,
) -> None:
    while True:
        try:
            batch = settled.get(timeout=REPORT_S)
        except queue.Empty:
            emit(("count", (worker, engine.sent, engine.answered_count, engine.in_flight)))
            continue
        if batch is None:
            return
        emit(("rows", batch.rows(start, offset, worker)))
        emit(("count", (worker, engine.sent, engine.answered_count, engine.in_flight)))


def _obey_signals(engine: Engine) -> None:
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(_number: int, _frame: object) -> None:
        engine.killed = engine.stopping
        engine.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worker_main(
    pipe: Any, tape_path: str, options: ReplayOptions, shard: int, of: int, start_at: int
) -> None:
    """The body of a worker process: `run_shard` whose rows go through a pipe."""
    import sys

    sys.setswitchinterval(50e-6)
    try:
        run_shard(tape_path, options, shard, of, start_at, pipe.send)
    except (WiretapeError, OSError) as failure:
        pipe.send(("failed", str(failure)))
    finally:
        pipe.close()


HEAD_START_NS = NS // 4
