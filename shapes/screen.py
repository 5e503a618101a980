"""A shape on the screen: figures, sparklines and the endpoints in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .score import Fidelity

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as a row of blocks; each column shows the largest of its share."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    tops = [max(values[i : i + step]) for i in range(0, len(values), step)]
    most = max(tops) or 1.0
    return "".join(_BLOCKS[min(int(v / most * len(_BLOCKS)), len(_BLOCKS) - 1)] for v in tops)


def show(name: str, shape: dict[str, Any]) -> None:
    """Print a shape."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    a, mix, users = shape["arrivals"], shape["mix"], shape["sessions"]
    console.print(f"[bold]{escape(name)}[/]  {a['exchanges']:,} exchanges in {a['span_s']:.3g} s, "
                  f"{a['rate_per_s']:,.4g}/s")  # fmt: skip
    console.print(f"  rate        {sparkline(a['series']['per_s'])}  "
                  f"peak {max(a['series']['per_s'], default=0):,.0f}/s")  # fmt: skip
    idc = [value for _, value in a["idc"]]
    console.print(f"  burstiness  {sparkline(idc)}  " + at_decades(a["idc"]))
    console.print(f"  peak/mean   {at_decades(a['peak_to_mean'])}{of_sample(a, 'peak_to_mean')}")
    console.print(f"  gaps        SCV {a['gap_scv']:.3g} (Poisson: 1), "
                  f"{a['zero_gap_share']:.1%} of them zero{of_sample(a, 'gap_scv')}")  # fmt: skip
    console.print(
        f"  sessions    {users['count']:,}, {users['mean_requests']:.3g} requests each, "
        f"think p50 {duration(users['think_s']['p50'])}; "
        f"{shape['clients']['count']:,} clients, Gini {shape['clients']['gini']:.2f}"
    )
    console.print(f"  in flight   p50 {shape['in_flight']['p50']:.0f}, "
                  f"peak {shape['in_flight']['peak']:.0f}")  # fmt: skip
    console.print(f"  malformed   {mix['malformed_share']:.2%};  "
                  f"repeated requests {mix['key_reuse']:.1%}")  # fmt: skip
    for line in _details(shape):
        console.print(line, markup=False)
    table = Table("endpoint", box=None, header_style="bold")
    for head in ("share", "statuses", "request p50", "response p50", "latency p50", "p99"):
        table.add_column(head, justify="right")
    for entry in mix["endpoints"][:15]:
        table.add_row(
            escape(entry["endpoint"]), f"{entry['share']:.1%}",
            " ".join(f"{status}:{n:,}" for status, n in entry["statuses"].items()),
            f"{entry['request_bytes']['p50']:,.0f} B", f"{entry['response_bytes']['p50']:,.0f} B",
            duration(entry["service_s"]["p50"]), duration(entry["service_s"]["p99"]),
        )  # fmt: skip
    console.print(table)


def _details(shape: dict[str, Any]) -> list[str]:
    """Hurst and period where there are any, connections, what follows what, defects."""
    a, mix, wires = shape["arrivals"], shape["mix"], shape.get("connections", {"count": 0})
    lines = []
    if a["hurst"]:
        h = a["hurst"]
        lines.append(f"  Hurst       {h['value']:.2f} (95 %: {h['low']:.2f} to {h['high']:.2f})")
    if a["autocorrelation"]["period_s"]:
        lines.append(f"  period      {duration(a['autocorrelation']['period_s'])}")
    if wires["count"]:
        lines.append(f"  connections {wires['count']:,}, {times(wires['mean_requests'])} requests "
                     f"each, life p50 {duration(wires['life_s']['p50'])}, "
                     f"{wires['reused_share']:.0%} reused")  # fmt: skip
    pairs = mix.get("bigrams", [])
    total = sum(count for _, _, count in pairs)
    if pairs:
        first = [f"{a} → {b} {count / total:.0%}" for a, b, count in pairs[:3]]
        lines.append("  followed by " + ",  ".join(first))
    for name, found in list(mix.get("malformed", {}).items())[:3]:
        lines.append(f"  {name.replace('_', ' ')}: {found['exchanges']:,} in {found['runs']:,} "
                     f"runs, the longest {found['longest_run']:,}")  # fmt: skip
    return lines


def of_sample(arrivals: dict[str, Any], statistic: str) -> str:
    """A remark where a statistic is that of the sample that was kept, not of the whole stream."""
    return " (of the sample)" if statistic in arrivals.get("uncorrected", ()) else ""


def verdict_lines(found: Fidelity) -> list[str]:
    """A fidelity in a few lines: verdict, lateness, rate, and what kept it from being better."""
    blame = f" (the {found.blame} is to blame)" if found.blame else ""
    p50, p99, p999 = (
        f"{value / 1e6:.3g} ms"
        for value in (found.lateness_p50_ns, found.lateness_p99_ns, found.lateness_p999_ns)
    )
    lines = [
        f"{found.verdict}{blame}: S {found.s:.1f}, sent {found.sent:,} of {found.planned:,}",
        f"lateness p50 {p50}, p99 {p99}, p99.9 {p999}; "
        f"rate error {found.rate_error:.3%}, drift {found.drift_ppm:.1f} ppm",
    ]
    if found.not_due:
        lines.append(f"{found.not_due:,} requests were due only after the run was stopped")
    return [*lines, *(f"  {reason}" for reason in found.reasons)]


def at_decades(pairs: list[list[float]]) -> str:
    """The values at 1 ms, 10 ms, 100 ms … of [[tau_s, value], …]."""
    shown = [(tau, value) for tau, value in pairs if f"{tau:e}".startswith("1.0")]
    return "  ".join(f"{timescale(tau)}: {times(value)}" for tau, value in shown)


def duration(seconds: float) -> str:
    """A duration with the unit that suits it."""
    for unit, size, least in (("days", 86400.0, 2.0), ("h", 3600.0, 2.0), ("min", 60.0, 10.0)):
        if seconds >= size * least:
            return f"{seconds / size:.3g} {unit}"
    return timescale(seconds)


def timescale(seconds: float) -> str:
    """A timescale as people name them: in seconds or parts of them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size * 0.9995:
            return f"{float(f'{seconds / size:.3g}'):,.10g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def times(value: float) -> str:
    """A factor in three digits, never with an exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
