"""What the framing of all connections has in common, and what readers ask of their connection.

One `Framing` serves a hundred thousand connections, so that each holds one reference to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ..exchange import Exchange
from .digest import Digester
from .head import Heads, ResponseHead


@dataclass(slots=True, eq=False)
class Framing:
    """Where exchanges go, and what is kept of them."""

    out: list[Exchange]  # what became whole is appended
    digester: Digester  # of bodies
    max_body: int = 1 << 20
    keep_bodies: bool = False  # of responses
    heads: Heads = field(default_factory=Heads)


class Asked(Protocol):
    """What requests are handed to."""

    framing: Framing
    over: bool  # one of them said that no other would come

    def begin(self, time_ns: int) -> Exchange: ...

    def request_done(self, exchange: Exchange) -> None: ...

    def tunnelled(self, time_ns: int) -> Exchange: ...


class Answered(Protocol):
    """What responses are handed to."""

    framing: Framing

    def to_answer(self, time_ns: int) -> Exchange: ...

    def method(self, exchange: Exchange) -> bytes: ...

    def final_head(self, exchange: Exchange) -> None: ...

    def response_done(self, exchange: Exchange) -> None: ...

    @property
    def others_wait(self) -> bool: ...

    @property
    def one_waits(self) -> bool: ...

    def after_gap(self) -> None: ...

    def switch(self, exchange: Exchange, head: ResponseHead) -> bool: ...

    def tunnelled(self, time_ns: int) -> Exchange: ...
