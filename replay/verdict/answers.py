"""The answers of two tapes or runs, pair by pair, as far as they were kept.

Where both sides kept a body it is compared whole; where only heads, the heads; where only digests,
those (of two runs: a recording's digests have a key of their own). Of a body that was cut when it
was kept, the digest tells of what is missing. Pairs are taken in the order of
the first file, so each block of it is opened once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from capture.tape import Tape

from ..keeping import MOST_OF_A_BODY
from .bodies import Message, message_of
from .pairing import same_requests
from .responses import Differ, Ignored, Responses
from .rows import Array, Rows, read_rows

AT_ONCE = 4_000
Pair = tuple[str, int, Message | None, Message | None, bool]  # the last: whether digests agree


def answers(
    a: Path, b: Path, rows: tuple[Rows, Rows], noise: tuple[Path, ...], ignore: tuple[str, ...]
) -> Responses | None:
    """What the answers of B say otherwise than those of A; `noise` are other runs of A's target.

    None where nothing of the answers was kept.
    """
    differ = Differ(Ignored(ignore))
    for other in noise:
        for endpoint, _, before, after, same in _pairs(a, other, rows[0], read_rows(other)):
            if before is None or after is None:
                differ.learn_digest(endpoint, same)
            else:
                differ.learn(endpoint, before, after, same)
    for endpoint, exchange, before, after, same in _pairs(a, b, *rows):
        if before is None or after is None:
            differ.see_digest(endpoint, exchange, same)
        else:
            differ.see(endpoint, exchange, before, after, same)
    told = differ.render()
    return told if told.pairs else None


def _pairs(a: Path, b: Path, before: Rows, after: Rows) -> Iterator[Pair]:
    left, right = same_requests(before, after)
    order = np.argsort(left, kind="stable")
    left, right = left[order], right[order]
    with Tape.open(a) as first, Tape.open(b) as second:
        heads = _head_sizes(first), _head_sizes(second)
        for at in range(0, len(left), AT_ONCE):
            part = slice(at, at + AT_ONCE)
            yield from _of_part(first, second, before, after, left[part], right[part], heads)


def _of_part(
    first: Tape, second: Tape, before: Rows, after: Rows, left: Array, right: Array,
    heads: tuple[Array, Array],
) -> Iterator[Pair]:  # fmt: skip
    digests = before["response_digest"][left], after["response_digest"][right]
    both = (digests[0] != 0) & (digests[1] != 0) & (before.is_run and after.is_run)
    numbers = left.astype(np.int64), right.astype(np.int64)
    payloads = zip(first.payloads(numbers[0]), second.payloads(numbers[1]), strict=True)
    for row, (one, other) in enumerate(payloads):
        place, again_at = int(left[row]), int(right[row])
        same = not both[row] or bool(digests[0][row] == digests[1][row])
        endpoint = before.endpoints[before.endpoint[place]]
        sizes = int(heads[0][place]), int(heads[1][again_at])
        if sizes[0] and sizes[1] and one.response and other.response:
            answer, again = message_of(one.response, sizes[0]), message_of(other.response, sizes[1])
            if bool(answer.body) == bool(again.body):
                whole = _whole(one.response, sizes[0], before["response_bytes"][place]) and _whole(
                    other.response, sizes[1], after["response_bytes"][again_at]
                )
                yield endpoint, place, answer, again, same or whole
                continue
        if both[row]:
            yield endpoint, place, None, None, same


def _whole(kept: bytes, head_bytes: int, came: int) -> bool:
    """Whether the whole body of an answer was kept."""
    size = len(kept) - head_bytes
    return size < MOST_OF_A_BODY and (size > 0 or came <= len(kept))


def _head_sizes(tape: Tape) -> Array:
    blocks = [np.asarray(block["response_head_bytes"]) for block in
              tape.columns(("response_head_bytes",))]  # fmt: skip
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
