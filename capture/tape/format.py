"""What the writer and the reader of tapes agree on: the header, the trailer, the order of rows."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .block import Array, Rows, Text

VERSION = 1
TRAILER = struct.Struct("<q8s")
TRAILER_MAGIC = b"WTAPEEND"
_PLAIN: dict[str, Any] = {
    "str": str, "int": int, "float": (float, int), "bytes": bytes, "dict": dict
}  # fmt: skip


@dataclass
class TapeHeader:
    """What a tape says of itself before its first row."""

    kind: str = "recording"  # or "run"
    tape_id: str = field(default_factory=lambda: secrets.token_hex(8))
    created_ns: int = field(default_factory=time.time_ns)
    version: int = VERSION
    source: str = ""  # where the packets came from, or the id of the tape that was replayed
    level: str = "standard"  # of sanitizing: standard, strict, none
    policy: str = ""  # digest of the policy
    sample_rate: float = 1.0  # share of connections that was kept by design
    options: dict[str, Any] = field(default_factory=dict)
    sealed_key: bytes = b""  # the data key, encrypted to the recipients; empty: not encrypted
    writer: str = field(default_factory=lambda: _program())  # name and version

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TapeHeader:
        """The header that `asdict` described; fields of later versions are left out."""
        known = {each.name: each for each in fields(cls)}
        for name in known.keys() & values.keys():
            if not isinstance(values[name], _PLAIN[str(known[name].type).split("[")[0]]):
                raise TypeError(f"{name} of a header is {values[name]!r}")
        return cls(**{name: value for name, value in values.items() if name in known})


def _program() -> str:
    """Name and version of what writes."""
    from importlib import metadata

    return f"wiretape {metadata.version('wiretape')}"


ORDER = ("request_first_ns", "due_ns", "response_first_ns", "opened_ns")
"""The columns by which rows stand in order: sent, else due, else answered, else opened."""


def order_ns(rows: Rows, count: int) -> Array:
    """The time by which each row stands in order; -1 where none is known."""
    time_ns = np.full(count, -1, dtype=np.int64)
    for name in ORDER:
        data = rows.get(name)
        if data is not None and not isinstance(data, Text):
            time_ns = np.where(time_ns < 0, data, time_ns)
    return time_ns
