"""What a replay says on the way and at its end, for a person: one line that changes on a terminal,
plain lines now and then elsewhere; at the end how it went, why it was late, what came back."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from shapes.screen import duration

if TYPE_CHECKING:
    from .outcome import Summary
    from .progress import Progress

PLAIN_EVERY_S = 5.0
_ENDPOINTS, _REASONS = 20, 3
CAUSES = {
    "LOOP": "our own loop", "CONNECTION": "a busy connection", "CONNECT": "connecting",
    "TLS": "the TLS handshake",
}  # fmt: skip


class Teller:
    """Tells the progress on stderr, as lines of JSON or for a person."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._terminal = not as_json and sys.stderr.isatty()
        self._told_at = time.monotonic()
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        if self._json:
            click.echo(json.dumps({"progress": asdict(progress)}), err=True)
        elif self._terminal:
            # A line that wraps could not be taken back.
            fits = line_of(progress)[: shutil.get_terminal_size().columns - 1]
            click.echo(f"\r{fits}\x1b[K", err=True, nl=False)
            self._shown = True
        elif time.monotonic() - self._told_at >= PLAIN_EVERY_S:
            self._told_at = time.monotonic()
            click.echo(line_of(progress), err=True)

    def note(self, sentence: str) -> None:
        """Tell something that has to be known at once."""
        click.echo(json.dumps({"note": sentence}) if self._json else f"Note: {sentence}", err=True)

    def end(self) -> None:
        """No more progress: what follows begins on a line of its own."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def line_of(progress: Progress) -> str:
    """Where a run is, in a line."""
    if progress.elapsed_s < 0:
        return f"begins in {duration(-progress.elapsed_s)}"
    about = "about " if progress.about else ""
    paced = "" if progress.planned_rate is None else f" of {progress.planned_rate:,.0f}/s planned"
    parts = [
        f"{progress.elapsed_s:6.1f} s  {progress.sent:,} of {about}{progress.planned:,} sent",
        f"{progress.rate:,.0f}/s{paced}",
        f"{progress.in_flight:,} in flight",
    ]
    if progress.planned_rate is not None:
        parts.append(f"lateness p99 {progress.lateness_p99_ns / 1e6:.3f} ms")
    parts.append(f"{progress.errors:,} errors")
    if progress.eta_s:
        parts.append(f"{about}{duration(progress.eta_s)} left")
    elif progress.eta_s is not None:
        parts.append("waiting for answers" if progress.in_flight else "writing the run")
    return ", ".join(parts)


def as_text(summary: Summary) -> str:
    """The end of a replay, for a person."""
    lines = [
        f"{summary.sent:,} of {summary.planned:,} requests sent in {summary.span_ns / 1e9:.3f} s, "
        f"{summary.answered:,} answered",
    ]
    if summary.fidelity is None:
        lines.append(f"rate      {summary.rate:,.1f}/s, as fast as answers allowed")
    else:
        found = summary.fidelity
        lines += [
            f"rate      {summary.rate:,.1f}/s of {summary.planned_rate:,.1f}/s planned",
            *_lateness(summary),
            f"fidelity  S {found['s']:.1f}, {found['verdict']}",
            *(f"          {reason}" for reason in found.get("reasons", [])[:_REASONS]),
        ]
    lines.append("outcomes  " + _counts(summary.outcomes))
    lines.append("statuses  " + _counts(summary.statuses))
    lines.append(f"spare connections used {summary.spare:,} times")
    if summary.rewritten:
        # Requests are made ready ahead: where sending stopped, some of them were not sent.
        ahead = max(summary.rewritten.values()) > summary.planned
        lines.append(
            "rewritten " + _counts(summary.rewritten) + (", also of what was not sent" * ahead)
        )
    lines.append("")
    if summary.targets:
        lines.append(f"{'target':<40} {'requests':>9} {'failed':>22} {'replayed':>18}")
        lines += [
            f"{row['target'][:40]:<40} {row['requests']:>9,} {row['failed']:>22,} "
            f"{_pair(row['response']):>18}"
            for row in summary.targets
        ]
        lines.append("")
    lines.append(f"{'endpoint':<40} {'requests':>9} {'recorded p50/p99 ms':>22} {'replayed':>18}")
    lines += [
        f"{row['endpoint'][:40]:<40} {row['requests']:>9,} "
        f"{_pair(row['recorded']):>22} {_pair(row['response']):>18}"
        for row in summary.endpoints[:_ENDPOINTS]
    ]
    lines += [f"Warning: {warning}" for warning in summary.warnings]
    return "\n".join([*lines, f"Run: {summary.run}"])


def _lateness(summary: Summary) -> list[str]:
    late, noise = summary.lateness, summary.noise_floor
    lines = ["lateness  " + ", ".join(f"{name} {ns / 1e6:.3f} ms" for name, ns in late.items())]
    if noise:
        lines.append(
            f"          this machine's noise floor: p50 {noise['p50'] / 1e6:.3f} ms, "
            f"p99 {noise['p99'] / 1e6:.3f} ms"
        )
    lines += [f"          {_cause(name, found)}" for name, found in summary.late_by_cause.items()]
    return lines


def _cause(name: str, found: dict[str, Any]) -> str:
    requests = "1 request" if found["requests"] == 1 else f"{found['requests']:,} requests"
    return (
        f"late by {CAUSES.get(name, name.lower())}: {requests}, "
        f"p50 {found['p50'] / 1e6:.3f} ms, max {found['max'] / 1e6:.3f} ms"
    )


def _counts(counts: dict[str, int]) -> str:
    told = (f"{name.lower().replace('_', ' ')} {count:,}" for name, count in counts.items())
    return ", ".join(told) or "none"


def _pair(times: dict[str, int]) -> str:
    if not times["p99"]:  # nothing came back
        return "–"
    return f"{times['p50'] / 1e6:.2f} / {times['p99'] / 1e6:.2f}"
