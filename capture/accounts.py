"""What became of the bytes of a connection's streams: told when it ends.

Every byte that a packet carried has one fate, and a connection that was HTTP is told with the
lengths of its streams, missing bytes included, so that both can be checked against its exchanges.
"""

from __future__ import annotations

from .exchange import NEVER, Close, Connection
from .flow import Flow
from .ledger import Ledger

BYTES = "stream bytes"
IN_ORDER = "put in order"
REPEATED = "repeated"


def told(flow: Flow, how: Close) -> Connection:
    """The connection of a flow that was HTTP and has ended."""
    connection = flow.connection
    connection.close = how
    connection.closed_ns = flow.last_ns if how != Close.CAPTURE_END else NEVER
    connection.client_bytes = flow.client.offset
    connection.server_bytes = flow.server.offset
    connection.missing_bytes = flow.missing
    return connection


def account(flow: Flow, ledger: Ledger) -> None:
    """Book what became of a flow's bytes."""
    fate = IN_ORDER
    if flow.http is None:
        fate = flow.refused or "no data"
        ledger.book("connections", fate)
    ledger.became(BYTES, fate, flow.first.offset + flow.second.offset - flow.missing)
    ledger.became(BYTES, REPEATED, flow.repeated)
    if flow.differing:
        ledger.book("differing second copies", "ignored", flow.differing)
    if flow.missing:
        ledger.book("missing bytes", "given up", flow.missing)
