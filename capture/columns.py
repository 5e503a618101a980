"""The columns of a tape: one row an exchange, and one row a connection.

A run is a tape: it has the same columns, of which the second part (`due_ns` …) is filled.
Tape format and statistics both follow from this table; docs/tape-format.md is checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .exchange import NEVER


@dataclass(frozen=True)
class Column:
    """One column: its numpy dtype (`text` for a dictionary of UTF-8 strings), unit and meaning."""

    name: str
    dtype: str
    doc: str
    missing: int = 0
    delta: bool = False  # stored as differences of consecutive rows, which compress better


EXCHANGES = (
    # --- where and what
    Column("connection", "int64", "number of its connection in the tape", delta=True),
    Column("position", "int32", "its place on the connection: 0, 1, 2 …"),
    Column("kind", "uint8", "code of exchange.Kind"),
    Column("client", "uint64", "pseudonym of the client's address"),
    Column("session", "uint64", "pseudonym of the user: cookie, token or else client address"),
    Column("method", "text", "the method, as it stood"),
    Column("endpoint", "text", "method and path template: `GET /orders/{id}`"),
    Column("target", "text", "the request target, sanitized"),
    Column("host", "text", "the Host header, or the authority of an absolute target"),
    Column("content_type", "text", "media type of the request body, without parameters"),
    Column("key", "uint64", "hash of method, host and target: equal for equal requests"),
    # --- times, ns since the epoch, -1 where there was none
    Column("opened_ns", "int64", "when its connection was opened or first seen", NEVER, True),
    Column("request_first_ns", "int64", "first byte of the request (in a run: sent)", NEVER, True),
    Column("request_last_ns", "int64", "last byte of the request", NEVER, True),
    Column("response_first_ns", "int64", "first byte of the response", NEVER, True),
    Column("response_last_ns", "int64", "last byte of the response", NEVER, True),
    # --- sizes on the wire, bytes
    Column("request_bytes", "int64", "head and body, missing bytes included"),
    Column("head_bytes", "int32", "the request's head with its empty line; 0 where there is none"),
    Column("missing_bytes", "int64", "request bytes that the capture never saw"),
    Column("response_bytes", "int64", "head and body, interim responses included"),
    # --- what it was like
    Column("status", "uint16", "status of the final response; 0 where there was none"),
    Column("defects", "uint64", "bits of defects.Defect"),
    Column("ended", "uint8", "code of exchange.RequestEnd"),
    Column("flags", "uint32", "bits of exchange.Flag"),
    Column("request_digest", "uint64", "XXH3 of the request bytes in the heap (in a run: as sent)"),
    Column("response_digest", "uint64", "keyed digest of the response body"),
    # --- where its bytes are: offsets into the block's heap and pieces
    Column("request_at", "int64", "offset of the request in the heap", delta=True),
    Column("request_kept", "int64", "bytes of the request in the heap"),
    Column("response_at", "int64", "offset of what was kept of the response", delta=True),
    Column("response_kept", "int64", "bytes of the response in the heap"),
    Column("response_head_bytes", "int32", "of those, the head's"),
    Column("pieces_at", "int64", "first row in the block's table of pieces", delta=True),
    Column("pieces", "int32", "how many pieces followed the first after a pause"),
    # --- a run only
    Column("source", "int64", "exchange number in the tape that was replayed", NEVER, True),
    Column("clone", "int32", "which clone of its session: 0 is the recorded one"),
    Column("target_index", "uint8", "which of several targets it was sent to"),
    Column("due_ns", "int64", "when the plan had it sent", NEVER, True),
    Column("connect_ns", "int64", "time to connect, on the request that opened one", NEVER),
    Column("tls_ns", "int64", "time of the TLS handshake after that", NEVER),
    Column("outcome", "uint8", "code of exchange.Outcome; 0 in a recording"),
    Column("late_cause", "uint8", "code of exchange.Lateness"),
    Column("reuse", "uint8", "code of exchange.Reuse"),
    Column("worker", "uint16", "the worker that sent it"),
    Column("recorded_status", "uint16", "status in the tape that was replayed"),
    Column("recorded_service_ns", "int64", "service time in the tape that was replayed", NEVER),
)

CONNECTIONS = (
    Column("connection", "int64", "its number in the tape", delta=True),
    Column("client", "uint64", "pseudonym of the client's address"),
    Column("server", "text", "address and port of the server"),
    Column("opened_ns", "int64", "when it was opened or first seen", NEVER, True),
    Column(
        "closed_ns", "int64", "when it ended; -1 where the capture did, or let it go", NEVER, True
    ),
    Column("open_seen", "uint8", "0 where the capture began in mid-stream"),
    Column("close", "uint8", "code of exchange.Close"),
    Column("client_bytes", "int64", "bytes of the client's stream, missing ones included"),
    Column("server_bytes", "int64", "bytes of the server's stream, missing ones included"),
    Column("missing_bytes", "int64", "bytes of both directions that the capture never saw"),
    Column("exchanges", "int64", "how many exchanges it carried"),
)
