"""Finding what begins with a run of bytes before a sign: from the sign on, not from each run.

A pattern such as that of e-mail addresses begins with whatever letters stand there, so that it
tries every word of a text. Its sign is found by memchr, and the run before that by `rstrip`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Search = Callable[[bytes, int, int], Iterator[re.Match[bytes]]]
"""What `finditer` of a pattern does: the matches in a part of the data, apart and in order."""


def anchored(pattern: re.Pattern[bytes], begins: str, sign: str) -> Search:
    """The search for a pattern that begins `(?<![begins])[begins]++sign`; the sign is in no run."""
    run = b"".join(re.findall(f"[{begins}]".encode("latin-1"), bytes(range(256))))
    mark = sign.encode("latin-1")

    def search(data: bytes, low: int, high: int) -> Iterator[re.Match[bytes]]:
        begin, at = low, data.find(mark, low, high)
        while at >= 0:
            start = begin + len(data[begin:at].rstrip(run))
            whole = start > begin or not begin or data[begin - 1] not in run
            match = pattern.match(data, start, high) if whole and start < at else None
            if match is not None:
                yield match
            begin = at + 1 if match is None else match.end()
            at = data.find(mark, begin, high)

    return search
