"""The report of a soak: one content, as a page that works offline and as JSON.

The verdict comes first, in one sentence; then what was found and since when; then hours, endpoints,
watched metrics, segments; and what this soak could not validate, which is never empty.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from capture.written import write_text

from .findings import STANDING, Found
from .telling import lasting, of_metric
from .watch import TOO_EARLY

INVALID_SHARE = 0.5
MOST_TOLD = 3
Content = dict[str, Any]


def content_of(state: Content, complete: bool, warnings: list[str]) -> Content:
    """The report as plain values, from the state of a soak."""
    found = [Found(**values) for values in state["findings"]]
    judged = [each for each in state["segments"] if not each["problem"]]
    word = _word(found, judged)
    elapsed_s = min(state["elapsed_s"], state["soak_s"]) if complete else state["elapsed_s"]
    return {
        "verdict": word,
        "sentence": _sentence(word, found, state),
        "complete": complete,
        "tape": state["tape"],
        "target": state["target"],
        "started": state["started"],
        "elapsed_s": elapsed_s,
        "soak_s": state["soak_s"],
        "findings": state["findings"],
        "totals": state["totals"],
        "windows": state["windows"]["closed"],
        "segments": state["segments"],
        "removed_segments": state["removed"],
        "lost_rows": state["lost_rows"],
        "restarts": state["restarts"],
        "watched": state["watched"],
        "samples": state["samples"],
        "sample_failures": state["sample_failures"],
        "checkpoint_failures": state["checkpoint_failures"],
        "alerts": state["alerts"],
        "own_rss_mb": state["own_rss_mb"],
        "warnings": warnings,
        "not_validated": _not_validated(state, complete, judged),
    }


def _word(found: list[Found], judged: list[Content]) -> str:
    if any(each.fails for each in found):
        return "FAIL"
    refused = sum(each["word"] == "INVALID" for each in judged)
    return "INVALID" if judged and refused > INVALID_SHARE * len(judged) else "PASS"


def _sentence(word: str, found: list[Found], state: Content) -> str:
    after = lasting(state["elapsed_s"])
    if word == "FAIL":
        told = [each.sentence for each in found if each.fails]
        more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        return f"{'; '.join(told[:MOST_TOLD])}{more}."
    if word == "INVALID":
        return "Not judged: most of the soak did not follow its plan, by no fault of the target's."
    return f"Nothing leaked, got slower, failed or had another effect in {after}."


def _not_validated(state: Content, complete: bool, judged: list[Content]) -> list[str]:
    said = []
    if not complete:
        rest = lasting(max(0.0, state["soak_s"] - state["elapsed_s"]))
        said.append(f"The last {rest} of the soak: it was stopped before.")
    if not state["watched"]:
        said.append("Leaks: nothing of the target was watched (--scrape, --pid, --watch-command).")
    early = [each["metric"] for each in state["watched"] if each["per_hour"] == TOO_EARLY]
    if early:
        said.append(f"Growth of {', '.join(early[:5])}: watched for too short a time.")
    if state["more_metrics"]:
        said.append(f"Metrics beyond {len(state['watched'])}: narrow them with --watch-only.")
    if state["sample_failures"]:
        said.append(f"{state['sample_failures']:,} samples of the target could not be taken.")
    refused = sum(each["word"] == "INVALID" for each in judged)
    if refused:
        said.append(f"{refused:,} of {len(judged):,} segments, which did not follow their plan.")
    unjudged = len(state["segments"]) - len(judged)
    if unjudged:
        said.append(f"{unjudged:,} segments, which could not be judged.")
    if state["lost_rows"]:
        said.append(f"{state['lost_rows']:,} requests that are in no file: they were counted only.")
    said += [f"The time between {lasting(each['stopped_s'])} and its restart, and requests sent "
             "in the seconds before it, which may have been sent twice."
             for each in state["restarts"]]  # fmt: skip
    said += [
        "Leaks slower than their budget within the horizon, and those of what was not watched.",
        "Data that grows by what production does besides the requests on the tape.",
        "Third parties, and what was sanitized away, sampled out or dropped at capture.",
    ]
    return said


def write(folder: Path, content: Content) -> list[Path]:
    """Write `report.json` and `report.html`."""
    pages = {"report.json": json.dumps(content, indent=2) + "\n", "report.html": as_html(content)}
    for name, text in pages.items():
        write_text(folder / name, text)
    return [folder / name for name in pages]


def as_text(content: Content) -> str:
    """The end of a soak, for a person."""
    totals = content["totals"]
    lines = [
        f"{content['verdict']}: {content['sentence']}",
        f"{totals['sent']:,} of {totals['due']:,} requests sent in {lasting(content['elapsed_s'])}"
        f" of {lasting(content['soak_s'])}, {totals['failed']:,} failed",
        "service   " + _times(totals["service_ms"]),
        "lateness  " + _times(totals["late_ms"]),
    ]
    lines += [of_metric(each) for each in content["watched"][:8]]
    lines += [f"Warning: {warning}" for warning in content["warnings"]]
    return "\n".join(lines)


def _times(times: dict[str, float]) -> str:
    return ", ".join(f"{name} {ms:,.3f} ms" for name, ms in times.items())


def as_html(content: Content) -> str:
    """The page."""
    from shapes.plots import page

    from .report_figures import cards

    totals = content["totals"]
    service = totals["service_ms"]
    facts = [
        ("lasted", lasting(content["elapsed_s"])),
        ("requests sent", f"{totals['sent']:,}"),
        ("failed", f"{totals['failed']:,}"),
        ("p50 / p99", f"{service['p50']:,.1f} / {service['p99']:,.1f} ms"),
        ("lateness p99", f"{totals['late_ms']['p99']:,.2f} ms"),
        ("restarts", f"{len(content['restarts'])}"),
    ]  # fmt: skip
    title = f"{content['verdict']}: {content['sentence']}"
    return page(title, cards(content), facts, _sections(content))


def _sections(content: Content) -> str:
    findings = [
        [each["kind"], each["sentence"], lasting(each["first_s"]), lasting(each["last_s"]),
         f"{each['times']:,}", "" if each["state"] == STANDING else each["state"],
         each["segment"]]
        for each in content["findings"]
    ]  # fmt: skip
    endpoints = [
        [row["endpoint"], f"{row['requests']:,}", f"{row['recorded_ms']['p50']:,.1f}",
         f"{row['recorded_ms']['p99']:,.1f}", f"{row['service_ms']['p50']:,.1f}",
         f"{row['service_ms']['p99']:,.1f}", f"{row['failed']:,}"]
        for row in content["totals"]["endpoints"][:50]
    ]  # fmt: skip
    watched = [[each["metric"], each["now"], each["per_hour"], "leak" if each["leaks"] else ""]
               for each in content["watched"]]  # fmt: skip
    segments = [
        [each["segment"], f"{each['rows']:,}", each["word"], each["problem"] or each["sentence"]]
        for each in content["segments"][-200:]
    ]
    listed = "".join(f"<li>{html.escape(item)}</li>" for item in content["not_validated"])
    return (
        "<style>.wide{overflow-x:auto;margin-top:14px}table{border-collapse:collapse;width:100%}"
        "td,th{text-align:left;padding:5px 12px 5px 0;border-top:1px solid var(--line);"
        "vertical-align:top}th{color:var(--soft);font-weight:500;border:0}</style>"
        + _table("Found", ["kind", "what", "first", "last", "times", "", "shown by"], findings)
        + _table("Watched", ["metric", "at the end", "per hour", ""], watched)
        + _table("Endpoints, ms", ["endpoint", "requests", "recorded p50", "p99",
                                   "replayed p50", "p99", "failed"], endpoints)
        + _table("Segments", ["run file", "requests", "verdict", ""], segments)
        + "<section class=wide><h2>What this soak could not validate</h2>"
        + f"<ul>{listed}</ul></section>"
    )  # fmt: skip


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<section class=wide tabindex=0><h2>{html.escape(title)}</h2>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )
