"""What `wiretape tape info` shows: span, counts, ledger, mix, sizes; read from columns only."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..exchange import Close, Kind, Outcome
from ..ledger import SEEN
from ..when import clock, size, span
from .block import Array, Text
from .order import Columns, numbers
from .reader import Tape

_NAMES = (
    "kind", "endpoint", "host", "status", "request_bytes", "response_bytes", "request_first_ns",
    "response_last_ns", "session", "missing_bytes", "outcome",
)  # fmt: skip
_SIZE_EDGES = np.array([0, 128, 256, 512, 1024, 4096, 16384, 65536, 1 << 20, 1 << 62])


def facts(tape: Tape) -> dict[str, Any]:
    """What is in a tape, as plain values (times in ns, sizes in bytes)."""
    first_ns, last_ns = tape.span_ns
    tally = _Tally()
    for block in tape.columns(_NAMES):
        tally.add(block)
    closes: Counter[str] = Counter()
    for ended in tape.connections(["close"]):
        closes.update(Close(code).name.lower() for code in numbers(ended["close"]).tolist())
    return {
        "path": str(tape.files[0].path if len(tape.files) == 1 else tape.files[0].path.parent),
        "files": len(tape.files),
        "bytes": tape.size,
        "kind": tape.header.kind,
        "tape_id": tape.header.tape_id,
        "source": tape.header.source,
        "level": tape.header.level,
        "sample_rate": tape.sample_rate,
        "encrypted": bool(tape.header.sealed_key),
        "whole": tape.whole,
        "first_ns": first_ns,
        "last_ns": last_ns,
        "exchanges": tape.exchange_count,
        "connections": tape.connection_count,
        "sessions": len(tally.sessions),
        "kinds": dict(tally.kinds.most_common()),
        "statuses": dict(sorted(tally.statuses.items())),
        "outcomes": dict(tally.outcomes.most_common()),
        "hosts": dict(tally.hosts.most_common(10)),
        "endpoints": tally.top(),
        "closes": dict(closes.most_common()),
        "request_bytes": tally.request_bytes,
        "response_bytes": tally.response_bytes,
        "missing_bytes": tally.missing_bytes,
        "request_sizes": [
            [int(edge), int(count)]
            for edge, count in zip(_SIZE_EDGES[:-1], tally.sizes, strict=True)
        ],
        "ledger": tape.ledger.as_dict(),
        "ledger_imbalances": tape.ledger.imbalances(),
        "losses": [str(loss) for loss in tape.losses],
        "summary": tape.summary,
    }


class _Tally:
    """Counts over the blocks of a tape."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()
        self.service: dict[str, list[Array]] = {}
        self.sessions: set[int] = set()
        self.sizes = np.zeros(len(_SIZE_EDGES) - 1, dtype=np.int64)
        self.request_bytes = self.response_bytes = self.missing_bytes = 0

    def add(self, block: Columns) -> None:
        """Count one block."""
        plain = {name: c for name, c in block.items() if not isinstance(c, Text)}
        self.kinds.update(_named(plain["kind"], Kind))
        self.outcomes.update(_named(plain["outcome"], Outcome))
        values, counts = np.unique(plain["status"], return_counts=True)
        self.statuses.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self.sessions.update(np.unique(plain["session"]).tolist())
        self.sizes += np.histogram(plain["request_bytes"], _SIZE_EDGES)[0]
        self.request_bytes += int(plain["request_bytes"].sum())
        self.response_bytes += int(plain["response_bytes"].sum())
        self.missing_bytes += int(plain["missing_bytes"].sum())
        for name, into in (("host", self.hosts), ("endpoint", self.endpoints)):
            text = block[name]
            assert isinstance(text, Text)
            tally = np.bincount(text.codes, minlength=len(text.values))
            into.update(
                {value: n for value, n in zip(text.values, tally.tolist(), strict=True) if n}
            )
        self._add_service(block["endpoint"], plain)

    def _add_service(self, endpoint: Array | Text, plain: dict[str, Array]) -> None:
        assert isinstance(endpoint, Text)
        last, first = plain["response_last_ns"], plain["request_first_ns"]
        answered = np.flatnonzero((last >= 0) & (first >= 0))
        took, codes = (last - first)[answered], endpoint.codes[answered]
        for code in np.unique(codes).tolist():
            # A bounded sample an endpoint and block is enough for a median on a screen.
            self.service.setdefault(endpoint.values[code], []).append(took[codes == code][:200])

    def top(self, most: int = 12) -> list[dict[str, Any]]:
        """The commonest endpoints with their share and recorded service time."""
        total = sum(self.endpoints.values()) or 1
        rows = []
        for endpoint, count in self.endpoints.most_common(most):
            parts = self.service.get(endpoint)
            took = np.concatenate(parts) if parts else np.array([-1])
            p50, p99 = np.percentile(took, [50, 99]).tolist()
            rows.append(
                {
                    "endpoint": endpoint,
                    "exchanges": count,
                    "share": count / total,
                    "service_p50_ns": round(p50) if parts else None,
                    "service_p99_ns": round(p99) if parts else None,
                }
            )
        return rows


