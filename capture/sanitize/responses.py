"""What is kept of a response: the status and harmless headers, all headers, or its body, too.

Whatever is kept beyond the status line and the harmless headers has been through the same policy as
a request: a value that a response hands out has the pseudonym that it has where it comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..exchange import Exchange, Flag
from . import content
from .headers import Head
from .lines import REMEMBERED, Lines, unfolded
from .memory import Memory

_REASON = re.compile(rb"HTTP/\d(?:\.\d)? \d{3} ?[A-Za-z ]{0,40}\s*")
SHORT, HEADERS, BODY = "short", "headers", "body"
MODES = (SHORT, HEADERS, BODY)
HARMLESS = frozenset(
    (b"accept-ranges", b"age", b"allow", b"cache-control", b"connection", b"content-encoding",
     b"content-language", b"content-length", b"content-type", b"date", b"expires", b"keep-alive",
     b"retry-after", b"server", b"transfer-encoding", b"upgrade", b"vary")
)  # fmt: skip
"""Headers of a response that say nothing of a person."""


class Responses:
    """Sanitizes responses."""

    def __init__(
        self,
        mode: str,
        head: Head,
        lines: Lines,
        bodies: content.Content,
        hashed: Callable[..., bytes],
        seed: int,
    ) -> None:
        self._mode = mode
        self._head, self._lines, self._bodies = head, lines, bodies
        self._hash, self._seed = hashed, seed
        self._short: Memory[bytes] = Memory(REMEMBERED // 4)

    def clean(self, exchange: Exchange) -> None:
        """Replace the response of an exchange by what is kept of it."""
        head_bytes = exchange.response_head_bytes
        head = exchange.response[:head_bytes]
        if not head:
            exchange.response, exchange.response_head_bytes = b"", 0
            return
        if self._mode == SHORT:
            exchange.response = self._shortened(head)
            exchange.response_head_bytes = len(exchange.response)
            return
        first, end, block = head.partition(b"\n")
        ((block, notes),) = self._lines.blocks([block])
        head = self._status(first) + end + block
        body = exchange.response[head_bytes:] if self._mode == BODY else b""
        if body:
            body, flags = self._bodies.body(body, notes)
            if flags & content.RESIZED:
                head = content.reframed(head, len(body))
                exchange.flags |= Flag.RESIZED
        exchange.response = head + body
        exchange.response_head_bytes = len(head)

    def _status(self, line: bytes) -> bytes:
        """The first line: a reason is a phrase that says nothing, or may be anything."""
        return line if _REASON.fullmatch(line) else self._head.framing(line, b"")

    def _shortened(self, head: bytes) -> bytes:
        key = self._hash(head, self._seed)
        known = self._short.results.get(key)
        if known is None:
            known = self._harmless(head)
            self._short.keep(key, known)
        return known

    def _harmless(self, head: bytes) -> bytes:
        kept: list[bytes] = []
        for line in unfolded(head.split(b"\n")):
            name = line.partition(b":")[0].strip().lower()
            if not kept:
                kept.append(self._status(line))
            elif name in HARMLESS or not line.strip():
                kept.append(self._head.framing(line, name))
            elif name == b"set-cookie":
                kept.append(self._head.line(line)[0])
        return b"\n".join(kept)
