"""Chunks of a plan, and the rows of several put in order of due time in bounded memory.

A chunk is a dictionary of columns of one length: arrays, or text as codes and a dictionary. Stages
that move rows in time hold back what a later row could still precede. Held rows are sorted only
when as many have come as are held, so that each row is sorted a few times however long it waits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Chunk = dict[str, Any]
_FEWEST = 16_384


class Waiting:
    """Rows that wait until nothing can come before them."""

    def __init__(self) -> None:
        self._fresh: list[Chunk] = []
        self._old: Chunk | None = None
        self._fresh_rows = 0

    def add(self, chunk: Chunk) -> None:
        """Hold the rows of a chunk, in any order of `due_ns`."""
        if len(chunk["due_ns"]):
            self._fresh.append(chunk)
            self._fresh_rows += len(chunk["due_ns"])

    def ready(self, safe: int | None) -> Chunk | None:
        """Rows due before `safe` (None: all), in order; None while it is not worth sorting."""
        old_rows = len(self._old["due_ns"]) if self._old is not None else 0
        if safe is not None and self._fresh_rows < max(_FEWEST, old_rows // 2):
            return None
        held = ([self._old] if self._old is not None else []) + self._fresh
        self._fresh, self._fresh_rows, self._old = [], 0, None
        if not held:
            return None
        due = np.concatenate([chunk["due_ns"] for chunk in held])
        order = np.argsort(due, kind="stable")
        at = due.size if safe is None else int(np.searchsorted(due, safe, sorter=order))
        whole = join(held)
        if at < due.size:
            self._old = take(whole, order[at:])
        return take(whole, order[:at]) if at else None


def join(chunks: list[Chunk]) -> Chunk:
    """Several chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    return {name: _joined([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if not hasattr(first, "codes"):
        return np.concatenate(parts)
    if all(part.values is first.values for part in parts):
        return type(first)(np.concatenate([part.codes for part in parts]), first.values)
    return type(first).join(parts)


def pick(column: Any, rows: Any) -> Any:
    """Rows of a column, numbers or text."""
    if hasattr(column, "codes"):
        return type(column)(column.codes[rows], column.values)
    return column[rows]


def take(chunk: Chunk, rows: Any) -> Chunk:
    """Rows of a chunk."""
    return {name: pick(column, rows) for name, column in chunk.items()}
