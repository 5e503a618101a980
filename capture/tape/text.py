"""A tape as text: one JSON object, or one HTTP message, an exchange."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..exchange import NEVER, Flag, Kind, Lateness, Outcome, RequestEnd, Reuse
from .block import Text
from .order import Columns
from .reader import Tape

_NAMES = (
    "connection", "position", "request_first_ns", "kind", "method", "target", "host", "endpoint",
    "status", "request_bytes", "response_bytes", "missing_bytes", "response_first_ns",
    "response_last_ns", "request_last_ns", "session", "client", "defects", "ended", "flags",
    "content_type",
)  # fmt: skip
_RUN_NAMES = (
    "source", "clone", "target_index", "due_ns", "connect_ns", "tls_ns", "outcome", "late_cause",
    "reuse", "worker", "recorded_status", "recorded_service_ns", "response_digest",
)  # fmt: skip


def objects(
    tape: Tape, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[dict[str, Any]]:
    """The exchanges in order of time, each as a dict of plain values (times in ns)."""
    is_run = tape.header.kind == "run"
    names = (*_NAMES, *_RUN_NAMES) if is_run else _NAMES
    for chunk in tape.in_order(names, start_ns, end_ns):
        for row in _rows(chunk):
            yield _run_object(row) if is_run else _object(row)


def json_line(thing: dict[str, Any]) -> str:
    """One object as one line."""
    return json.dumps(thing, ensure_ascii=False)


def http(tape: Tape, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[bytes]:
    """The exchanges in order of time as the bytes of their requests and kept responses."""
    names = ("request_first_ns", "connection", "position", "kind")
    for chunk in tape.in_order(names, start_ns, end_ns):
        numbers = chunk["exchange"]
        assert not isinstance(numbers, Text)
        for row, payload in zip(_rows(chunk), tape.payloads(numbers), strict=True):
            title = (
                f"### exchange {row['exchange']}, connection {row['connection']}.{row['position']}"
            )
            kind = Kind(row["kind"]).name.lower()
            yield f"{title}, {kind}, {row['request_first_ns']} ns\n".encode()
            yield payload.request + b"\n" if payload.request else b""
            yield payload.response + b"\n" if payload.response else b""


def _rows(chunk: Columns) -> Iterator[dict[str, Any]]:
    lists = {
        name: column.strings() if isinstance(column, Text) else column.tolist()
        for name, column in chunk.items()
    }
    for values in zip(*lists.values(), strict=True):
        yield dict(zip(lists, values, strict=True))


def _object(row: dict[str, Any]) -> dict[str, Any]:
    sent, last = row["request_first_ns"], row["response_last_ns"]
    return {
        "exchange": row["exchange"],
        "connection": row["connection"],
        "position": row["position"],
        "time_ns": sent,
        "kind": Kind(row["kind"]).name.lower(),
        "method": row["method"],
        "target": row["target"],
        "host": row["host"],
        "endpoint": row["endpoint"],
        "status": row["status"] or None,
        "request_bytes": row["request_bytes"],
        "response_bytes": row["response_bytes"],
        "missing_bytes": row["missing_bytes"],
        "service_ns": last - sent if last != NEVER and sent != NEVER else None,
        "first_byte_ns": _since(row["response_first_ns"], sent),
        "request_ns": _since(row["request_last_ns"], sent),
        "session": f"{row['session']:016x}",
        "client": f"{row['client']:016x}",
        "content_type": row["content_type"],
        "ended": RequestEnd(row["ended"]).name.lower(),
        "defects": _bits(row["defects"]),
        "flags": [flag.name.lower() for flag in Flag(row["flags"]) if flag.name],
    }


def _run_object(row: dict[str, Any]) -> dict[str, Any]:
    due, last = row["due_ns"], row["response_last_ns"]
    return _object(row) | {
        "source": row["source"],
        "clone": row["clone"],
        "target_index": row["target_index"],
        "due_ns": due,
        "lateness_ns": _since(row["request_first_ns"], due),
        "response_ns": _since(last, due),
        "connect_ns": None if row["connect_ns"] == NEVER else row["connect_ns"],
        "tls_ns": None if row["tls_ns"] == NEVER else row["tls_ns"],
        "outcome": Outcome(row["outcome"]).name.lower(),
        "late_cause": Lateness(row["late_cause"]).name.lower(),
        "reuse": Reuse(row["reuse"]).name.lower(),
        "worker": row["worker"],
        "recorded_status": row["recorded_status"] or None,
        "recorded_service_ns": (
            None if row["recorded_service_ns"] == NEVER else row["recorded_service_ns"]
        ),
        "response_digest": f"{row['response_digest']:016x}",
    }


def _since(later: int, earlier: int) -> int | None:
    return later - earlier if later != NEVER and earlier != NEVER else None


def _bits(mask: int) -> list[str]:
    from ..defects import Defect

    return [defect.name.lower() for defect in Defect(mask) if defect.name]
