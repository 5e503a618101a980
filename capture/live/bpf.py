"""Writing programs of classic BPF, which is what a socket's filter is.

A program has an accumulator A, a register X and sixteen words of memory. It ends with the number
of bytes of the packet that pass, 0 for none; it also ends with 0 where it looks beyond the packet.
"""

from __future__ import annotations

Instruction = tuple[int, int, int, int]  # code, how far to jump if true, if false, operand
Program = tuple[Instruction, ...]

ALL_BYTES = 0x40000  # more bytes than any packet has
NEXT = ""  # a jump to the instruction that follows

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH = 0x20, 0x28, 0x30, 0x80
_LOAD_X, _STORE, _TO_X = 0x61, 0x02, 0x07
_ADD_X, _MULTIPLY, _AND, _SHIFT_RIGHT, _XOR_X = 0x0C, 0x24, 0x54, 0x74, 0xAC
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_OF = 0x15, 0x35, 0x45
_RETURN = 0x06
EVERYTHING: Program = ((_RETURN, 0, 0, ALL_BYTES),)
"""What lets every packet through."""


class Code:
    """Instructions under way, with names for the places that are jumped to."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, str, int]] = []
        self._places: dict[str, int] = {}

    def place(self, name: str) -> None:
        """What follows is jumped to by this name."""
        self._places[name] = len(self._lines)

    def program(self, after: Program) -> Program:
        """The instructions, and behind them another program, at the place `after`."""
        self.place("after")
        done = []
        for number, (code, true, false, operand) in enumerate(self._lines):
            jumps = [self._places[to] - number - 1 if to else 0 for to in (true, false)]
            done.append((code, jumps[0], jumps[1], operand))
        return (*done, *after)

    def load_word(self, at: int) -> None:
        """A = 32 bits of the packet."""
        self._add(_LOAD_WORD, at)

    def load_half(self, at: int) -> None:
        """A = 16 bits of the packet."""
        self._add(_LOAD_HALF, at)

    def load_byte(self, at: int) -> None:
        """A = a byte of the packet."""
        self._add(_LOAD_BYTE, at)

    def load_length(self) -> None:
        """A = the length of the packet."""
        self._add(_LOAD_LENGTH, 0)

    def to_x(self) -> None:
        """X = A."""
        self._add(_TO_X, 0)

    def store(self, slot: int) -> None:
        """Remember A."""
        self._add(_STORE, slot)

    def add_stored(self, slot: int) -> None:
        """A += what was remembered."""
        self._add(_LOAD_X, slot)
        self._add(_ADD_X, 0)

    def multiply(self, by: int) -> None:
        """A *= a constant."""
        self._add(_MULTIPLY, by)

    def mask(self, bits: int) -> None:
        """A &= a constant."""
        self._add(_AND, bits)

    def xor_x(self) -> None:
        """A ^= X."""
        self._add(_XOR_X, 0)

    def xor_shifted(self, bits: int) -> None:
        """A ^= A >> bits."""
        self.to_x()
        self._add(_SHIFT_RIGHT, bits)
        self.xor_x()

    def if_equal(self, value: int, true: str = NEXT, false: str = NEXT) -> None:
        """Jump by whether A is this value."""
        self._lines.append((_IF_EQUAL, true, false, value))

    def if_at_least(self, value: int, true: str = NEXT, false: str = NEXT) -> None:
        """Jump by whether A is this value or more."""
        self._lines.append((_IF_AT_LEAST, true, false, value))

    def if_any_of(self, bits: int, true: str = NEXT, false: str = NEXT) -> None:
        """Jump by whether A has any of these bits."""
        self._lines.append((_IF_ANY_OF, true, false, bits))

    def end(self, size: int) -> None:
        """So many bytes of the packet pass."""
        self._add(_RETURN, size)

    def _add(self, code: int, operand: int) -> None:
        self._lines.append((code, NEXT, NEXT, operand))


def in_full(program: Program) -> Program:
    """The same program, but what it lets through passes in full length."""
    return tuple(
        (code, true, false, ALL_BYTES if code == _RETURN and operand else operand)
        for code, true, false, operand in program
    )
