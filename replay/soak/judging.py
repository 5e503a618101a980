"""Judging segments while the soak goes on: one after another, each in a process that then ends.

A process of its own, because judging takes a segment's rows into memory and the soak's own memory
shall stay flat; of low priority, because it must not make a request late. A segment is judged as
any run is; leaks known so far are evidence. Gates are held against each segment.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .segments import Segment

PATIENCE_S = 600.0
Leaks = list[tuple[str, str]]
"""Subject and sentence of the leaks that are known; None stands for a target nobody watches."""


@dataclass
class Judged:
    """What a segment came to."""

    segment: str
    number: int
    rows: int = 0
    word: str = ""
    sentence: str = ""
    fidelity: float | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""


class Judging:
    """Judges segments on a thread of its own and tells what came of each."""

    def __init__(
        self, gates: Sequence[str], leaks: Callable[[], Leaks], told: Callable[[Judged], None],
        watched: bool,
    ) -> None:  # fmt: skip
        self._gates, self._leaks, self._told, self._watched = list(gates), leaks, told, watched
        self._queue: queue.Queue[Segment | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def add(self, segment: Segment) -> None:
        """A segment has ended."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._queue.put(segment)

    def close(self) -> None:
        """Judge what waits."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (segment := self._queue.get()) is not None:
            self._told(self._judged(segment))

    def _judged(self, segment: Segment) -> Judged:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_judge_in_process, daemon=True,
            args=(theirs, segment.path, self._gates, self._leaks() if self._watched else None),
        )  # fmt: skip
        process.start()
        theirs.close()
        values: dict[str, Any]  # of Judged
        try:
            values = ours.recv() if ours.poll(PATIENCE_S) else {"problem": "it took too long"}
        except EOFError:
            values = {"problem": "the judge died"}
        finally:
            ours.close()
            process.join(1)
            if process.is_alive():
                process.terminate()
                process.join()
        return Judged(segment.path.name, segment.number, **({"rows": segment.rows} | values))


def _judge_in_process(pipe: Any, path: Path, gates: list[str], leaks: Leaks | None) -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(15)
    try:
        pipe.send(_judge_segment(path, gates, leaks))
    except Exception as failure:  # whatever is wrong with one segment must not end a soak
        pipe.send({"problem": f"{type(failure).__name__}: {failure}"})
    finally:
        pipe.close()


def _judge_segment(path: Path, gates: list[str], leaks: Leaks | None) -> dict[str, Any]:
    """What a segment comes to, as plain values."""
    from ..verdict.gate import check, parse
    from ..verdict.judge import Finding, judge
    from ..verdict.measures import Evidence
    from ..verdict.rows import read_rows

    rows = read_rows(path)
    known = tuple(Finding("leak", subject, sentence, 70) for subject, sentence in leaks or ())
    beside = Evidence(watched=leaks is not None)
    verdict = judge(rows, known)
    found = [] if verdict.refused else [f for f in verdict.findings if f not in known]
    return {
        "rows": len(rows),
        "word": verdict.word,
        "sentence": verdict.sentence,
        "fidelity": verdict.fidelity.s if verdict.fidelity else None,
        "findings": [{"kind": f.kind, "subject": f.subject, "sentence": f.sentence} for f in found],
        "gates": [asdict(check(parse(text), rows, verdict, beside)) for text in gates],
    }
