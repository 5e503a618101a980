"""Where tapes go: one file, or a directory of tapes that is itself read as one tape.

A tape is never opened over one that this recording has written: where a new one begins without
`--rotate` (on SIGHUP) it stands beside the first under the next free number. With `--rotate`, or
where several workers write, the output is a directory, tapes are named by the time they began,
and `--keep` removes the oldest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import TapeError
from .options import option
from .rotation import LIMIT, Limit, expired, tapes_of

if TYPE_CHECKING:
    from .tape import TapeHeader, TapeWriter
    from .tape.writer import Inspect


_LOOK_NS = 1_000_000_000  # how often it is looked for tapes that have to go


@dataclass(frozen=True)
class TapeOptions:
    """Where the tape goes."""

    output: str = option(
        "", help="The tape to write; with --rotate the directory of tapes.", names=("-o",),
        required=True, metavar="PATH",
    )  # fmt: skip
    rotate: Limit | None = option(  # noqa: RUF009 - a field
        None, help="Begin a new tape at this size or after this time (256MB, 10m).", type=LIMIT,
        metavar="LIMIT",
    )  # fmt: skip
    keep: Limit | None = option(  # noqa: RUF009 - a field
        None, help="With --rotate: remove tapes beyond this age or size in all (24h, 50GB).",
        type=LIMIT, metavar="LIMIT",
    )  # fmt: skip
    encrypt_to: tuple[str, ...] = option(
        (), help="Encrypt to this age public key (repeatable).", metavar="age1…"
    )


class Outputs:
    """Opens one tape after the other."""

    def __init__(
        self,
        options: TapeOptions,
        header: Callable[[], TapeHeader],
        worker: int = 0,
        workers: int = 1,
        inspect: Inspect | None = None,
    ) -> None:
        self._options = options
        self._directory = bool(options.rotate) or workers > 1
        self._header = header
        self._inspect = inspect
        self._worker, self._workers = worker, workers
        self._number = 0
        self._began_ns = self._looked_ns = 0
        self._writer: TapeWriter | None = None
        if options.keep and not options.rotate:
            raise TapeError("--keep removes tapes of a directory; give --rotate, too.")

    def open(self) -> TapeWriter:
        """The next tape."""
        from .tape import TapeWriter

        self._number += 1
        self._began_ns = time.monotonic_ns()
        header = self._header()
        cipher = None
        if self._options.encrypt_to:
            from .tape.seal import new_cipher

            # A key of its own for each tape: a section's number is unique in its tape only.
            cipher, header.sealed_key = new_cipher(self._options.encrypt_to)
        path = self._path()
        first = self._number == 1 and not self._directory
        self._writer = TapeWriter(
            path, header, cipher=cipher, inspect=self._inspect, overwrite=first, spare=first
        )
        self._remove_old()
        return self._writer

    def due(self) -> bool:
        """Whether the next tape is to begin."""
        if self._options.rotate is None or self._writer is None:
            return False
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns > _LOOK_NS:
            self._looked_ns = now_ns
            self._remove_old()
        age_ns = now_ns - self._began_ns
        return self._options.rotate.reached(self._writer.bytes_written, age_ns)

    def waiting_s(self) -> float:
        """For how long the oldest row that is not on the disk yet has waited."""
        writer = self._writer
        return writer.waiting_ns / 1e9 if writer is not None else 0.0

    def _path(self) -> Path:
        whole = Path(self._options.output)
        if self._directory:
            return _directory(whole) / f"{_stamp()}-{self._worker}-{self._number:06d}.tape"
        if self._number == 1:
            return whole
        while (path := whole.with_stem(f"{whole.stem}-{self._number}")).exists():
            self._number += 1
        return path

    def _remove_old(self) -> None:
        keep = self._options.keep
        if keep is None:
            return
        tapes = tapes_of(Path(self._options.output))
        for path in expired(tapes, keep, time.time_ns(), self._workers):
            path.unlink(missing_ok=True)  # another worker may have been quicker


def _directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise TapeError(
            f"{path}: cannot be made a directory of tapes ({failure.strerror}); with --rotate, -o "
            "names a directory."
        ) from None
    return path


def _stamp() -> str:
    now_ns = time.time_ns()
    seconds = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ns // 1_000_000_000))
    return f"{seconds}.{now_ns // 1_000_000 % 1000:03d}Z"
