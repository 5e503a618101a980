"""Workers: processes that each carry out one shard of the plan and hand its rows to their parent.

Sharding is by connection, so order within one never depends on another process. A worker is two
processes: a feeder, and its child, the sender, which does nothing but send on time. The parent
alone writes the run and keeps the books. A worker gets SIGTERM to stop sending and drain, and a
second one to end at once.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from capture.errors import WiretapeError
from capture.tape import Tape

from ..handover.batch import Batch
from ..handover.channel import BEGUN, CONNECTION, COUNT, SETTLED, STOPPED, Intake, pair, tell
from ..keeping import Keeper
from ..options import ReplayOptions
from ..planning.openings import openings_of
from ..planning.plan import plan_chunks
from ..planning.silent import silent_connections
from ..sending.at_max import EngineAtMax
from ..sending.clock import NS, WallClock, now_ns
from ..sending.connection import Wire
from ..sending.engine import Engine
from ..targets import Target, targets_of
from .feeder import Emit, Feeder
from .loading import Loader
from .priority import go_first

COUNT_EVERY_NS = NS // 4


def run_shard(
    tape_path: str,
    options: ReplayOptions,
    shard: int,
    of: int,
    start_at: Callable[[], int],
    emit: Emit,
) -> None:
    """Send one shard of the plan; rows go to `emit`.

    `start_at` tells when (ns since the epoch); it is asked when the first batch is ready, so that
    all workers can be ready before the first request of any.
    """
    share = openings_of(options.connections).share(shard, of)
    options = replace(options, connections=str(share))
    targets = targets_of(options)
    wall = WallClock()
    ours, theirs = pair()
    # What was inherited is never walked again: in a large process (a test suite, a service that
    # embeds us) one walk by the sender's collector takes longer than the time until due time 0.
    gc.freeze()
    sender = os.fork()
    if not sender:
        ours.close()
        _send(theirs, targets, options)
    theirs.close()
    _pass_signals_to(sender)
    with Tape.open(tape_path) as tape, ours:
        loader = Loader(tape, options, [target.authority for target in targets])
        chunks = plan_chunks(tape, options, shard, of)
        silent = silent_connections(tape, options, shard, of)
        feeder = Feeder(ours, loader, chunks, emit, shard, options, silent)
        try:
            feeder.prepare()
            start = max(wall.monotonic(start_at()), now_ns())
            feeder.run(wall.wall(start), wall.offset)
        finally:
            ours.close()
            status = os.waitstatus_to_exitcode(os.waitpid(sender, 0)[1])
    if status:
        emit(("lost", (shard, status)))
    lost = [str(loss) for loss in tape.losses]
    emit(("done", (shard, feeder.stopped_at != -1, dict(loader.rewriter.counts), lost)))


def _send(end: socket.socket, targets: list[Target], options: ReplayOptions) -> None:
    """The body of the sender; never returns."""
    status = 1
    try:
        _carry_out(end, targets, options)
        status = 0
    except (BrokenPipeError, ConnectionResetError):  # the feeder has gone
        status = 0
    except BaseException as failure:
        os.write(2, f"The sender failed: {failure!r}\n".encode())
    finally:
        os._exit(status)


def _carry_out(end: socket.socket, targets: list[Target], options: ReplayOptions) -> None:
    told_at = 0

    def settled(batch: Batch) -> None:
        nonlocal told_at
        tell(end, SETTLED, batch.number, fd=keeper.take(batch.number))
        if (now := now_ns()) > told_at:
            told_at = now + COUNT_EVERY_NS
            count()

    def begun(batch: Batch) -> None:
        tell(end, BEGUN, batch.number)
        count()

    def count() -> None:
        tell(end, COUNT, engine.sent, engine.answered_count, engine.in_flight)

    def closed(wire: Wire) -> None:
        if wire.connect_ns >= 0:
            tell(
                end, CONNECTION, wire.lane, wire.client, wire.open_ns, now_ns(), wire.closing,
                wire.sent, wire.received, wire.served,
            )  # fmt: skip

    def kept(batch: Batch, row: int, head: bytes, body: bytes) -> None:
        keeper.keep(batch.number, row, head, body)

    keeper = Keeper()
    go_first(options.realtime)
    intake = Intake(end)
    kind = EngineAtMax if options.at_max else Engine
    engine = kind(intake, targets, options, settled, begun, closed, kept)
    _obey_signals(engine)
    start = intake.start()
    if start < 0:
        return
    try:
        engine.run(start)
    finally:
        count()
        if engine.stopped_at >= 0:
            tell(end, STOPPED, engine.stopped_at)
        end.close()


def _pass_signals_to(sender: int) -> None:
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(_number: int, _frame: object) -> None:
        try:
            os.kill(sender, signal.SIGTERM)
        except ProcessLookupError:
            pass

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _obey_signals(engine: Engine) -> None:
    def stop(_number: int, _frame: object) -> None:
        engine.killed = engine.stopping
        engine.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def worker_main(pipe: Any, tape_path: str, options: ReplayOptions, shard: int, of: int) -> None:
    """The body of a worker process: `run_shard` whose rows go through a pipe."""

    def start_at() -> int:
        pipe.send(("ready", shard))
        instant: int = pipe.recv()
        return instant

    try:
        run_shard(tape_path, options, shard, of, start_at, pipe.send)
    except (BrokenPipeError, EOFError):
        pass  # nobody listens any more
    except (WiretapeError, OSError) as failure:
        pipe.send(("failed", str(failure)))
    finally:
        pipe.close()
