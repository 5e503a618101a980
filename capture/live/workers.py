"""Live recording by one process or by several that share the packets of each interface.

The kernel hands all packets of a connection to one worker (PACKET_FANOUT by hash). Each worker has
its own rings and tapes; they share the key of pseudonyms and number connections apart, so that
their directory is one tape. Each second a worker tells how it is; when its parent is gone it ends.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from ..errors import WiretapeError
from ..ledger import Ledger
from ..log import Tell, teller
from ..recording import calm_collector, open_recorder
from ..sanitize.options import sanitizer_from
from .guard import Guard
from .loop import LiveLoop, Wishes
from .metrics import Health, Report, serve
from .options import LiveOptions
from .privileges import drop_privileges
from .ring import Ring, RingOptions
from .sampling import Sampler

if TYPE_CHECKING:
    from ..sanitize import Sanitizer

_WAIT_S = 0.2
_PATIENCE_S = 30.0


def record_live(options: LiveOptions, tell: Tell) -> tuple[Ledger, str]:
    """Record until the end; the ledger, and the first thing that failed."""
    cleaner = sanitizer_from(options)
    health = Health()
    if options.workers == 1:
        wishes = Wishes()

        def take(report: Report) -> None:
            health.reports[0] = report

        worker = Worker(options, cleaner, tell, take)
        if options.metrics:
            _serve(health, options.metrics, tell)
        failure = worker.run(wishes)
        return health.ledger(), failure
    return Crew(options, cleaner, tell, health).run()


def _serve(health: Health, place: tuple[str, int], tell: Tell) -> None:
    port = serve(health, place)
    tell(f"metrics on http://{place[0]}:{port}/metrics")


class Worker:
    """One process's share of a recording."""

    def __init__(
        self,
        options: LiveOptions,
        cleaner: Sanitizer,
        tell: Tell,
        take: Callable[[Report], None],
        number: int = 0,
        group: int = 0,
    ) -> None:
        self._options, self._number = options, number
        self._tell = tell
        self._take = take
        share = options.workers
        self._guard = Guard(Sampler(), options.max_cpu / share, options.max_memory // share)
        self._rings = [
            Ring(RingOptions(name, options.ring, options.promiscuous, group and group + place,
                             options.port, options.filter))
            for place, name in enumerate(options.interface)
        ]  # fmt: skip
        self._guard.ring_bytes = sum(ring.size for ring in self._rings)
        drop_privileges(options.user)
        self._recorder = open_recorder(
            options, ",".join(options.interface), teller(options.log_format, "error"),
            sampler=self._guard.sampler, cleaner=cleaner, worker=number, workers=share,
        )  # fmt: skip

    def run(self, wishes: Wishes) -> str:
        """Record; the first thing that failed, or an empty string."""
        options, recorder = self._options, self._recorder
        calm_collector()
        wishes.listen()
        warn = teller(options.log_format, "warning") if self._number == 0 else _silent
        if self._number == 0:  # it speaks for all
            share = f" with {options.workers} workers" if options.workers > 1 else ""
            self._tell(f"recording {', '.join(options.interface)}{share}; Ctrl-C ends it")
        loop = LiveLoop(
            self._rings, recorder, self._guard, wishes, self._report, warn,
            (self._teller("warning"), self._teller("info")),
        )  # fmt: skip
        try:
            loop.run(options.duration / 1e9)
        finally:
            wishes.restore()
            recorder.close()
            for ring in self._rings:
                ring.close()
            self._report()
        failure: str = recorder.failure
        return failure

    def _teller(self, level: str) -> Tell:
        """Of what each worker says of itself."""
        speak = teller(self._options.log_format, level)
        who = f"worker {self._number}: " if self._options.workers > 1 else ""
        return lambda sentence: speak(who + sentence)

    def _report(self) -> None:
        recorder = self._recorder
        rate = self._guard.sampler.rate
        counts = recorder.ledger.as_dict()
        self._take(Report(counts, self._guard.memory, rate, recorder.waiting_s()))


def _silent(sentence: str) -> None:
    """Another says it."""
    del sentence


class Crew:
    """Several workers, and the process that waits for them."""

    def __init__(
        self, options: LiveOptions, cleaner: Sanitizer, tell: Tell, health: Health
    ) -> None:
        self._options = options
        self._cleaner = cleaner
        self._tell = tell
        self._health = health
        self._failure = ""
        self._group = (os.getpid() & 0x7FFF) or 1

    def run(self) -> tuple[Ledger, str]:
        """Start the workers, listen to them, and end with the last."""
        wishes = Wishes()
        context = multiprocessing.get_context("fork")
        pipes: dict[Connection, int] = {}
        workers = []
        for number in range(self._options.workers):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=self._work, args=(number, theirs))
            process.start()
            theirs.close()
            pipes[mine] = number
            workers.append(process)
        wishes.listen()
        try:
            if self._options.metrics:
                _serve(self._health, self._options.metrics, self._tell)
            self._listen(pipes, wishes, workers)
        finally:
            wishes.restore()
            for process in workers:
                if process.is_alive():
                    process.terminate()
                process.join(_PATIENCE_S)
        return self._health.ledger(), self._failure

    def _listen(
        self,
        pipes: dict[Connection, int],
        wishes: Wishes,
        workers: list[multiprocessing.context.ForkProcess],
    ) -> None:
        asked = False
        while pipes:
            for ready in multiprocessing.connection.wait(list(pipes), _WAIT_S):
                assert isinstance(ready, Connection)
                self._hear(ready, pipes)
            if wishes.rotate:
                wishes.rotate = False
                _signal(workers, wishes.ROTATE)
            if wishes.end and not asked:
                asked = True
                _signal(workers, wishes.END)

    def _hear(self, pipe: Connection, pipes: dict[Connection, int]) -> None:
        number = pipes[pipe]
        try:
            said = pipe.recv()
        except EOFError:
            del pipes[pipe]
            self._fail(f"worker {number} died")
            return
        if isinstance(said, Report):
            self._health.reports[number] = said
            return
        del pipes[pipe]
        if said:
            self._fail(str(said))

    def _fail(self, sentence: str) -> None:
        teller(self._options.log_format, "error")(sentence)
        self._failure = self._failure or sentence.rstrip(".")

    def _work(self, number: int, pipe: Connection) -> None:
        wishes = Wishes()

        def take(report: Report) -> None:
            try:
                pipe.send(report)
            except OSError:
                wishes.end = True  # whoever started us is gone

        try:
            worker = Worker(self._options, self._cleaner, self._tell, take, number, self._group)
            said = worker.run(wishes)
        except (WiretapeError, OSError) as failure:
            said = str(failure)
        pipe.send(said)


def _signal(workers: list[multiprocessing.context.ForkProcess], number: int) -> None:
    for process in workers:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)
