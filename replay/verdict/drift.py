"""Drift: in what two environments differ, by what they reveal of themselves (portrait.py).

Only like is compared with like: the same endpoint answered with the same class of status. A value
counts as new where it makes up a fifth of the answers of one side and none of the other's,
and that is no chance. Each
difference has a severity: `high` where what is tested is less safe or another thing than what runs,
`medium` where it changes speed or behaviour, `low` where it is a matter of spelling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from capture.errors import ReplayError

from .judge import Finding
from .portrait import ABSENT, SOME, Portrait, kept_names

SHARE = 0.2
CHANCE = 0.01  # of not seeing a value that is there as often as on the other side
FEWEST = 3  # answers of a recording or run before anything is said of a place
SKEW_S = 2.0
SEVERITIES = ("high", "medium", "low")
EXAMPLES = 3

TOPICS = {
    "server": "server", "via": "server", "x-powered-by": "version", "x-aspnet-version": "version",
    "x-version": "version", "x-app-version": "version", "x-generator": "version",
    "cache-control": "cache", "expires": "cache", "vary": "cache", "etag": "cache",
    "pragma": "cache", "x-cache": "cache", "age": "cache", "last-modified": "cache",
    "content-encoding": "compression", "transfer-encoding": "framing",
    "content-type": "content", "content-language": "content", "accept-ranges": "content",
    "content-length": "framing", "connection": "keep-alive", "keep-alive": "keep-alive",
    "location": "redirect", "status line": "status line", "error page": "error page",
    "answer": "answer",
    "strict-transport-security": "security", "content-security-policy": "security",
    "x-content-type-options": "security", "x-frame-options": "security",
    "referrer-policy": "security", "permissions-policy": "security", "x-xss-protection": "security",
    "cross-origin-opener-policy": "security", "cross-origin-resource-policy": "security",
    "cross-origin-embedder-policy": "security", "retry-after": "rate limit",
}  # fmt: skip
SEVERITY = {
    "security": "high", "CORS": "high", "rate limit": "high", "cookie": "high", "TLS": "high",
    "certificate": "high", "version": "high", "server": "high", "answer": "high",
    "cache": "medium",
    "compression": "medium", "redirect": "medium", "keep-alive": "medium", "content": "medium",
    "error page": "medium", "status line": "medium", "clock": "medium", "connections": "medium",
    "framing": "low", "header": "low", "spelling": "low",
}  # fmt: skip

# What follows from another difference, and is not told beside it: at one place, and of the whole.
FOLLOW = {
    "content-encoding": {"accept-ranges", "content-length", "transfer-encoding"},
    "error page": {"content-type", "content-length", "transfer-encoding"},
}
CAUSES = {
    "cipher": {"version", "versions taken"}, "version": {"versions taken"},
    "Content-Encoding": {"chosen"}, "requests of a connection": {"Connection"},
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise in B than in A, and where it was seen."""

    topic: str
    name: str
    a: str
    b: str
    severity: str
    places: int
    examples: tuple[str, ...]

    @property
    def short(self) -> str:
        """In a few words."""
        a, b = _cut(self.a), _cut(self.b)
        if self.a == ABSENT:
            return f"{self.name} appears ({b})"
        return f"{self.name} is gone ({a})" if self.b == ABSENT else f"{self.name} {a} → {b}"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


@dataclass(frozen=True)
class Drift:
    """B beside A."""

    a: str
    b: str
    compared: int  # places that both answered
    differences: tuple[Difference, ...]
    partial: bool  # whether one side kept only some headers

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Drift:
        """The drift that `as_dict` described."""
        told = [Difference(**{**each, "examples": tuple(each["examples"])})
                for each in plain["differences"]]  # fmt: skip
        return cls(plain["a"], plain["b"], plain["compared"], tuple(told), plain["partial"])


def _topic_of(name: str) -> str:
    """What a header is about."""
    if name.startswith("access-control-"):
        return "CORS"
    if "ratelimit" in name or "rate-limit" in name:
        return "rate limit"
    return TOPICS.get(name, "header")


