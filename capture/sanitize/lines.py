"""Heads, a stage at a time: first lines, blocks of header lines, each remembered when it repeats.

A client repeats its header lines to the byte, so a whole block of them is remembered, and each line
of a block that is new. Many heads are done at once, one stage for all before the next: a stage that
runs by itself finds its code in the processor's caches, and that is a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from .blind import Blind
from .headers import Head
from .memory import Memory

REMEMBERED: Final = 1 << 15
Notes = dict[bytes, bytes]
"""The headers that tell how to read a body, by name."""


class Lines:
    """Sanitizes heads and remembers their lines under keyed hashes."""

    def __init__(self, head: Head, blind: Blind, hashed: Callable[..., bytes], seed: int) -> None:
        self._head = head
        self._blind = blind
        self._hash, self._seed = hashed, seed
        self._firsts: Memory[bytes] = Memory(REMEMBERED)
        self._lines: Memory[tuple[bytes, bytes]] = Memory(REMEMBERED)
        self._blocks: Memory[tuple[bytes, Notes]] = Memory(REMEMBERED // 4)

    def heads(self, heads: Iterable[bytes]) -> list[tuple[bytes, Notes]]:
        """Each head sanitized, and the headers that tell how to read its body."""
        split = [head.partition(b"\n") for head in heads]
        firsts = self.firsts([first for first, _, _ in split])
        blocks = self.blocks([block for _, _, block in split])
        return [
            # A first line that is dropped takes its end with it.
            (first + end + block if first or not old else block, notes)
            for (old, end, _), first, (block, notes) in zip(split, firsts, blocks, strict=True)
        ]

    def firsts(self, lines: Sequence[bytes]) -> list[bytes]:
        """The first lines of requests."""
        hashed, seed, get = self._hash, self._seed, self._firsts.results.get
        keys = [hashed(line, seed) for line in lines]
        known = [get(key) for key in keys]
        if None not in known:
            return [each for each in known if each is not None]
        self._blind.ahead([line for line, old in zip(lines, known, strict=True) if old is None])
        return [
            self._first(key, line) if old is None else old
            for key, line, old in zip(keys, lines, known, strict=True)
        ]

    def _first(self, key: bytes, line: bytes) -> bytes:
        self._blind.made.clear()
        new = self._head.request_line(line)
        self._firsts.keep(key, new)
        return new

    def blocks(self, blocks: Sequence[bytes]) -> list[tuple[bytes, Notes]]:
        """What follows first lines."""
        hashed, seed, get = self._hash, self._seed, self._blocks.results.get
        keys = [hashed(block, seed) for block in blocks]
        known = [get(key) for key in keys]
        if None not in known:
            return [each for each in known if each is not None]
        fresh = {
            key: block for key, block, old in zip(keys, blocks, known, strict=True) if old is None
        }
        walked = self._walked(fresh)
        for key, done in walked.items():
            self._blocks.keep(key, done)
        return [walked[key] if old is None else old for key, old in zip(keys, known, strict=True)]

    def _walked(self, blocks: dict[bytes, bytes]) -> dict[bytes, tuple[bytes, Notes]]:
        split = {key: block.split(b"\n") for key, block in blocks.items()}
        lines = set().union(*split.values())
        if any(line[:1] in _FOLDS for line in lines):
            split = {key: unfolded(each) for key, each in split.items()}
            lines = set().union(*split.values())
        noted: dict[bytes, bytes] = {}
        done = self._each(lines, noted)
        return {key: _joined(each, done, noted) for key, each in split.items()}

    def _each(self, lines: set[bytes], noted: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """What becomes of each line; of those that tell how to read the body the names, too."""
        hashed, seed, get = self._hash, self._seed, self._lines.results.get
        done: dict[bytes, bytes] = {}
        fresh: list[bytes] = []
        for line in lines:
            known = get(hashed(line, seed))
            if known is None:
                fresh.append(line)
                continue
            done[line] = known[0]
            if known[1]:
                noted[line] = known[1]
        self._blind.ahead([line for line in fresh if self._head.is_searched(line)])
        # Lines of one name together, for the sake of the processor's caches.
        for line in sorted(fresh):
            self._blind.made.clear()
            new = self._head.line(line)
            self._lines.keep(hashed(line, seed), new)
            done[line] = new[0]
            if new[1]:
                noted[line] = new[1]
        return done


_FOLDS: Final = frozenset((b" ", b"\t"))


def _joined(
    lines: list[bytes], done: dict[bytes, bytes], noted: dict[bytes, bytes]
) -> tuple[bytes, Notes]:
    out = list(map(done.__getitem__, lines))
    notes: Notes = {
        noted[line]: done[line].partition(b":")[2].strip() for line in lines if line in noted
    }
    if out.count(b"") != lines.count(b""):  # some were dropped
        out = [new for line, new in zip(lines, out, strict=True) if new or not line]
    return b"\n".join(out), notes


def unfolded(lines: Iterable[bytes]) -> list[bytes]:
    """Lines that a fold continues, joined with it."""
    out: list[bytes] = []
    for line in lines:
        if out and line[:1] in _FOLDS:
            out[-1] += b"\n" + line
        else:
            out.append(line)
    return out
