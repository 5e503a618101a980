"""Answers that were seen before, whole: status, size and digest by a single look-up.

A server's answers to plain requests differ by little more than the second of their Date, so most
that come in one piece have come before, to the byte. One that has not is read by the same reader
that reads all others; what is not one whole answer on a connection that stays open is not for here.
"""

from __future__ import annotations

from typing import Final

from ..handover.batch import STATUS_BITS
from .framing import Garbage, ResponseReader

LARGEST: Final = 2048
_MOST: Final = 4096
Answer = tuple[int, int]
"""What `Batch.answer` and `Batch.digest` shall hold."""


class Answers:
    """Known answers to requests that are neither HEAD nor CONNECT."""

    def __init__(self, reader: ResponseReader) -> None:
        self._reader = reader
        self.known: dict[bytes, Answer] = {}

    def learn(self, data: bytes) -> Answer | None:
        """What an answer says that is not known; None where it is not a whole one."""
        reader = self._reader
        if reader.keep:
            return None  # it is kept by who reads it
        reader.expect(bodiless=False)
        try:
            left = reader.feed(data)
        except Garbage:
            return None
        if left or not reader.done or not reader.stays or reader.status < 200:
            return None
        answer = (reader.status | reader.bytes_in << STATUS_BITS, reader.digest)
        if len(data) <= LARGEST:
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[data] = answer
        return answer
