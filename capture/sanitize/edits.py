"""Edits of bytes: spans, in order and apart, and what is put in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .detect import Detector

Edit = tuple[int, int, bytes]
"""Where it starts, where it ends, and what stands there then."""


def apply(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The data with the edits made."""
    out: list[bytes] = []
    done = 0
    for start, end, new in edits:
        out.append(data[done:start])
        out.append(new)
        done = end
    out.append(data[done:])
    return b"".join(out)


def woven(data: bytes, edits: Sequence[Edit], cleaned: Callable[[bytes], bytes]) -> bytes:
    """The edits made, and what stands between them cleaned."""
    out: list[bytes] = []
    done = 0
    for start, end, new in edits:
        out.append(cleaned(data[done:start]))
        out.append(new)
        done = end
    out.append(cleaned(data[done:]))
    return b"".join(out)


def outside(
    found: Sequence[tuple[int, int, Detector]], edits: Sequence[Edit]
) -> Iterator[tuple[int, int, str]]:
    """What was found, without the parts that an edit replaces anyway; both are in order."""
    at = 0
    for start, end, detector in found:
        kind, low = detector.kind, start
        while at < len(edits) and edits[at][1] <= low:
            at += 1
        here = at
        while here < len(edits) and edits[here][0] < end:
            a, b, _ = edits[here]
            kind = "text"  # a part of a thing is no longer the thing
            if low < a:
                yield low, a, kind
            low, here = max(low, b), here + 1
        if low < end:
            yield low, end, kind
