"""Has atheris see where the code of wiretape goes, without its rewriting of imports."""

from __future__ import annotations

import importlib
from types import FunctionType
from typing import Any


def instrument(atheris: Any, *names: str) -> None:
    """Have the functions of some modules of `capture` report where they go."""
    for name in names:
        module = importlib.import_module(f"capture.{name}")
        for holder in [module, *(each for each in vars(module).values() if isinstance(each, type))]:
            for key, each in list(vars(holder).items()):
                if isinstance(each, FunctionType) and each.__module__ == module.__name__:
                    setattr(holder, key, atheris.instrument_func(each))


class Given:
    """The bytes of an input, taken from the front; zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def number(self, size: int = 1) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.some(size), "big")

    def some(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken
