"""The same request in two runs, or in a tape and its run: by the exchange it was made from."""

from __future__ import annotations

import numpy as np

from capture.exchange import NEVER

from .rows import Array, Rows

CLONES = 4096


def same_requests(a: Rows, b: Rows) -> tuple[Array, Array]:
    """Places of the same request in both; none where two files have no tape in common.

    Of a recording an exchange is its own number; of a run it is that of the tape it replayed.
    """
    nothing = np.zeros(0, np.int64)
    if not (a.is_run or b.is_run):
        return nothing, nothing
    if a.is_run != b.is_run:
        recording, run = (b, a) if a.is_run else (a, b)
        if not recording.tape_id or run.source_id != recording.tape_id:
            return nothing, nothing
    _, left, right = np.intersect1d(_identity(a), _identity(b), return_indices=True)
    known = (_source(a)[left] != NEVER) & (_source(b)[right] != NEVER)
    return left[known], right[known]


def _source(rows: Rows) -> Array:
    return rows["source"] if rows.is_run else np.arange(len(rows), dtype=np.int64)


def _identity(rows: Rows) -> Array:
    clone = rows["clone"].astype(np.int64) % CLONES
    target = rows["target_index"].astype(np.int64) % 256
    return np.asarray((_source(rows).astype(np.int64) * CLONES + clone) * 256 + target)