def drift(a: Portrait, b: Portrait) -> Drift:
    """In what B differs from A."""
    partial = a.partial or b.partial
    found = [*_answers(a, b), *_headers(a, b, partial), *_cookies(a, b), *_facts(a, b),
             *_clock(a, b)]  # fmt: skip
    if not partial:
        found += _spelling(a, b)
    names = {each.name for each in found}
    found = [each for each in found if not CAUSES.get(each.name, set()) & names]
    found.sort(key=lambda each: (SEVERITIES.index(each.severity), each.topic, each.name))
    return Drift(a.name, b.name, len(a.places.keys() & b.places.keys()), tuple(found), partial)


def _answers(a: Portrait, b: Portrait) -> Iterator[Difference]:
    """What two live targets answered with another class of status: of the rest nothing is known."""
    if not (a.live and b.live):
        return
    seen: dict[tuple[str, str], list[str]] = {}
    classes = [_classes(side) for side in (a, b)]
    for endpoint in sorted(classes[0].keys() & classes[1].keys()):
        was, now = (side[endpoint] for side in classes)
        if not was.keys() & now.keys():
            pair = (min(was.values()), min(now.values()))
            seen.setdefault(pair, []).append(endpoint)
    for (before, after), endpoints in seen.items():
        told = _difference("answer", "answer", before, after, endpoints)
        asked = [each for each in endpoints if not each.startswith(("OPTIONS ", "GET ("))]
        yield told if asked else replace(told, severity="medium")


def _classes(side: Portrait) -> dict[str, dict[str, str]]:
    """By endpoint, then by class of status, the commonest status line."""
    found: dict[str, dict[str, str]] = {}
    for place in side.places:
        endpoint, _, kind = place.rpartition(" ")
        found.setdefault(endpoint, {})[kind] = _most(side.shares(place, "status line"))
    return found


