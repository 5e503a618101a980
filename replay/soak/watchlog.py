"""`watched.csv`: what was sampled, a row a sample, in bounded size.

The columns are those of the first sample; a value that is missing is the one before. When the file
has so many rows, every other one goes and from then on only every other sample is written.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from capture.log import Tell

MOST_ROWS = 20_000


class Watchlog:
    """Writes the file; where it cannot, it tells so once and the soak goes on."""

    def __init__(self, path: Path, say: Tell, most_rows: int = MOST_ROWS) -> None:
        self._path, self._say, self._most = path, say, most_rows
        self._file: TextIO | None = None
        self._columns: list[str] = []
        self._last: dict[str, float] = {}
        self._rows = self._samples = 0
        self._every = 1
        self._broken = False

    def add(self, at_s: float, sample: dict[str, float]) -> None:
        """Write a sample, if it is one of those that are written."""
        self._last |= sample
        self._samples += 1
        if self._broken or self._samples % self._every:
            return
        try:
            if self._file is None:
                self._open(sample)
            assert self._file is not None
            values = [self._last.get(name, 0.0) for name in self._columns]
            csv.writer(self._file).writerow([f"{at_s:.3f}", *(f"{v:.12g}" for v in values)])
            self._file.flush()
            self._rows += 1
            if self._rows >= self._most:
                self._thin()
        except OSError as problem:
            self._broken = True
            self._say(f"Warning: {self._path}: cannot be written ({problem.strerror}).")

    def close(self) -> None:
        """No more samples."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, sample: dict[str, float]) -> None:
        known = self._path.exists()
        if known:
            with self._path.open(newline="", encoding="utf-8") as file:
                lines = csv.reader(file)
                self._columns = next(lines, ["seconds"])[1:]
                self._rows = sum(1 for _ in lines)
        if not self._columns:
            self._columns = list(sample)
        self._file = self._path.open("a", newline="", encoding="utf-8")
        if not known:
            csv.writer(self._file).writerow(["seconds", *self._columns])

    def _thin(self) -> None:
        assert self._file is not None
        self._file.close()
        head, *lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(head + "".join(lines[::2]), encoding="utf-8")
        fresh.replace(self._path)
        self._rows = len(lines[::2])
        self._every *= 2
        self._file = self._path.open("a", newline="", encoding="utf-8")
