"""The sanitizer: exchanges in, what may be written of them out.

Heads are done line by line and small bodies whole, each remembered under a keyed hash; everything
else goes through the walkers of its content type and the structure-blind scan. Replacements keep
their length, so that framing, sizes and the class of a malformed request survive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..exchange import Exchange, Flag, Kind
from . import content
from .blind import Blind
from .headers import Head
from .lines import REMEMBERED, Lines, Notes
from .memory import Memory
from .policy import Policy
from .pseudonym import Pseudonyms
from .responses import SHORT, Responses
from .sanitized import Sanitized

SMALL_BODY: Final = 4096


class Sanitizer:
    """Replaces every secret of an exchange by its pseudonym, as the policy says."""

    def __init__(self, policy: Policy, key: bytes, responses: str = SHORT) -> None:
        import xxhash

        self.policy = policy
        self._pseudonyms = Pseudonyms(key)
        self._seed = self._pseudonyms.number(b"memory")
        self._hash: Callable[..., bytes] = xxhash.xxh3_128_digest
        self._how: Callable[..., int] = xxhash.xxh3_64_intdigest
        self._clients: dict[bytes, int] = {}
        self._bodies: Memory[bytes] = Memory(REMEMBERED // 4)
        self._raw = policy.level == "none"
        if not self._raw:
            self._blind = Blind(policy, self._pseudonyms)
            head = Head(policy, self._blind)
            self._lines = Lines(head, self._blind, self._hash, self._seed)
            self._content = content.Content(head, self._blind)
            self._responses = Responses(
                responses, head, self._lines, self._content, self._hash, self._seed
            )

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
        return self.exchanges((exchange,))[0]

    def exchanges(self, batch: Sequence[Exchange]) -> list[Sanitized]:
        """Exchanges with their secrets replaced; the ones given must not be used again.

        Much faster than one after the other: see `lines`.
        """
        if not self._raw:
            framed = [each for each in batch if each.head_bytes and each.kind == Kind.HTTP1]
            self._requests(framed)
            for each in batch:
                self._blind.made.clear()
                if not each.head_bytes or each.kind != Kind.HTTP1:
                    each.request = self._blind.loose(each.request)
                self._responses.clean(each)
            self._blind.made.clear()
            self._blind.ahead(())
        return [Sanitized(each, self.client(each.client)) for each in batch]

    def _requests(self, framed: list[Exchange]) -> None:
        heads = self._lines.heads([each.request[: each.head_bytes] for each in framed])
        fresh: list[tuple[Exchange, bytes, bytes, Notes, bytes]] = []
        for exchange, (head, notes) in zip(framed, heads, strict=True):
            body = exchange.request[exchange.head_bytes :]
            key = self._key(body, notes)
            known = self._bodies.results.get(key) if body else b""
            if known is None:
                fresh.append((exchange, head, body, notes, key))
            else:
                self._put(exchange, head, known)
        self._blind.ahead([body for _, _, body, notes, _ in fresh if _is_plain(notes)])
        for exchange, head, body, notes, key in fresh:
            self._blind.made.clear()
            new, flags = self._content.body(body, notes)
            if flags:
                exchange.flags |= flags
                if flags & content.RESIZED:
                    head = content.reframed(head, len(new))
            elif key:
                self._bodies.keep(key, new)
            self._put(exchange, head, new)

    def _put(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        was, exchange.request = len(exchange.request), head + body
        if len(head) != exchange.head_bytes or len(exchange.request) != was:
            self._resized(exchange, len(head))

    def _resized(self, exchange: Exchange, head_bytes: int) -> None:
        """Another length than on the wire, which `request_bytes` goes on telling."""
        exchange.flags |= Flag.RESIZED
        exchange.head_bytes = head_bytes
        last = len(exchange.request) - 1
        exchange.pieces = tuple((min(offset, last), ns) for offset, ns in exchange.pieces)

    def _key(self, body: bytes, notes: Notes) -> bytes:
        """Under which a body is remembered, with how it is to be read; none if it is too large."""
        if not body or len(body) > SMALL_BODY:
            return b""
        how = b"\0".join(notes) + b"\0" + b"\0".join(notes.values())
        return self._hash(body, self._how(how, self._seed))


def _is_plain(notes: Notes) -> bool:
    return b"transfer-encoding" not in notes and b"content-encoding" not in notes