def _headers(a: Portrait, b: Portrait, partial: bool) -> Iterator[Difference]:
    """Values of headers, gathered over the places where both answered."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    names = {name for side in (a, b) for _, name in side.values}
    if partial:  # what only one side could keep says nothing
        names &= kept_names() | {"status line"}
    if not (a.live and b.live):
        names -= {"error page"}
    for place in sorted(a.places.keys() & b.places.keys()):
        if any(not side.live and side.places[place] < FEWEST for side in (a, b)):
            continue
        told = {name: found for name in names if (found := _differs(a, b, place, name))}
        follow = {each for name in told for each in FOLLOW.get(name, ())}
        for name in told.keys() - follow:
            seen.setdefault((name, *told[name]), []).append(place)
    for (name, was, now), places in seen.items():
        topic = _topic_of(name)
        if topic == "content" and all(place.endswith(("4xx", "5xx")) for place in places):
            topic = "error page"
        shown = b.spelling.get(name) or a.spelling.get(name) or name
        yield _difference(topic, shown, was, now, places)


def _differs(a: Portrait, b: Portrait, place: str, name: str) -> tuple[str, str] | None:
    """The values that a header has at a place on one side and surely not on the other."""
    before, after = a.shares(place, name), b.shares(place, name)
    gone, new = _only(before, after, b, place), _only(after, before, a, place)
    was, now = gone or _most(before), new or _most(after)
    return (was, now) if (gone or new) and was != now else None


def _only(mine: dict[str, float], theirs: dict[str, float], other: Portrait, place: str) -> str:
    """The commonest value that one side often has, and that the other has never by no chance."""
    seen = other.places[place]
    found = [
        value
        for value, share in mine.items()
        if share >= SHARE and value not in theirs and (1 - share) ** seen < CHANCE
    ]
    return max(found, key=lambda value: mine[value], default="")


def _most(shares: dict[str, float]) -> str:
    return max(shares, key=lambda value: shares[value], default=ABSENT)


def _difference(topic: str, name: str, was: str, now: str, places: Iterable[str]) -> Difference:
    where = tuple(places)
    severity = SEVERITY[topic]
    if topic in ("server", "version", "rate limit", "CORS", "security") and SOME in (was, now):
        severity = "low"
    return Difference(topic, name, was, now, severity, len(where), where[:EXAMPLES])


def _cookies(a: Portrait, b: Portrait) -> Iterator[Difference]:
    both = a.cookies.keys() & b.cookies.keys()
    # Of a recording only the cookies that both set are known: an enquiry does not log in.
    for name in sorted(a.cookies.keys() | b.cookies.keys() if a.live and b.live else both):
        was, now = (_attributes(side, name) for side in (a, b))
        if was == now:
            continue
        where = a.cookie_places.get(name) or b.cookie_places[name]
        yield Difference("cookie", f"cookie {name}", was, now,
                         "high" if _weaker(was, now) else "medium", 1, (where,))  # fmt: skip


def _attributes(side: Portrait, name: str) -> str:
    counts = side.cookies.get(name)
    return counts.most_common(1)[0][0] or "no attributes" if counts else ABSENT


def _weaker(was: str, now: str) -> bool:
    """Whether a cookie lost what protects it."""
    before, after = ({part.strip().lower() for part in text.split(";")} for text in (was, now))
    lost = {"secure", "httponly"} & (before - after)
    return bool(lost) or _same_site(after) < _same_site(before)


def _same_site(attributes: set[str]) -> int:
    """How strictly a cookie is kept to its site. Browsers take `Lax` where nothing is said."""
    ranks = {"samesite=none": 0, "samesite=lax": 1, "samesite=strict": 2}
    return max((ranks[each] for each in attributes if each in ranks), default=1)


def _facts(a: Portrait, b: Portrait) -> Iterator[Difference]:
    """What was found out of each whole side: TLS, certificate, limits."""
    for name in sorted(a.facts.keys() & b.facts.keys()):
        if a.facts[name] != b.facts[name]:
            topic, _, rest = name.partition(": ")
            yield _difference(topic, rest or name, a.facts[name], b.facts[name], ("connection",))


def _clock(a: Portrait, b: Portrait) -> Iterator[Difference]:
    if a.skew_s is None or b.skew_s is None or abs(a.skew_s - b.skew_s) <= SKEW_S:
        return
    told = [f"{skew:+,.0f} s" for skew in (a.skew_s, b.skew_s)]
    yield _difference("clock", "clock, against ours", told[0], told[1], ("Date",))


def _spelling(a: Portrait, b: Portrait) -> Iterator[Difference]:
    for name in sorted(a.spelling.keys() & b.spelling.keys()):
        if a.spelling[name] != b.spelling[name]:
            yield _difference("spelling", name, a.spelling[name], b.spelling[name], ("names",))


def finding_of(told: Drift) -> tuple[Finding, ...]:
    """Drift as evidence for a verdict: one finding, where anything is more than spelling."""
    grave = [each for each in told.differences if each.severity != "low"]
    if not grave:
        return ()
    first = "; ".join(each.short for each in grave[:3])
    rest = f" and {len(grave) - 3} more" if len(grave) > 3 else ""
    more = "".join(f"; {each.short}" for each in grave[3:8])
    sentence = f"the target is set up differently: {first}{rest}"
    return (Finding("drift", "environment", sentence, 35, (), more),)


def as_text(told: Drift) -> str:
    """The drift, for a person."""
    lines = [f"{len(told.differences)} differences in {told.compared} places that both answered"]
    if told.partial:
        lines.append("Only headers that a recording keeps were compared: it holds no others.")
    for each in told.differences:
        lines.append(f"\n{each.severity:<7} {each.topic}: {each.name}")
        lines.append(f"        A {each.a}\n        B {each.b}")
        more = f" and {each.places - EXAMPLES} more" if each.places > EXAMPLES else ""
        lines.append(f"        at {', '.join(each.examples)}{more}")
    return "\n".join(lines)


def read_drift(path: Path) -> Drift:
    """The drift that `wiretape drift --json` wrote."""
    try:
        return Drift.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        raise ReplayError(
            f"{path}: is not what wiretape drift --json prints; write it anew."
        ) from None
