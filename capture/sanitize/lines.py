"""Heads, a stage at a time: first lines, blocks of header lines, each remembered when it repeats.

A client repeats its header lines to the byte, so a whole block of them is remembered, and each line
of a block that is new. Many heads are done at once, one stage for all before the next: a stage that
runs by itself finds its code in the processor's caches, and that is a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Final

from .blind import Blind
from .headers import Head
from .memory import Memory

REMEMBERED: Final = 1 << 15
Notes = dict[bytes, bytes]
"""The headers that tell how to read a body, by name."""


class Lines:
    """Sanitizes heads and remembers their lines under keyed hashes."""

    def __init__(self, head: Head, blind: Blind, hashed: Callable[..., int], seed: int) -> None:
        self._head = head
        self._blind = blind
        self._hash, self._seed = hashed, seed
        self._empty = hashed(b"", seed)
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
        return [self._first(line) for line in lines]

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

    def _first(self, line: bytes) -> bytes:
        key = self._hash(line, self._seed)
        known = self._firsts.results.get(key)
        if known is None:
            self._blind.made.clear()
            known = self._head.request_line(line)
            self._firsts.keep(key, known)
        return known

    def _walked(self, blocks: dict[int, bytes]) -> dict[int, tuple[bytes, Notes]]:
        hashed, seed, get = self._hash, self._seed, self._lines.results.get
        split: dict[int, list[int]] = {}
        lines: dict[int, tuple[bytes, bytes]] = {}
        missing: dict[int, bytes] = {}
        for number, block in blocks.items():
            parts = block.split(b"\n")
            split[number] = keys = []
            for line in unfolded(parts) if _folds(block) else parts:
                key = hashed(line, seed)
                keys.append(key)
                if key not in lines:
                    known = get(key)
                    if known is None:
                        missing[key] = line
                    else:
                        lines[key] = known
        # Lines of one name together, for the sake of the processor's caches.
        for key, line in sorted(missing.items(), key=_BY_LINE):
            self._blind.made.clear()
            lines[key] = done = self._head.line(line)
            self._lines.keep(key, done)
        return {number: self._joined(keys, lines) for number, keys in split.items()}

    def _joined(
        self, keys: list[int], lines: dict[int, tuple[bytes, bytes]]
    ) -> tuple[bytes, Notes]:
        notes: Notes = {}
        out: list[bytes] = []
        for key in keys:
            new, noted = lines[key]
            if noted:
                notes[noted] = new.partition(b":")[2].strip()
            if new or key == self._empty:  # else it was dropped
                out.append(new)
        return b"\n".join(out), notes


_BY_LINE: Final = itemgetter(1)


def _folds(block: bytes) -> bool:
    return block.find(b"\n ") >= 0 or block.find(b"\n\t") >= 0


def unfolded(lines: Iterable[bytes]) -> list[bytes]:
    """Lines that a fold continues, joined with it."""
    out: list[bytes] = []
    for line in lines:
        if out and line[:1] in (b" ", b"\t"):
            out[-1] += b"\n" + line
        else:
            out.append(line)
    return out