def show(found: dict[str, Any]) -> None:
    """Print the facts as a screen."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    lasted = found["last_ns"] - found["first_ns"]
    what = "run" if found["kind"] == "run" else "recording"
    console.print(f"[bold]{found['path']}[/]  {what}, {size(found['bytes'])}, {_sealing(found)}")
    console.print(
        f"{clock(found['first_ns'])}  for [bold]{span(lasted)}[/]: "
        f"[bold]{found['exchanges']:,}[/] exchanges on {found['connections']:,} connections "
        f"of {found['sessions']:,} sessions"
        + (f", {found['exchanges'] / lasted * 1e9:,.1f}/s" if lasted > 0 else "")
    )
    if not found["whole"]:
        console.print(
            "[yellow]It has no end, so no index: its writer was stopped, or it was cut.[/]"
        )
    for loss in found["losses"]:
        console.print(f"[red]lost[/] {loss}")
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("endpoint", overflow="fold")
    for name in ("exchanges", "share", "p50", "p99"):
        table.add_column(name, justify="right")
    for row in found["endpoints"]:
        p50, p99 = row["service_p50_ns"], row["service_p99_ns"]
        table.add_row(
            row["endpoint"], f"{row['exchanges']:,}", f"{row['share']:.1%}",
            "–" if p50 is None else span(p50), "–" if p99 is None else span(p99),
        )  # fmt: skip
    console.print(table)
    lines = (
        ("kinds", found["kinds"]), ("statuses", found["statuses"]),
        ("outcomes", found["outcomes"] if what == "run" else {}),
        ("ends", found["closes"]), ("hosts", found["hosts"]),
    )  # fmt: skip
    for name, counts in lines:
        if counts:
            shown = "  ".join(f"{key or 'none'} {n:,}" for key, n in counts.items())
            console.print(f"[bold]{name:<9}[/] {shown}", soft_wrap=True)
    if kept := found["summary"].get("fidelity"):
        console.print(f"[bold]{'fidelity':<9}[/] S {kept['s']:.1f}, {kept['verdict']}")
    console.print(_bar(found["request_sizes"]), soft_wrap=True)
    _show_ledger(console, found)


def _show_ledger(console: Any, found: dict[str, Any]) -> None:
    for unit, fates in found["ledger"].items():
        parts = [f"{n:,} {fate}" for fate, n in fates.items() if fate != SEEN]
        console.print(f"[bold]{'ledger':<9}[/] {fates[SEEN]:,} {unit} = " + " + ".join(parts))
    for wrong in found["ledger_imbalances"]:
        console.print(f"[red]the ledger does not sum up:[/] {wrong}")


def _sealing(found: dict[str, Any]) -> str:
    level = found["level"]
    text = "[red]NOT SANITIZED[/]" if level == "none" else f"sanitized ({level})"
    return text + (", encrypted" if found["encrypted"] else "")


def _bar(sizes: list[list[int]]) -> str:
    most = max((count for _, count in sizes), default=0) or 1
    marks = "▁▂▃▄▅▆▇█"
    shown = [
        f"≥{size(edge)} {marks[max(0, round(count / most * 7))]} {count:,}"
        for edge, count in sizes
        if count
    ]
    return f"[bold]{'sizes':<9}[/] " + "  ".join(shown)


def _named(codes: Array, names: Any) -> dict[str, int]:
    values, counts = np.unique(codes, return_counts=True)
    return {
        names(value).name.lower(): count
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
        if not (names is Outcome and value == 0)
    }
