"""Two shapes side by side: what differs, the largest first, and what it means in words."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One statistic of both; `weight` is |ln ratio|, or of shares a distance."""

    what: str
    a: float
    b: float
    weight: float
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    """What differs by more than 5 %, the largest first."""
    found = [
        _ratio("rate (1/s)", a["arrivals"]["rate_per_s"], b["arrivals"]["rate_per_s"],
               "more load", "less load"),
        _ratio("requests a session", a["sessions"]["mean_requests"],
               b["sessions"]["mean_requests"], "longer sessions", "shorter sessions"),
        _ratio("think time p50 (s)", a["sessions"]["think_s"]["p50"],
               b["sessions"]["think_s"]["p50"], "slower users", "faster users"),
        _ratio("response bytes p50", a["mix"]["response_bytes"]["p50"],
               b["mix"]["response_bytes"]["p50"], "larger answers", "smaller answers"),
        _ratio("service time p99 (s)", a["mix"]["service_s"]["p99"], b["mix"]["service_s"]["p99"],
               "a slower tail", "a faster tail"),
        _ratio("peak in flight", a["in_flight"]["peak"], b["in_flight"]["peak"],
               "more requests at once", "fewer requests at once"),
        _share("malformed share", a["mix"]["malformed_share"], b["mix"]["malformed_share"],
               "more malformed requests", "fewer malformed requests"),
        _share("server errors", _errors(a["mix"]), _errors(b["mix"]), "more server errors",
               "fewer server errors"),
        _share("repeated requests", a["mix"]["key_reuse"], b["mix"]["key_reuse"],
               "more repeated requests, kind to caches", "fewer repeated requests"),
        _mix(a["mix"], b["mix"]),
    ]  # fmt: skip
    ours, theirs = dict(map(tuple, a["arrivals"]["idc"])), dict(map(tuple, b["arrivals"]["idc"]))
    found += [
        _ratio(f"IDC at {tau:g} s", ours[tau], theirs[tau], "more burstiness at this timescale",
               "less burstiness at this timescale")
        for tau in ours if tau in theirs
    ]  # fmt: skip
    if a["connections"]["count"] and b["connections"]["count"]:
        found.append(_ratio("requests a connection", a["connections"]["mean_requests"],
                            b["connections"]["mean_requests"], "connections that carry more",
                            "connections that carry less"))  # fmt: skip
    if not any("gap_scv" in each["arrivals"].get("uncorrected", ()) for each in (a, b)):
        found.append(_ratio("SCV of gaps", a["arrivals"]["gap_scv"], b["arrivals"]["gap_scv"],
                            "gaps that vary more", "gaps that vary less"))  # fmt: skip
    return sorted((d for d in found if d.weight > 0.05), key=lambda d: -d.weight)


def _ratio(what: str, a: float, b: float, more: str, less: str) -> Difference:
    floor = 1e-9
    weight = abs(math.log(max(b, floor) / max(a, floor)))
    return Difference(what, a, b, weight, f"B has {more}" if b > a else f"B has {less}")


def _share(what: str, a: float, b: float, more: str, less: str) -> Difference:
    """Shares of which small ones matter: 0 against 0.25 % weighs as much as a ratio of 5 %."""
    weight = abs(math.sqrt(b) - math.sqrt(a)) + 1e-9
    return Difference(what, a, b, weight, f"B has {more}" if b > a else f"B has {less}")


def _errors(mix: dict[str, Any]) -> float:
    every = sum(mix["statuses"].values())
    failed = sum(n for status, n in mix["statuses"].items() if status >= "500")
    return failed / every if every else 0.0


def _mix(a: dict[str, Any], b: dict[str, Any]) -> Difference:
    ours = {e["endpoint"]: e["share"] for e in a["endpoints"]}
    theirs = {e["endpoint"]: e["share"] for e in b["endpoints"]}
    apart = {name: theirs.get(name, 0) - ours.get(name, 0) for name in ours.keys() | theirs.keys()}
    most = max(apart, key=lambda name: abs(apart[name]), default="")
    distance = sum(map(abs, apart.values())) / 2
    meaning = f"B asks other endpoints, most of all {most}"
    return Difference("endpoint mix", ours.get(most, 0), theirs.get(most, 0), distance, meaning)
