"""The worker processes of a replay: started, listened to, stopped, and missed if they die.

They are listened to on a thread of low priority, so that writing the run never takes the core from
a sender; the caller's thread only waits, and passes Ctrl-C on.
"""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from capture.errors import ReplayError, WiretapeError

from ..collector import Collector
from ..options import ReplayOptions
from .priority import give_way
from .worker import worker_main

PATIENCE_S = 5.0
_LOOK_S = 1.0
ENDS = (signal.SIGTERM, signal.SIGHUP)


class Crew:
    """All workers of one replay."""

    def __init__(self, tape_path: str, options: ReplayOptions, collector: Collector) -> None:
        self._tape_path = tape_path
        self._options = options
        self._collector = collector
        self._processes: dict[Any, tuple[int, Any]] = {}
        self._all: list[Any] = []
        self._ready: list[Any] = []
        self._dead: list[tuple[int, int]] = []  # before there was a start: shard and exit code
        self._failure: BaseException | None = None
        self._stopped = False
        self._until = math.inf  # when who has not ended by then is killed

    def work(self, start_at: Callable[[], int]) -> None:
        """Start them and return when all have ended; `interrupts` are passed on meanwhile.

        Once all are ready, `start_at` tells when due time 0 is (ns since the epoch).
        """
        count = self._options.workers or multiprocessing.cpu_count()
        self._collector.workers = count
        self._start_at = start_at
        context = multiprocessing.get_context("fork")
        for shard in range(count):
            ours, theirs = context.Pipe(duplex=True)
            process = context.Process(
                target=_work,
                args=(
                    [*self._processes, ours],
                    theirs,
                    self._tape_path,
                    self._options,
                    shard,
                    count,
                ),
            )
            process.start()
            theirs.close()
            self._processes[ours] = (shard, process)
            self._all.append(process)
        if self._collector.interrupted:  # before all of them could be told
            self._terminate()
        listener = threading.Thread(target=self._listen)
        listener.start()
        listener.join()
        if self._failure is not None:
            raise self._failure

    def _listen(self) -> None:
        give_way()
        try:
            while self._processes:
                for pipe in multiprocessing.connection.wait(list(self._processes), _LOOK_S):
                    self._hear(pipe)
                if time.monotonic() > self._until:
                    self._kill()
            if self._dead and self._collector.interrupted and not self._collector.start:
                raise KeyboardInterrupt
            if self._dead and not self._collector.failures:
                raise ReplayError(
                    f"No worker lived to send the first request (exit {self._dead[0][1]}): nothing "
                    "was sent. If the system ended them for want of memory, give fewer --workers."
                )
        except (OSError, WiretapeError) as failure:
            self._failure = (
                failure
                if isinstance(failure, WiretapeError)
                else ReplayError(f"The run cannot be written ({failure}): free space or use -o.")
            )
        except BaseException as failure:
            self._failure = failure
        finally:
            self._dismiss()

    def _hear(self, pipe: Any) -> None:
        shard, process = self._processes[pipe]
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            del self._processes[pipe]
            pipe.close()
            process.join()
            self._dead.append((shard, process.exitcode or 0))
            if self._collector.start:
                self._book_dead()
            self._ready = [other for other in self._ready if other is not pipe]
            self._start_if_ready()
            return
        if message[0] == "ready":
            self._ready.append(pipe)
        else:
            self._collector.take(shard, message)
            if self._collector.enough:
                self._stop_sending()
        self._start_if_ready()

    def _start_if_ready(self) -> None:
        """All that are left are ready: the same instant for all."""
        if not self._ready or set(self._ready) != set(self._processes):
            return
        self._collector.begin(self._start_at())
        for pipe in self._ready:
            try:
                pipe.send(self._collector.start)
            except BrokenPipeError:
                pass
        self._ready = []
        self._book_dead()

    def _book_dead(self) -> None:
        """The share of those that died; of who died before the start only now, with its times."""
        while self._dead:
            self._collector.gone(*self._dead.pop(), self._tape_path, self._options)

    def _stop_sending(self) -> None:
        """Send no more, wait for what is on its way; only once, for a second signal ends it."""
        if not self._stopped:
            self._stopped = True
            self._terminate()

    def _kill(self) -> None:
        """Who was asked twice and does not end (a hook that never returns) is ended."""
        self._collector.given_up = True
        for _, process in self._processes.values():
            process.kill()

    def _terminate(self) -> None:
        for process in self._all:
            if process.is_alive():
                process.terminate()

    def _dismiss(self) -> None:
        """Where the run cannot go on, nobody shall send any more."""
        for pipe, (_, process) in self._processes.items():
            pipe.close()
            process.terminate()
            process.terminate()
        for _, process in self._processes.values():
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Ctrl-C is passed on as SIGTERM: drain; a second one: end at once.

        Once all have ended it changes nothing, so whoever writes the end of the run can do so.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def pass_on(_number: int, _frame: object) -> None:
            if self._collector.interrupted:
                self._until = min(self._until, time.monotonic() + PATIENCE_S)
            self._collector.interrupted = True
            self._terminate()

        before = signal.signal(signal.SIGINT, pass_on)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


@contextmanager
def ending_alike() -> Iterator[None]:
    """SIGTERM and SIGHUP end as Ctrl-C does; where one is ignored (nohup), it stays ignored."""
    before = {number: signal.getsignal(number) for number in ENDS}
    heard = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        heard = []
    try:
        for number in heard:
            signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _work(inherited: list[Any], *arguments: Any) -> None:
    """A worker, without our ends of the pipes: where we are gone it has to notice, and stop."""
    for pipe in inherited:
        pipe.close()
    sys.stdout = sys.stderr  # what a hook prints is no part of the result
    worker_main(*arguments)
