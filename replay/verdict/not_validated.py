"""What a reader must not conclude from a run. The list is never empty."""

from __future__ import annotations

import numpy as np

from capture.accounts import IN_ORDER, REPEATED
from capture.exchange import Flag, Kind, Outcome, Reuse
from capture.ledger import KEPT, Ledger
from capture.packets.decap import BARE
from shapes.fidelity import Fidelity

from .judge import Verdict
from .rows import Array, Rows

FINE = (KEPT, BARE, IN_ORDER, REPEATED, "believed", "sent", "answered")
"""How fates begin that are no loss."""


def not_validated(rows: Rows, verdict: Verdict, ledger: Ledger, sampled: float) -> list[str]:
    """Everything that this test could not show. `sampled` is the share of connections recorded."""
    said = [
        "Data volume: a target that holds less data than production answers faster than it "
        "would there; nothing here shows how much it holds.",
        "Third parties: calls that the service makes to others were not recorded, so a stub "
        "that never fails or is never slow goes unseen.",
        _caches(rows),
    ]
    if verdict.fidelity is not None:
        said += _bursts(verdict.fidelity)
    elif rows.is_run:
        said.append("Bursts: answers set the pace of this run, not the clock of the tape.")
    if not rows.ended:
        said.append(
            "The end: this file was not closed by its writer; what came later is not in it."
        )
    said += _unreached(rows) if rows.is_run else []
    said += _too_few(rows, verdict)
    if sampled < 1:
        said.append(
            f"Sampling: {sampled:.0%} of the connections were recorded, so this load is so much "
            "lighter than production's, and what happens between connections is thinned."
        )
    for unit in ledger.units():
        lost = {f: n for f, n in ledger.fates(unit).items() if not f.startswith(FINE)}
        said += [f"{count:,} {unit} {fate}." for fate, count in lost.items()]
    said.append(
        "What was sanitized away: values were replaced by pseudonyms of the same length, so "
        "code that depends on the true value of a secret or a person's data did not see it."
    )
    filled = int(((rows["flags"] & Flag.FILLED) != 0).sum())
    if filled:
        said.append(f"{filled:,} bodies could not be read and were replaced by filler.")
    return said


def _caches(rows: Rows) -> str:
    keys = rows["key"]
    _, counts = np.unique(keys, return_counts=True)
    reused = 1 - len(counts) / max(1, len(keys))
    colder = _colder(rows)
    told = (
        f"Caches: {reused:.0%} of the requests repeat an earlier one; whether the target's caches "
        "were as warm as production's was not checked"
    )
    if colder:
        return f"{told}, but the first request of a key took {colder:.1f} × as long as later ones."
    return f"{told}."


def _colder(rows: Rows) -> float:
    """How much longer first requests of keys took than later ones; 0 where that cannot be told."""
    keys, service = rows["key"], rows.service_ns
    order = np.argsort(rows["request_first_ns"], kind="stable")
    _, first_places = np.unique(keys[order], return_index=True)
    first = np.zeros(len(keys), bool)
    first[order[first_places]] = True
    early, late = service[first & rows.answered], service[~first & rows.answered]
    if min(len(early), len(late)) < 50:
        return 0.0
    ratio = float(np.median(early)) / max(1.0, float(np.median(late)))
    return ratio if ratio >= 1.5 else 0.0


def _bursts(kept: Fidelity) -> list[str]:
    said = []
    if kept.sent < kept.planned:
        said.append(f"{kept.planned - kept.sent:,} planned requests were never sent.")
    if kept.horizon_s is not None and kept.horizon_s > 0.0011:
        ms = kept.horizon_s * 1000
        said.append(f"Bursts shorter than {ms:g} ms are not quite those of the plan.")
    return said


def _unreached(rows: Rows) -> list[str]:
    """What the generator could not do as recorded."""
    count = {
        outcome: int((rows["outcome"] == outcome).sum())
        for outcome in (Outcome.NO_RESOURCES, Outcome.UNREACHABLE, Outcome.ABANDONED)
    }
    spare = int((rows["reuse"] == Reuse.SPARE).sum())
    tunnels = int(np.isin(rows["kind"], (Kind.TCP, Kind.WEBSOCKET)).sum())
    told = (
        (count[Outcome.NO_RESOURCES], "requests found no descriptor or port left on this machine."),
        (count[Outcome.UNREACHABLE], "requests did not reach the target at all."),
        (count[Outcome.ABANDONED], "requests ended unanswered as the recorded client ended them: "
         "what the target would have answered is not known."),
        (spare, "requests went out on a spare connection, because the recorded one still waited: "
         "what depends on order within a connection was not kept there."),
        (tunnels, "exchanges of another protocol were sent as bytes; their answers were not read."),
    )  # fmt: skip
    return [f"{number:,} {text}" for number, text in told if number]


def _too_few(rows: Rows, verdict: Verdict) -> list[str]:
    said = []
    few = [row.endpoint for row in verdict.endpoints if row.count < 100]
    if few:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        said.append(f"p99 of {', '.join(few[:5])}{more}: fewer than 100 requests each.")
    unknown = _count(rows["recorded_status"] == 0) if rows.is_run else 0
    if unknown:
        said.append(f"{unknown:,} requests have no recorded answer to compare with.")
    if rows.is_run and not _count(rows["response_digest"] != 0):
        said.append("What the answers said: no digests of their bodies were kept.")
    return said


def _count(mask: Array) -> int:
    return int(mask.sum())
