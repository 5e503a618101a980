"""What became of the bytes of a connection's streams: told when it ends.

Every byte that a packet carried has one fate, and a connection that was HTTP is told with the
lengths of its streams, missing bytes included, so that both can be checked against its exchanges.
"""

from __future__ import annotations

from .exchange import NEVER, Close, Connection
from .flow import Flow
from .ledger import CONNECTIONS, MISSING_BYTES, Ledger
from .stream import Odd

BYTES = "stream bytes"
IN_ORDER = "put in order"
REPEATED = "repeated"
APART = "apart from HTTP (said to a proxy, or urgent)"

_NOTHING = Odd()  # is out of the ordinary: read only


def told(flow: Flow, how: Close) -> Connection:
    """The connection of a flow that was HTTP and has ended."""
    connection = flow.connection
    connection.close = how
    connection.closed_ns = flow.last_ns if how != Close.CAPTURE_END else NEVER
    odd = flow.odd or _NOTHING
    of_first, of_second = odd.apart
    first, second = flow.first.offset - of_first, flow.second.offset - of_second
    if flow.swapped:
        first, second = second, first
    connection.client_bytes, connection.server_bytes = first, second
    connection.missing_bytes = odd.missing
    return connection


def account(flow: Flow, ledger: Ledger) -> None:
    """Book what became of a flow's bytes."""
    fate, odd = IN_ORDER, flow.odd or _NOTHING
    if flow.http is None:
        fate = odd.refused or "no data"
        ledger.book(CONNECTIONS, fate)
    apart = sum(odd.apart)
    ledger.became(BYTES, fate, flow.first.offset + flow.second.offset - odd.missing - apart)
    ledger.became(BYTES, APART, apart)
    ledger.became(BYTES, REPEATED, odd.repeated)
    if odd.differing:
        ledger.book("differing second copies", "ignored", odd.differing)
    if odd.missing:
        ledger.book(MISSING_BYTES, "given up", odd.missing)
