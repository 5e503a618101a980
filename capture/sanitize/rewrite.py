"""The sanitizer: an exchange in, what may be written of it out.

Heads are done line by line and small bodies whole, each remembered under a keyed hash; everything
else goes through the walkers of its content type and the structure-blind scan. Replacements keep
their length, so that framing, sizes and the class of a malformed request survive.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..exchange import Exchange, Flag, Kind
from . import content
from .blind import Blind
from .headers import Head
from .memory import Memory
from .policy import Policy
from .pseudonym import Pseudonyms
from .sanitized import Sanitized

REMEMBERED = 1 << 16
SMALL_BODY = 4096
_SEED = (1 << 64) - 1


class Sanitizer:
    """Replaces every secret of an exchange by its pseudonym, as the policy says."""

    def __init__(self, policy: Policy, key: bytes) -> None:
        import xxhash

        self.policy = policy
        self._pseudonyms = Pseudonyms(key)
        self._blind = Blind(policy, self._pseudonyms) if policy.level != "none" else None
        self._seed = self._pseudonyms.number(b"memory")
        self._hash: Callable[..., int] = xxhash.xxh3_128_intdigest
        self._lines: Memory[tuple[bytes, bytes]] = Memory(REMEMBERED)
        self._clients: dict[bytes, int] = {}
        self._blocks: Memory[tuple[bytes, dict[bytes, bytes]]] = Memory(REMEMBERED // 4)
        self._answers: Memory[bytes] = Memory(REMEMBERED // 4)
        self._bodies: Memory[bytes] = Memory(REMEMBERED // 4)
        if self._blind is not None:
            self._head = Head(policy, self._blind)
            self._content = content.Content(self._head, self._blind)

    def client(self, address: bytes) -> int:
        """The pseudonym of a client's address: 64 keyed bits."""
        known = self._clients.get(address)
        if known is None:
            if len(self._clients) >= REMEMBERED:
                self._clients.clear()
            known = self._clients[address] = self._pseudonyms.number(b"client" + address)
        return known

    def exchange(self, exchange: Exchange) -> Sanitized:
        """The exchange with its secrets replaced; the one given must not be used again."""
        if self._blind is not None:
            self._blind.made.clear()
            self._request(exchange)
            self._response(exchange)
        return Sanitized(exchange, self.client(exchange.client))

    def _request(self, exchange: Exchange) -> None:
        assert self._blind is not None
        request, head_bytes = exchange.request, exchange.head_bytes
        if exchange.kind != Kind.HTTP1 or not head_bytes:
            exchange.request = self._blind.loose(request)
            return
        head, notes = self._lines_of(request[:head_bytes])
        body = request[head_bytes:]
        if body:
            body, flags = self._body(body, notes)
            if flags:
                exchange.flags |= flags
                if flags & content.RESIZED:
                    head = content.reframed(head, len(body))
        changed = len(head) + len(body) - len(request)
        exchange.request = head + body
        if changed or len(head) != head_bytes:
            exchange.flags |= Flag.RESIZED
            exchange.request_bytes += changed
            exchange.head_bytes = len(head)
            exchange.pieces = tuple(
                (min(offset, len(exchange.request) - 1), ns) for offset, ns in exchange.pieces
            )

    def _lines_of(self, head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        """The head sanitized, and the headers that tell how to read the body.

        A client repeats its header lines to the byte, so a whole block of them is remembered.
        """
        end = head.find(b"\n") + 1
        if not end or b"\n " in head or b"\n\t" in head:
            return self._walk(_unfolded(head.split(b"\n")), 0)
        key = self._hash(head[end:], self._seed)
        known = self._blocks.get(key)
        if known is None:
            known = self._walk(head[end:].split(b"\n"), 1)
            self._blocks.keep(key, known)
        line = head[: end - 1]
        key = self._hash(line, self._seed) + 1
        done = self._lines.get(key)
        new = self._remembered(line, key, first=True)[0] if done is None else done[0]
        return (new + b"\n" + known[0] if new or not line else known[0]), known[1]

    def _walk(self, lines: list[bytes], number: int) -> tuple[bytes, dict[bytes, bytes]]:
        notes: dict[bytes, bytes] = {}
        out: list[bytes] = []
        hashed, seed, known = self._hash, self._seed, self._lines.get
        for line in lines:
            first = not number
            number += 1
            key = hashed(line, seed) + first
            new, noted = known(key) or self._remembered(line, key, first)
            if noted:
                notes[noted] = new.partition(b":")[2].strip()
            if new or not line:
                out.append(new)
        return b"\n".join(out), notes

    def _remembered(self, line: bytes, key: int, first: bool) -> tuple[bytes, bytes]:
        done = (self._head.request_line(line), b"") if first else self._head.line(line)
        self._lines.keep(key, done)
        return done

    def _body(self, body: bytes, notes: dict[bytes, bytes]) -> tuple[bytes, int]:
        if len(body) > SMALL_BODY:
            return self._content.body(body, notes)
        how = self._hash(b"\0".join((*notes, *notes.values())), self._seed)
        key = self._hash(body, how & _SEED)
        done = self._bodies.get(key)
        if done is not None:
            return done, 0
        new, flags = self._content.body(body, notes)
        if not flags:
            self._bodies.keep(key, new)
        return new, flags

    def _response(self, exchange: Exchange) -> None:
        """Of a response the head is kept, of harmless headers the values; its body is not."""
        head = exchange.response[: exchange.response_head_bytes]
        if not head:
            exchange.response, exchange.response_head_bytes = b"", 0
            return
        key = self._hash(head, self._seed)
        kept = self._answers.get(key)
        if kept is None:
            kept = self._answer(head)
            self._answers.keep(key, kept)
        exchange.response = kept
        exchange.response_head_bytes = len(kept)

    def _answer(self, head: bytes) -> bytes:
        kept: list[bytes] = []
        for line in _unfolded(head.split(b"\n")):
            name = line.partition(b":")[0].strip().lower()
            if not kept or name in HARMLESS or not line.strip():
                kept.append(line)
            elif name == b"set-cookie":
                kept.append(self._head.line(line)[0])
        return b"\n".join(kept)


HARMLESS = frozenset(
    (b"accept-ranges", b"age", b"allow", b"cache-control", b"connection", b"content-encoding",
     b"content-language", b"content-length", b"content-type", b"date", b"expires", b"keep-alive",
     b"retry-after", b"server", b"transfer-encoding", b"upgrade", b"vary")
)  # fmt: skip
"""Headers of a response that say nothing of a person."""

_FOLD_START = re.compile(rb"[ \t]")


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """Lines that a fold continues, joined with it."""
    out: list[bytes] = []
    for line in lines:
        if len(out) > 1 and _FOLD_START.match(line):
            out[-1] += b"\n" + line
        else:
            out.append(line)
    return out
