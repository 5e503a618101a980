"""Keeping answers: heads, or heads and bodies, from the socket to the run.

The sender writes what it keeps of a batch into a file in memory, one system call each, and hands
the file over with the batch. Whoever writes the run has every answer sanitized first, by the
built-in policy of the level that the tape has; so, as everywhere, nothing else can be written.
`WIRETAPE_KEY` keeps pseudonyms equal across runs.
"""

from __future__ import annotations

import os
import re
import struct
import tempfile
from typing import TYPE_CHECKING

from capture.exchange import Exchange

if TYPE_CHECKING:
    from capture.sanitize.sanitized import Sanitized

NONE, DIGEST, HEADERS, BODY = "none", "digest", "headers", "body"
WAYS = (NONE, DIGEST, HEADERS, BODY)
MOST_OF_A_BODY = 64 << 10
MOST_OF_A_BATCH = 16 << 20
_CHUNKED = re.compile(rb"(?i)\ntransfer-encoding:[^\n]*chunked")
_ENTRY = struct.Struct("<qqq")
Kept = tuple[int, int, bytes]
"""A row, the bytes of the head of its answer, and what was kept of the answer, head first."""


class Keeper:
    """The sender's side: files of what was kept, by number of the batch."""

    def __init__(self) -> None:
        self._files: dict[int, tuple[int, int]] = {}

    def keep(self, number: int, row: int, head: bytes, body: bytes) -> None:
        """Keep an answer; of its body nothing where the batch has had its share."""
        fd, size = self._files.get(number) or (_file(), 0)
        if size > MOST_OF_A_BATCH:
            body = b""
        entry = _ENTRY.pack(row, len(head), len(body))
        self._files[number] = fd, size + os.writev(fd, (entry, head, body))

    def take(self, number: int) -> int:
        """The file of a batch that is settled; -1 where nothing was kept."""
        return self._files.pop(number, (-1, 0))[0]


def _file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("wiretape-answers")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read_kept(fd: int) -> list[Kept]:
    """What a keeper wrote; closes the file."""
    found: list[Kept] = []
    with open(fd, "rb") as file:
        file.seek(0)
        while entry := file.read(_ENTRY.size):
            row, head, body = _ENTRY.unpack(entry)
            found.append((row, head, file.read(head + body)))
    return found


class Cleaner:
    """The writer's side: answers as they may be written."""

    def __init__(self, level: str, way: str) -> None:
        from capture.sanitize import Policy, Sanitizer
        from capture.sanitize.options import load_key

        self._sanitizer = Sanitizer(Policy.built_in(level), load_key(), way)

    def clean(self, kept: list[Kept]) -> dict[int, Sanitized]:
        """Each answer as an exchange without a request, by its row."""
        exchanges = []
        for _, head_bytes, data in kept:
            exchange = Exchange()
            head, body = data[:head_bytes], data[head_bytes:]
            if body and _CHUNKED.search(head):
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)  # as its head says
            exchange.response, exchange.response_head_bytes = head + body, head_bytes
            exchange.response_bytes = len(data)
            exchanges.append(exchange)
        rows = [row for row, _, _ in kept]
        return dict(zip(rows, self._sanitizer.exchanges(exchanges), strict=True))
