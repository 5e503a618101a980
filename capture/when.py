"""Points of time as people write them, against the span of a tape."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

from .options import DURATION

_DAY_NS = 86_400_000_000_000
_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?")


def _point_ns(text: str | None, span_ns: tuple[int, int], name: str) -> int | None:
    """ns since the epoch of `02:10`, `2026-03-01T02:10:05Z`, `30s` or `+2m` after the start.

    A time of day is the first such time (UTC) at or after the start of the tape's first hour.
    UsageError, naming the option, for anything else.
    """
    if text is None:
        return None
    start_ns = max(span_ns[0], 0)
    of_day = _OF_DAY.fullmatch(text)
    if of_day:
        hours, minutes, seconds = int(of_day[1]), int(of_day[2]), float(of_day[3] or 0)
        if hours < 24 and minutes < 60 and seconds < 60:
            midnight = start_ns - start_ns % _DAY_NS
            at = midnight + (hours * 3600 + minutes * 60) * 10**9 + round(seconds * 1e9)
            return at if at >= start_ns - 3600 * 10**9 else at + _DAY_NS
    elif "T" in text or text.count("-") == 2:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return round(moment.timestamp() * 1e6) * 1000
    else:
        try:
            return start_ns + int(DURATION.convert(text.removeprefix("+"), None, None))
        except click.BadParameter:
            pass
    raise click.BadParameter(
        f"{text!r} is no time; write 02:10, 2026-03-01T02:10:05Z or 30s (after the start).",
        param_hint=name,
    )


def _is_of_day(text: str | None) -> bool:
    return text is not None and _OF_DAY.fullmatch(text) is not None


def range_ns(
    start: str | None, end: str | None, span_ns: tuple[int, int]
) -> tuple[int | None, int | None]:
    """The times that `--from` and `--to` name; a usage error where they enclose nothing.

    A time of day for `--to` is the first such time after `--from`.
    """
    low, high = _point_ns(start, span_ns, "--from"), _point_ns(end, span_ns, "--to")
    if low is not None and high is not None and high <= low and _is_of_day(end):
        high += -(-(low - high + 1) // _DAY_NS) * _DAY_NS  # 23:50 to 00:10 goes over midnight
    if low is not None and high is not None and high <= low:
        raise click.BadParameter(f"{end} is not after --from {start}.", param_hint="--to")
    return low, high


def clock(time_ns: int) -> str:
    """`2026-03-01 02:10:05.123 UTC`."""
    if time_ns < 0:
        return "–"
    moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def span(duration_ns: float) -> str:
    """A duration in the unit that suits it: `850 µs`, `12.3 ms`, `4.0 s`, `2 h 05 min`."""
    if duration_ns < 0:
        return "–"
    for limit, unit, name in ((1e3, 1, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms"), (6e10, 1e9, "s")):
        if duration_ns < limit:
            value = duration_ns / unit
            return f"{value:.0f} {name}" if value >= 100 or unit == 1 else f"{value:.3g} {name}"
    minutes, seconds = divmod(round(duration_ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def size(count: float) -> str:
    """Bytes in the unit that suits them: `512 B`, `1.5 MB` (powers of 1024); of any sign."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1024:
            decimals = 0 if unit == "B" or abs(count) >= 100 else 1
            return f"{count:.{decimals}f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
