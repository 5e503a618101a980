"""What sanitizing made of a request: each change with its place and the rule or detector behind it.

Read off the result: the bytes before and after are compared, and each difference is looked up among
the places that the walkers see and the spans that the detectors find in the bytes before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from difflib import SequenceMatcher

from . import places
from .content import places_of
from .policy import SCAN, Policy
from .scanner import Scanner

Row = dict[str, object]


class Explainer:
    """Says for the bytes of a request where each stands and what takes it."""

    def __init__(self, policy: Policy, raw: bytes, head_bytes: int) -> None:
        self._policy = policy
        self._places = list(_places(raw, head_bytes)) if head_bytes else []
        if not head_bytes:
            self._places = list(places.loose_values(raw, 0, len(raw)))
        self._found = Scanner(policy.detectors).find(raw)[0]

    def at(self, start: int, end: int) -> tuple[str, str]:
        """The place of a span and what took it."""
        standing = [place for place in self._places if place.start < end and start < place.end]
        # The narrowest says most: a cookie within its header.
        standing.sort(key=lambda place: place.end - place.start)
        for place in standing:
            rule = self._policy.decide(place.kind, place.name, place.path)
            action = self._policy.default if rule is None else rule.action
            if action not in (SCAN, "keep"):
                by = f"rule {rule.number}" if rule else "default"
                return _told(place), f"{by}: {action}"
        where = _told(standing[0]) if standing else "text"
        for low, high, detector in self._found:
            if low < end and start < high:
                return where, f"detector {detector.name}"
        return where, "a detector, in another spelling"


def _told(place: places.Place) -> str:
    return f"{place.kind} {place.path or place.name}".strip()


def _places(raw: bytes, head_bytes: int) -> Iterator[places.Place]:
    at, kind = 0, b""
    for number, line in enumerate(raw[:head_bytes].split(b"\n")):
        end = at + len(line)
        name, colon, value = line.partition(b":")
        low = name.strip().lower().decode("latin-1")
        if not number:
            mark = raw.find(b"?", at, end)
            path_end = mark if mark >= 0 else end
            start, last = raw.find(b" ", at, end) + 1, raw.rfind(b" ", at, end)
            stop = min(path_end, last) if last > start else path_end
            yield from places.path_values(raw, start, stop)
            yield from places.pairs(raw, path_end, end, "query")
        elif colon:
            start = at + len(name) + 1
            yield places.Place("header", low, start, end)
            if low in ("cookie", "set-cookie"):
                yield from places.cookies(raw, start, end)
            if low == "content-type":
                kind = value.strip()
        at = end + 1
    body = raw[head_bytes:]
    with suppress(places.TooDeep):  # such a body is filled
        for place in places_of(body, kind) or places.loose_values(body, 0, len(body)):
            place.start += head_bytes
            place.end += head_bytes
            yield place


def _changes(old: bytes, new: bytes) -> list[tuple[int, bytes, bytes]]:
    """Where the bytes differ, what stood there and what stands there now."""
    if len(old) == len(new):
        return [(a, old[a:b], new[a:b]) for a, b in _differing(old, new)]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [(a, old[a:b], new[c:d]) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _differing(old: bytes, new: bytes) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        # A pseudonym may share a letter or two with what it replaces: one change all the same.
        if spans and at - spans[-1][1] <= 2:
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
    return spans


def explain(policy: Policy, raw: bytes, head_bytes: int, new: bytes) -> list[Row]:
    """The changes of a request, one row each."""
    explainer = Explainer(policy, raw, head_bytes)
    rows: list[Row] = []
    for at, before, after in _changes(raw, new):
        place, rule = explainer.at(at, at + max(1, len(before)))
        rows.append({
            "at": at, "place": place, "rule": rule,
            "before": before.decode("latin-1"), "after": after.decode("latin-1"),
        })  # fmt: skip
    return rows
