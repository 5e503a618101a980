"""The fidelity of a run as a report shows it: measured beside what is excellent and acceptable.

The measures, the limits, the verdict and the blame are those of shapes/fidelity.py and
shapes/score.py; this file only gives them the rows of a report and puts them into words.
"""

from __future__ import annotations

from shapes.fidelity import RUN_COLUMNS, Fidelity, FidelityMeter
from shapes.score import LIMITS

from .rows import Rows

MS = 1_000_000
BLAMED = {
    "generator": "this generator is to blame",
    "network": "the network is to blame",
    "target": "the target's own back-pressure is to blame",
}


def fidelity_of_rows(rows: Rows) -> Fidelity | None:
    """How close a run came to its plan; None of a recording, and where answers set the pace."""
    if not rows.is_run or not rows.paced:
        return None
    meter = FidelityMeter()
    columns = {name: rows[name] for name in RUN_COLUMNS if name in rows.numbers}
    meter.add({**columns, "endpoint": (rows.endpoint, rows.endpoints)})
    return meter.render(altered=rows.altered, noise_p99_ns=rows.noise_p99_ns)


def why_unlike(fidelity: Fidelity | None) -> str:
    """What kept a run from being judged."""
    why = "; ".join(fidelity.reasons[:2]) if fidelity else ""
    who = BLAMED[(fidelity and fidelity.blame) or "generator"]
    return f"the run did not follow its plan ({why}), and {who}"


def in_a_line(fidelity: Fidelity | None) -> str:
    """The fidelity in a few words."""
    if fidelity is None:
        return "There was no plan to keep to."
    return (
        f"S {fidelity.s:.1f}; late p99 {fidelity.lateness_p99_ns / MS:.2f} ms; "
        f"{fidelity.sent:,} of {fidelity.planned:,} sent"
    )


def table(fidelity: Fidelity) -> list[tuple[str, str, str, str]]:
    """Rows of what, measured, excellent, acceptable."""
    horizon = "none" if fidelity.horizon_s is None else f"{fidelity.horizon_s * 1000:g} ms"
    return [
        ("lateness p50", _ms(fidelity.lateness_p50_ns), *_limits("lateness_p50_ns")),
        ("lateness p99", _ms(fidelity.lateness_p99_ns), *_limits("lateness_p99_ns")),
        ("lateness p99.9", _ms(fidelity.lateness_p999_ns), *_limits("lateness_p999_ns")),
        ("lateness, largest", _ms(fidelity.lateness_max_ns), "", ""),
        ("noise floor of the machine, p99", _noise(fidelity.noise_p99_ns), "", ""),
        ("rate error", f"{fidelity.rate_error:.3%}", *_limits("rate_error")),
        ("clock drift", f"{fidelity.drift_ppm:.1f} ppm", "", ""),
        ("burstiness, |Δ ln IDC| from 1 ms on", f"{fidelity.idc_error:.3f}",
         *_limits("idc_error")),
        ("S", f"{fidelity.s:.1f}", *_limits("s")),
        ("horizon: from here on bursts are alike", horizon, "", ""),
        ("sent of planned", f"{fidelity.sent:,} of {fidelity.planned:,}", "all", "all"),
        ("changed between plan and sending", f"{fidelity.altered:,}", "0", "0"),
        ("sent more than once", f"{fidelity.duplicated:,}", "0", "0"),
        ("overtook another on their connection", f"{fidelity.inversions:,}", "0", "0"),
    ]  # fmt: skip


def _noise(ns: float | None) -> str:
    return "not measured" if ns is None else _ms(ns)


def _ms(ns: float) -> str:
    return f"{ns / MS:.3f} ms"


def _limits(name: str) -> tuple[str, str]:
    excellent, acceptable = LIMITS[name]
    if name == "s":
        return f"≥ {excellent:g}", f"≥ {acceptable:g}"
    if name == "rate_error":
        return f"≤ {excellent:.1%}", f"≤ {acceptable:.0%}"
    unit = (MS, " ms") if name.endswith("_ns") else (1, "")
    return f"≤ {excellent / unit[0]:g}{unit[1]}", f"≤ {acceptable / unit[0]:g}{unit[1]}"
